progress = 0
while true do
  pcall(load, function() while true do progress = progress + 1 end end)
end
