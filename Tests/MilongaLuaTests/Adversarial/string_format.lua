progress = 0
local s = ("x"):rep(1e5)
while true do
  progress = progress + 1
  string.format("%s%s%q", s, s, s)
end
