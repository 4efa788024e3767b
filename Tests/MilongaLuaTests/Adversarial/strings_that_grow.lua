progress = 0
while true do
  local s = "x"
  pcall(function() while true do progress = progress + 1 s = s .. s end end)
end
