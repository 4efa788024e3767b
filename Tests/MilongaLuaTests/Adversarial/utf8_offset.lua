progress = 0
local s = ("\x80"):rep(1e6)
while true do
  progress = progress + 1
  utf8.offset(s, 0, -1)
end
