-- socket.smtp: sending mail (RFC 2821), and the text of messages (RFC 2822, 2046).

local socket = require "socket"
local ltn12 = require "ltn12"
local mime = require "mime"
local tp = require "socket.tp"
local wire = require "socket.wire"

local smtp = {
  TIMEOUT = 60,                                     -- seconds for every wait
  SERVER = "localhost",
  PORT = 25,
  DOMAIN = os.getenv("SERVER_NAME") or "localhost", -- what we call ourselves
  ZONE = "-0000",                                   -- the time zone of dates
}

---------------------------------------------------------------- sessions

---The methods throw what `socket.protect` catches.
---@class socket.smtp.session
---@field tp socket.tp.connection
---@field try fun(...): ...
local Session = {}
local meta = { __index = Session }

---Connects to a server.
---@param server? string
---@param port? integer|string
---@param create? fun(): table?, string? called instead of `socket.tcp`
---@return socket.smtp.session
function smtp.open(server, port, create)
  local self = setmetatable({}, meta)
  self.tp = socket.try(tp.connect(server or smtp.SERVER, port or smtp.PORT, smtp.TIMEOUT, create))
  self.try = socket.newtry(function() self:close() end)
  return self
end

-- Waits for a reply with an expected code; returns its code and text.
local function expect(session, expected)
  return session.try(session.tp:check(expected))
end

-- Sends a command and waits for the reply.
local function ask(session, expected, command, argument)
  session.try(session.tp:command(command, argument))
  return expect(session, expected)
end

---Greets the server; one that does not know extensions in the way of its time.
---@param domain? string what we call ourselves
---@return string extensions the server's answer
function Session:greet(domain)
  expect(self, "2..")
  domain = domain or smtp.DOMAIN
  local code, extensions = ask(self, { "2..", 500, 501, 502, 504, 550 }, "EHLO", domain)
  if code < 300 then return extensions end
  ask(self, "2..", "HELO", domain)
  return ""
end

---Names the sender.
---@param from string
function Session:mail(from) return ask(self, "2..", "MAIL", "FROM:" .. from) end

---Names a recipient.
---@param to string
function Session:rcpt(to) return ask(self, "2..", "RCPT", "TO:" .. to) end

---Says good-bye.
function Session:quit() return ask(self, "2..", "QUIT") end

---Closes the connection.
function Session:close() return self.tp:close() end

---------------------------------------------------------------- authentication

local function base64(text) return (mime.b64(text)) end

---Authenticates by the method LOGIN: user and password answer two challenges.
function Session:login(user, password)
  local function answer(text, expected)
    self.try(self.tp:send(base64(text) .. "\r\n"))
    return expect(self, expected)
  end
  ask(self, "3..", "AUTH", "LOGIN")
  answer(user, "3..")
  return answer(password, "2..")
end

---Authenticates by the method PLAIN.
function Session:plain(user, password)
  return ask(self, "2..", "AUTH", "PLAIN " .. base64("\0" .. user .. "\0" .. password))
end

-- Whether a line of the server's answer to the greeting has AUTH and, behind it, the method.
local function offers(extensions, method)
  for line in extensions:gmatch("[^\n]+") do
    local _, word = line:find("AUTH", 1, true)
    if word and line:find(method, word + 2, true) then return true end
  end
  return false
end

---Authenticates by a method that the server's answer to the greeting names. Does nothing without a
---user.
---@param user? string
---@param password? string
---@param extensions string
function Session:auth(user, password, extensions)
  if not user or not password then return 1 end
  for _, method in ipairs { "login", "plain" } do
    if offers(extensions, method:upper()) then return self[method](self, user, password) end
  end
  self.try(nil, "authentication not supported")
end

---------------------------------------------------------------- a message

---Sends the message that a source produces.
---@param source ltn12.source
---@param step? ltn12.step
function Session:data(source, step)
  ask(self, "3..", "DATA")
  self.try(self.tp:source(source, step))
  self.try(self.tp:send("\r\n.\r\n"))
  return expect(self, "2..")
end

---Sends a message to its recipients.
---@param mail socket.smtp.mail
function Session:send(mail)
  local recipients = mail.rcpt
  if type(recipients) ~= "table" then recipients = { recipients } end
  self:mail(mail.from)
  for _, recipient in ipairs(recipients) do self:rcpt(recipient) end
  -- A line end of one byte would let servers disagree about where the message ends.
  local filters = { mime.stuff() }
  if mail.normalize ~= false then table.insert(filters, 1, mime.normalize()) end
  self:data(ltn12.source.chain(mail.source, table.unpack(filters)), mail.step)
end

---------------------------------------------------------------- messages

