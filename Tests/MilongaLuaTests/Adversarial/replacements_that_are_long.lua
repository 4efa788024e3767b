progress = 0
local s, long = ("a"):rep(1e4), ("x"):rep(1e4)
while true do
  progress = progress + 1
  pcall(string.gsub, s, "", long)
  pcall(string.gsub, s, "a", "%0%0%0%0")
  pcall(string.gsub, s, "a", {a = long})
end
