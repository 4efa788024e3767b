progress = 0
local s = "a" .. ("\x80"):rep(1e6)
local f, s = utf8.codes(s)
while true do
  progress = progress + 1
  f(s, 1)
end
