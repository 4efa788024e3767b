progress = 0
local function h()
  progress = progress + 1
  xpcall(error, h)
  while true do progress = progress + 1 end
end
xpcall(error, h)
