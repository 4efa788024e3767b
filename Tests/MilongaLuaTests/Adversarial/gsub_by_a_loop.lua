progress = 0
while true do
  pcall(string.gsub, "abc", ".", function()
    while true do progress = progress + 1 end
  end)
end
