-- The names in the modules, their types, and the values that are not functions.
local ltn12 = require "ltn12"
local mime = require "mime"
local socket = require "socket"

-- What is a matter of the version, or different on purpose.
local skipped = { _VERSION = true, USERAGENT = true, _SETSIZE = true }

local function sorted(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  return keys
end

local function dump(name, module)
  print("== " .. name)
  for _, key in ipairs(sorted(module)) do
    local value = module[key]
    local plain = type(value) == "number" or type(value) == "string" or type(value) == "boolean"
    if not skipped[key] then print(key, type(value), plain and value or "") end
  end
end

for _, name in ipairs { "headers", "url", "tp", "http", "ftp", "smtp" } do
  dump("socket." .. name, require("socket." .. name))
  print("in socket", socket[name] == package.loaded["socket." .. name])
end
dump("ltn12", ltn12)
for _, name in ipairs { "filter", "source", "sink", "pump" } do dump("ltn12." .. name, ltn12[name]) end
dump("mime", mime)
for _, name in ipairs { "encodet", "decodet", "wrapt" } do dump("mime." .. name, mime[name]) end
dump("socket", socket)
for _, name in ipairs { "sinkt", "sourcet" } do dump("socket." .. name, socket[name]) end
dump("canonic", socket.headers.canonic)
for _, name in ipairs { "http", "https" } do dump(name, socket.http.schemes[name]) end

print "== methods"
local mock = require "mock"
local function methods(name, object)
  print(name, table.concat(sorted(getmetatable(object).__index), " "))
end
local function create() return mock.new("", mock.log()) end
methods("http", socket.http.open("h", 1, create))
methods("ftp", socket.ftp.open("h", 1, create))
methods("smtp", socket.smtp.open("h", 1, create))
methods("tp", socket.tp.connect("h", 1, nil, create))

print "== choose"
local choose = socket.choose {
  a = function(...) return "a", ... end,
  default = function(...) return "default", ... end,
}
print(choose("a", 1, 2, 3))
print(choose(1, 2))
print(choose())
print(choose(nil, 1))
local function failing(body, ...)
  local arguments = table.pack(...)
  print(pcall(function()
    local result = body(table.unpack(arguments, 1, arguments.n))
    return result
  end))
end
failing(choose, "b")
failing(socket.choose {}, 1)
failing(socket.sink, "x")
failing(socket.source, "y")
failing(mime.encode, "x")
failing(mime.encode)
failing(mime.encode, 5)
failing(mime.wrap, "x")
failing(mime.decode, nil)

-- Modules are there under one name only, and again when they are forgotten.
print "== reloading"
package.loaded.socket = nil
print(require "socket" == socket, require "socket.core" == socket)
