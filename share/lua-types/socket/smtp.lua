---@meta socket.smtp
-- socket.smtp: sending mail.

---@class socket.smtp.message
---@field zone? string the time zone of the date
---@field headers? table<string, string|number>
---@field body? string|ltn12.source|socket.smtp.multipart

---@class socket.smtp.multipart
---@field preamble? string
---@field epilogue? string
---@field [integer] socket.smtp.message

---@class socket.smtp.mail
---@field from string
---@field rcpt string|string[]
---@field source ltn12.source
---@field user? string
---@field password? string
---@field server? string
---@field port? integer|string
---@field domain? string who we say we are
---@field step? ltn12.step
---@field create? fun(): table?, string? called instead of `socket.tcp`

---@class socket.smtp
---@field TIMEOUT? number seconds for every wait
---@field SERVER string
---@field PORT integer|string
---@field DOMAIN string
---@field ZONE string
local smtp = {}

---A source of the text of a message.
---@param message socket.smtp.message
---@return ltn12.source
function smtp.message(message) end

---Sends a message.
---@param mail socket.smtp.mail
---@return integer?
---@return string? err
function smtp.send(mail) end

---A session. Its methods throw what `socket.protect` catches.
---@param server? string
---@param port? integer|string
---@param create? fun(): table?, string?
---@return socket.smtp.session
function smtp.open(server, port, create) end

---@class socket.smtp.session
---@field tp socket.tp.connection
local session = {}
---@param domain? string
---@return string extensions
function session:greet(domain) end
---@param user? string
---@param password? string
---@param extensions string
function session:auth(user, password, extensions) end
---@param user string
---@param password string
function session:login(user, password) end
---@param user string
---@param password string
function session:plain(user, password) end
---@param from string
function session:mail(from) end
---@param to string
function session:rcpt(to) end
---@param source ltn12.source
---@param step? ltn12.step
function session:data(source, step) end
---@param mail socket.smtp.mail
function session:send(mail) end
function session:quit() end
function session:close() end

return smtp
