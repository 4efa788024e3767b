progress = 0
local s = ("a"):rep(100000)
local p = ("a"):rep(50000) .. "b"
while true do
  progress = progress + 1
  s:find(p, 1, true)
end
