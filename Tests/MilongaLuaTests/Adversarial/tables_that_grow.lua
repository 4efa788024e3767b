progress = 0
while true do
  pcall(function()
    local t = {}
    while true do
      progress = progress + 1
      t[#t + 1] = {}
    end
  end)
end
