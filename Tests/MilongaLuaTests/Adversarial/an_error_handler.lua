progress = 0
xpcall(function()
  while true do progress = progress + 1 end
end, function()
  while true do progress = progress + 1 end
end)
