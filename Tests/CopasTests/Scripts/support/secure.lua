-- Connections with TLS, whose certificate is made anew.
local copas = require "copas"
local ssl = require "ssl"
local certificates = require "certificates"
local check = require "check"

local M = {}

--- The certificate, for the caller to remove in the end.
M.certificates = certificates.new "localhost"
M.serverSide = M.certificates:parameters("server", "localhost")
M.clientSide = M.certificates:parameters("client", nil, "localhost")

--- Both ends of a connection whose handshake is over.
function M.pair()
  local a, b = check.pair()
  local client, server = assert(ssl.wrap(a, M.clientSide)), assert(ssl.wrap(b, M.serverSide))
  client:settimeout(0)
  server:settimeout(0)
  local ready = 0
  for _, side in ipairs {client, server} do
    copas.addthread(function()
      assert(copas.dohandshake(side))
      ready = ready + 1
    end)
  end
  check.await(function() return ready == 2 end)
  return client, server
end

return M
