progress = 0
while true do
  pcall(function() while true do progress = progress + 1 end end)
end
