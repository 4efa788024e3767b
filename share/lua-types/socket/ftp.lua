---@meta socket.ftp
-- socket.ftp: the client side of FTP.

---@class socket.ftp.transfer: socket.url.parsed
---@field host? string
---@field sink? ltn12.sink for `get`
---@field source? ltn12.source for `put`
---@field argument? string the file; or the path of the URL
---@field command? string|string[] "retr" or "stor" if not given
---@field check? any with `ftp.command`: the codes expected
---@field type? "a"|"i"|string
---@field active? boolean true if the server is to connect to us; not in LuaSocket
---@field step? ltn12.step
---@field create? fun(): table?, string? called instead of `socket.tcp`

---@class socket.ftp
---@field TIMEOUT? number seconds for connections and for every wait
---@field USER string who an anonymous user is
---@field PASSWORD string
local ftp = {}

---Downloads a file. With a table, the first result is 1, and the contents go to the sink.
---@overload fun(transfer: socket.ftp.transfer): integer?, string?
---@param url string
---@return string? contents
---@return string? err
function ftp.get(url) end

---Uploads a file.
---@overload fun(transfer: socket.ftp.transfer): integer?, string?
---@param url string
---@param content string
---@return integer? sent
---@return string? err
function ftp.put(url, content) end

---Sends a command, or several, that transfer no data.
---@param request socket.ftp.transfer
---@return integer?
---@return string? err
function ftp.command(request) end

---The table form of a URL.
---@param url string
---@return socket.ftp.transfer?
---@return string? err
function ftp.genericform(url) end

---A session. Its methods throw what `socket.protect` catches.
---@param server string
---@param port? integer|string
---@param create? fun(): table?, string?
---@return socket.ftp.session
function ftp.open(server, port, create) end

---@class socket.ftp.session
---@field tp socket.tp.connection
local session = {}
function session:greet() end
---@param user? string
---@param password? string
function session:login(user, password) end
---@param type "a"|"i"|string
function session:type(type) end
---@param dir? string
function session:cwd(dir) end
---@return string address
---@return integer port
function session:pasv() end
---@return string address
---@return integer port
function session:epsv() end
function session:pasvconnect() end
---@param address? string
---@param port? integer
function session:port(address, port) end
---@param family? integer|string
---@param address? string
---@param port? integer
function session:eprt(family, address, port) end
function session:portconnect() end
---@param transfer socket.ftp.transfer
function session:receive(transfer) end
---@param transfer socket.ftp.transfer
---@return integer sent
function session:send(transfer) end
function session:quit() end
function session:close() end

return ftp
