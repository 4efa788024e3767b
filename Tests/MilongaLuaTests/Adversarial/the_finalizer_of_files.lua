progress = 0
pcall(function()
  io.open("/dev/null")
  getmetatable(io.stdout).__gc = function() while true do end end
end)
while true do
  progress = progress + 1
  local t = {}
end
