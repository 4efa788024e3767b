---@meta copas.smtp
-- copas.smtp: socket.smtp that makes only its own thread wait.

---The settings TIMEOUT, SERVER, PORT, DOMAIN and ZONE are those of `socket.smtp`.
---@class copas.smtp: socket.smtp
local smtp = {}

---Sends a message.
---@param mail socket.smtp.mail
---@return integer?
---@return string? err
function smtp.send(mail) end

return smtp
