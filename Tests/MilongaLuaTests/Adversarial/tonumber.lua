progress = 0
local s = (" "):rep(1e6) .. "x"
while true do
  progress = progress + 1
  tonumber(s)
  tonumber(s, 16)
end
