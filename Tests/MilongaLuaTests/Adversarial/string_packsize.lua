progress = 0
local f = (" "):rep(1e6)
while true do
  progress = progress + 1
  string.packsize(f)
end
