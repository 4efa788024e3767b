progress = 0
local s = ("a"):rep(60)
while true do
  progress = progress + 1
  pcall(string.find, s, ("a?"):rep(60) .. ("a"):rep(60) .. "b")
end
