local socket = require "socket"
local t = require "show"

t.show("gettime", math.type(socket.gettime()), math.abs(socket.gettime() - os.time()) < 30)
t.show("arguments are ignored", math.type(socket.gettime(1, {})))
local function took(label, least, ...)
  local start = socket.gettime()
  t.try(label, socket.sleep, ...)
  local elapsed = socket.gettime() - start
  t.show(label .. " took as long", elapsed >= least and elapsed < least + 30 or elapsed)
end
took("sleep", 0.03, 0.03)
took("string", 0.01, "0.01")
took("zero", 0, 0)
took("negative", 0, -1)
took("minus infinity", 0, -math.huge)
took("small", 0, 1e-9)
for _, wrong in ipairs {"x", {}, true, print} do
  t.try("sleep " .. type(wrong), function() return socket.sleep(wrong) end)
end
t.try("sleep nothing", function() return socket.sleep() end)
