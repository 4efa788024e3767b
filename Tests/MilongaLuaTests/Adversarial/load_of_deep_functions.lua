progress = 0
local head, tail = {}, {}
for i = 1, 80 do
  local names = {}
  for k = 1, 190 do names[k] = "v" .. k end
  head[i] = "local " .. table.concat(names, ",") .. " return function() "
  tail[i] = " end"
end
local code = table.concat(head) .. ("x = y "):rep(1e5) .. table.concat(tail)
while true do
  progress = progress + 1
  load(code)
end
