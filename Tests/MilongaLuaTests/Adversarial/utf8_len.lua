progress = 0
local s = ("x"):rep(1e6)
while true do
  progress = progress + 1
  utf8.len(s)
end
