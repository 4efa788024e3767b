progress = 0
for _ in pcall, error do progress = progress + 1 end
for _ in pcall, type, 1 do progress = progress + 1 end
while true do progress = progress + 1 end
