progress = 0
while true do
  pcall(table.sort, {3, 2, 1}, function()
    while true do progress = progress + 1 end
  end)
end
