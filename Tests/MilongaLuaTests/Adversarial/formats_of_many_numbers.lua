progress = 0
local format, numbers = ("%99.99f"):rep(200), {}
for i = 1, 200 do numbers[i] = 1e300 end
while true do
  progress = progress + 1
  format:format(table.unpack(numbers))
end
