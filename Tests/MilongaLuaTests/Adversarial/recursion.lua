progress = 0
local function f()
  progress = progress + 1
  pcall(f)
  return f()
end
f()
