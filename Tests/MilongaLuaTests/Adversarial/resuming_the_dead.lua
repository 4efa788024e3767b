progress = 0
local co = coroutine.create(error)
while true do
  progress = progress + 1
  coroutine.resume(co)
end
