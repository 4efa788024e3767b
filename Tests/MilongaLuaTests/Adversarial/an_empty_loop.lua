progress = 0
while true do progress = progress + 1 end
