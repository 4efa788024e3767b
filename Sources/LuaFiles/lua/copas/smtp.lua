-- copas.smtp: socket.smtp for Copas' threads.

local copas = require "copas"
local smtp = require "socket.smtp"
local layer = require "copas.layer"

local module = layer.over(smtp, { "TIMEOUT", "SERVER", "PORT", "DOMAIN", "ZONE", "TIMEZONE" })

---Sends a message.
---@param mail socket.smtp.mail
---@return integer?
---@return string? err
function module.send(mail)
  return smtp.send(layer.with(mail, { create = layer.tcp }))
end

copas.smtp = module
return module
