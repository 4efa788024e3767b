-- Calls the Swift server of this folder; see Server.swift. An argument is its port.

local tango = require 'tango'
local con = tango.client.socket.connect { address = 'localhost', port = tonumber(arg[1] or 12345) }

print(con.greet('Horst'))

local quotient, rest = con.math.divide(17, 5)
print('17 / 5', quotient, 'rest', rest)
print(pcall(con.math.divide, 1, 0))
print(pcall(con.math.divide, 'one', 2))

-- The server's variable, read, changed and written back.
local shelf = con.shelf()
table.insert(shelf, { title = 'El Aleph', author = 'Borges', year = 1949 })
con.shelf(shelf)
for _, book in ipairs(con.books.by('Borges')) do print(book.year, book.title) end

-- An object that lives on the server.
local cart = tango.ref(con.cart)
cart:add('Ficciones')
print(cart:add('El Aleph'), table.concat(cart:titles(), ', '))
tango.unref(cart)
