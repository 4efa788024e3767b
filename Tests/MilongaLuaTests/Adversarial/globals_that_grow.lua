progress = 0
pcall(function()
  while true do
    progress = progress + 1
    _G["v" .. progress] = progress
  end
end)
while true do pcall(string.rep) end
