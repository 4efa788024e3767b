-- A Lua server, called by Swift: see Client.swift. An argument is the port, 12345 without one; 0 is
-- any free port.

local copas = require 'copas'
local tango = require 'tango'

local library = {
  books = { { title = 'Ficciones', year = 1944 }, { title = 'Rayuela', year = 1963 } },
}

function library.add(book)
  table.insert(library.books, book)
  return #library.books
end

function library.before(year)
  copas.pause(0.01) -- a slow query; other clients are served meanwhile
  local found = {}
  for _, book in ipairs(library.books) do
    if book.year < year then table.insert(found, book) end
  end
  return found
end

-- Something that stays here; clients get a reference.
function library.reader()
  local next = 0
  return {
    read = function()
      next = next + 1
      return library.books[next]
    end,
  }
end

local server, handler = tango.server.copas_socket.new {
  port = tonumber(arg[1] or 12345), functab = library,
}
copas.addserver(server, handler)
print('listening on port ' .. select(2, server:getsockname()))
io.stdout:flush()
copas.loop()
