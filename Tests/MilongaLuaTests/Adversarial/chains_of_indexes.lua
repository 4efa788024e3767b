progress = 0
local last = {}
for _ = 1, 1500 do last = setmetatable({}, {__index = last}) end
while true do
  progress = progress + 1
  local _ = last.missing
end
