progress = 0
local format = ("%c"):rep(1e4)
while true do
  progress = progress + 1
  os.date(format)
end
