progress = 0
pcall(function() debug.sethook() end)
while true do progress = progress + 1 end
