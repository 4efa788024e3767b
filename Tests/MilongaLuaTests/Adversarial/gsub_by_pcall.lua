progress = 0
local s = ("a"):rep(10000)
while true do
  progress = progress + 1
  string.gsub(s, ".", pcall)
end
