progress = 0
xpcall(error, function() while true do progress = progress + 1 end end)
