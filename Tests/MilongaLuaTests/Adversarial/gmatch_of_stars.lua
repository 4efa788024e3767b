progress = 0
local s = ("a"):rep(1000)
while true do
  progress = progress + 1
  pcall(string.gmatch(s, "[^%d]-[%l]-.-.-b"))
end
