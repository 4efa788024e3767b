progress = 0
local s = ("("):rep(3000)
while true do
  progress = progress + 1
  s:find("%b()")
end
