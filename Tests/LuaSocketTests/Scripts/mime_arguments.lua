-- The functions of `mime.core` with wrong arguments, too few and too many.
local mime = require "mime.core"
local t = require "show"

local names = {}
for name, value in pairs(mime) do names[#names + 1] = name .. " " .. type(value) end
table.sort(names)
print(table.concat(names, ", "), mime._VERSION)
print(package.loaded["mime.core"] == mime)

-- Numbers that a C int or size_t does not hold are left out: they are undefined there.
local values = {
  {"nil", nil}, {"true", true}, {"7", 7}, {"1.5", 1.5}, {"-0.5", -0.5}, {"'0x10'", "0x10"}, {"'1.5'", "1.5"},
  {"' 2 '", " 2 "}, {"'1x'", "1x"}, {"''", ""}, {"{}", {}}, {"print", print}, {"file", io.stdout}, {"'a b'", "a b"},
}

local function result(label, ok, ...)
  if ok then t.show(label, ...) else print(label .. " ! " .. tostring((...))) end
end

-- Called from source, so that messages name the field.
local callers = {}
for count = 0, 6 do
  local list = {}
  for i = 1, count do list[i] = "a" .. i end
  local arguments = table.concat(list, ", ")
  local parameters = count > 0 and ", " .. arguments or ""
  callers[count] = ("local m%s = ...; return m.%%s(%s)"):format(parameters, arguments)
end

local function try(label, name, count, ...)
  result(label, pcall(load(callers[count]:format(name), "=call"), mime, ...))
end

for _, name in ipairs {"b64", "unb64", "qp", "unqp", "wrp", "qpwrp", "eol", "dot"} do
  try(name, name, 0)
  result(name .. " by pcall", pcall(mime[name]))
  for _, first in ipairs(values) do
    local label = name .. " " .. first[1]
    try(label, name, 1, first[2])
    result(label .. " by pcall", pcall(mime[name], first[2]))
    for _, second in ipairs(values) do
      label = name .. " " .. first[1] .. " " .. second[1]
      try(label, name, 2, first[2], second[2])
      try(label .. " and more", name, 6, first[2], second[2], nil, true, {}, print)
      for _, third in ipairs(values) do
        try(label .. " " .. third[1], name, 3, first[2], second[2], third[2])
      end
    end
  end
end
