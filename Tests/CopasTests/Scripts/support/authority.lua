-- A certificate authority of our own, made anew, and certificates that it signs.
local M = {}

--- Makes the authority in a folder, which the caller removes with `remove`.
function M.new()
  local folder = os.tmpname()
  os.remove(folder)
  local self = {folder = folder, ca = folder .. "/ca.pem"}

  local function run(command)
    assert(os.execute(("cd '%s' && { %s; } >>log 2>&1"):format(folder, command)), command)
  end
  assert(os.execute("mkdir " .. folder))
  local key = "openssl ecparam -name prime256v1 -genkey -noout -out %s.key; "
  run(key:format "ca" .. "openssl req -x509 -new -key ca.key -subj /CN=authority -days 2 -out ca.pem")

  --- A certificate with alternative names (`"DNS:a,IP:::1"`), nil for none; the parameters of a
  --- server. `options` are for `openssl x509`; `-days 2` if not given.
  function self.sign(name, common, alternatives, options)
    local extension = alternatives and ("subjectAltName=" .. alternatives) or "basicConstraints=CA:FALSE"
    run(key:format(name) .. ("openssl req -new -key %s.key -subj '/CN=%s' -out %s.csr; "):format(name, common, name)
      .. ("echo '%s' >%s.ext; "):format(extension, name)
      .. ("openssl x509 -req -in %s.csr -CA ca.pem -CAkey ca.key -CAcreateserial %s -extfile %s.ext -out %s.pem"):format(
        name, options or "-days 2", name, name))
    return {
      mode = "server", protocol = "any", key = folder .. "/" .. name .. ".key",
      certificate = folder .. "/" .. name .. ".pem",
    }
  end

  function self.remove() os.execute("rm -r " .. folder) end
  return self
end

return M
