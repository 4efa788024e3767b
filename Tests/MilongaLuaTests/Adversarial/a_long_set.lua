progress = 0
local s, p = ("a"):rep(1000), "[" .. ("b"):rep(10000) .. "]"
while true do
  progress = progress + 1
  s:find(p)
end
