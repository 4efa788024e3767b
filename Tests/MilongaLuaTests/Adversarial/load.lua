progress = 0
while true do
  progress = progress + 1
  load(("x = 1 "):rep(1000))
end
