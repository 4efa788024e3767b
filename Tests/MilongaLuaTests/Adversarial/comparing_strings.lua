progress = 0
local a = ("a"):rep(1e6)
local b = a .. "b"
while true do
  progress = progress + 1
  local _ = a < b, a == b
end
