progress = 0
local t = setmetatable({}, {__name = ("x"):rep(1e6)})
while true do
  progress = progress + 1
  tostring(t)
  pcall(string.rep, t)
end
