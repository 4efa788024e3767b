progress = 0
local s = ("a"):rep(3000)
while true do
  progress = progress + 1
  s:find("(.+)%1%1%1%1b")
end