---@class socket.smtp.message
---@field zone? string the time zone of the date
---@field headers? table<string, any>
---@field body? string|ltn12.source|socket.smtp.multipart

---@class socket.smtp.multipart
---@field preamble? string
---@field epilogue? string
---@field [integer] socket.smtp.message

local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = {
  "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
}

-- The date now, in English whatever the locale is.
local function date(zone)
  local now = os.date("!*t")
  return ("%s, %02d %s %d %02d:%02d:%02d %s"):format(
    DAYS[now.wday], now.day, MONTHS[now.month], now.year, now.hour, now.min, now.sec, zone)
end

-- A boundary that no part of a message contains, with near certainty: 128 random bits. "=_" cannot
-- be in quoted-printable or base64 text.
local function makeboundary()
  return ("=_%016x%016x"):format(math.random(0), math.random(0))
end

-- The boundary in a content type, if it has one.
local function givenboundary(contenttype)
  return contenttype:match('[bB][oO][uU][nN][dD][aA][rR][yY]="([^"]+)"')
    or contenttype:match('[bB][oO][uU][nN][dD][aA][rR][yY]=([^%s;]+)')
end

local appendmessage

-- Appends a body of several parts to the list of pieces, headers first.
local function appendmultipart(pieces, fields, parts)
  local contenttype = fields["content-type"] or "multipart/mixed"
  local boundary = givenboundary(contenttype)
  if not boundary then
    boundary = makeboundary()
    contenttype = ('%s; boundary="%s"'):format(contenttype, boundary)
  end
  fields["content-type"] = contenttype
  table.insert(pieces, socket.try(wire.format(fields)) .. "\r\n")
  if parts.preamble then
    table.insert(pieces, parts.preamble)
    table.insert(pieces, "\r\n")
  end
  for _, part in ipairs(parts) do
    table.insert(pieces, "\r\n--" .. boundary .. "\r\n")
    appendmessage(pieces, part, socket.try(wire.lowercase(part.headers)))
  end
  table.insert(pieces, "\r\n--" .. boundary .. "--\r\n\r\n")
  if parts.epilogue then
    table.insert(pieces, parts.epilogue)
    table.insert(pieces, "\r\n")
  end
end

-- Appends a message to the list of its pieces, which are strings and sources.
function appendmessage(pieces, message, fields)
  local body = message.body
  if type(body) == "table" then return appendmultipart(pieces, fields, body) end
  fields["content-type"] = fields["content-type"] or 'text/plain; charset="iso-8859-1"'
  table.insert(pieces, socket.try(wire.format(fields)) .. "\r\n")
  if type(body) == "function" then
    table.insert(pieces, body)
  elseif body then
    table.insert(pieces, tostring(body))
  end
end

-- The header of a whole message.
local function messagefields(message)
  local fields = socket.try(wire.lowercase(message.headers))
  fields["date"] = fields["date"] or date(message.zone or smtp.ZONE)
  fields["x-mailer"] = fields["x-mailer"] or socket._VERSION
  fields["mime-version"] = "1.0"
  return fields
end

-- The pieces one after the other; a string is given out at once.
local function piecesource(pieces)
  local index = 1
  return function()
    while pieces[index] do
      local piece = pieces[index]
      if type(piece) == "string" then
        index = index + 1
        return piece
      end
      local chunk, err = piece()
      if chunk then return chunk end
      if err then return nil, err end
      index = index + 1
    end
  end
end

local collect = socket.protect(function(message)
  local pieces = {}
  appendmessage(pieces, message, messagefields(message))
  return pieces
end)

---A source of the text of a message. Bodies that are sources are read when it is sent.
---@param message socket.smtp.message
---@return ltn12.source
function smtp.message(message)
  local pieces, err = collect(message)
  if not pieces then return ltn12.source.error(err) end
  return piecesource(pieces)
end

---------------------------------------------------------------- the interface

---@class socket.smtp.mail
---@field from string
---@field rcpt string|string[]
---@field source ltn12.source
---@field user? string
---@field password? string
---@field server? string
---@field port? integer|string
---@field domain? string
---@field step? ltn12.step
---@field normalize? boolean false to send line ends as they are
---@field create? fun(): table?, string?

---Sends a message.
---@type fun(mail: socket.smtp.mail): integer?, string?
smtp.send = socket.protect(function(mail)
  for _, field in ipairs { "from", "rcpt", "source" } do
    if not mail[field] then socket.try(nil, "missing " .. field) end
  end
  local session = smtp.open(mail.server, mail.port, mail.create)
  session:auth(mail.user, mail.password, session:greet(mail.domain))
  session:send(mail)
  session:quit()
  return session:close()
end)

socket.smtp = smtp
return smtp
