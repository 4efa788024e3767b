progress = 0
local s = (" "):rep(1e6) .. "1"
while true do
  progress = progress + 1
  local _ = s + 1
end
