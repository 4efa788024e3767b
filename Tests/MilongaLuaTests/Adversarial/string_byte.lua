progress = 0
local s = ("x"):rep(1e5)
while true do
  progress = progress + 1
  select("#", s:byte(1, -1))
end
