progress = 0
while true do
  progress = progress + 1
  pcall(string.rep, "", 1 << 20, "x")
end
