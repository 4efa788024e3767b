progress = 0
local s = "a"
while true do
  progress = progress + 1
  s:rep(1e5):reverse():upper():lower()
end
