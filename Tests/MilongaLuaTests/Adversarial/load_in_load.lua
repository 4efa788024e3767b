progress = 0
while true do
  progress = progress + 1
  pcall(load("while true do progress = progress + 1 end"))
end
