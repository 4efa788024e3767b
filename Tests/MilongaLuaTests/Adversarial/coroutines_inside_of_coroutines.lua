progress = 0
local function f(n)
  progress = progress + 1
  if n > 0 then coroutine.wrap(f)(n - 1) end
end
while true do pcall(f, 150) end
