-- socket.http with https: the server is checked, unless the program says something else.
local http = require "socket.http"
local servers = require "servers"

http.TIMEOUT = 10
local port, stop = servers.start "https" -- its certificate signs itself
local web = ("https://localhost:%d/echo"):format(port)

local function refused(text, ...)
  local nothing, err = http.request(...)
  assert(nothing == nil and err:find(text, 1, true) == 1, err)
  return err
end

local CHECK = "certificate verify failed"
assert(refused(CHECK, web):find("verify = 'none', http.SSLVERIFY = 'none' or MILONGA_TLS_VERIFY=none", 1, true))
assert(refused(CHECK, { url = web, verify = "peer" }) == CHECK)
refused(CHECK, { url = web, cafile = "/etc/ssl/certs/ca-certificates.crt" })
assert(select(2, http.request { url = web, verify = "none" }) == 200)
http.SSLVERIFY = "none"
assert(select(2, http.request(web)) == 200)
assert(refused(CHECK, { url = web, verify = "peer" }) == CHECK)
http.SSLVERIFY = nil
refused(CHECK, web)
refused("connection refused", { url = web, proxy = ("http://127.0.0.1:%d"):format(1) })
stop()
