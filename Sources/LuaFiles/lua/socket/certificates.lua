-- socket.certificates: whether the certificate of a TLS server is trusted, and whether it is for
-- the host that a program wanted (RFC 9525). LuaSec checks the signatures; it does not look at
-- names. Not part of LuaSocket's interface.

local certificates = {}

---------------------------------------------------------------- addresses

local function ipv4(text)
  local bytes = { text:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$") }
  for i, byte in ipairs(bytes) do
    bytes[i] = tonumber(byte)
    if bytes[i] > 255 then return nil end
  end
  return #bytes == 4 and bytes or nil
end

-- The groups of a part of an IPv6 address, on one side of "::".
local function groups(text, list)
  if text == "" then return list end
  for group in (text .. ":"):gmatch("([^:]*):") do
    local four = ipv4(group)
    if four then
      list[#list + 1] = four[1] << 8 | four[2]
      list[#list + 1] = four[3] << 8 | four[4]
    elseif group:find("^%x%x?%x?%x?$") then
      list[#list + 1] = tonumber(group, 16)
    else
      return nil
    end
  end
  return list
end

-- An address in a form in which equal ones are equal; nil for what is none.
local function address(text)
  local four = ipv4(text)
  if four then return table.concat(four, ".") end
  text = text:match("^%[(.*)%]$") or text
  if #text > 64 or not text:find(":", 1, true) then return nil end
  text = text:gsub("%%.*$", "") -- the zone is of this machine
  local before, after = text:match("^(.-)::(.*)$")
  local list = groups(before or text, {})
  if not list then return nil end
  if before then
    local last = groups(after, {})
    if not last or #list + #last > 7 then return nil end
    while #list + #last < 8 do list[#list + 1] = 0 end
    table.move(last, 1, #last, #list + 1, list)
  end
  return #list == 8 and table.concat(list, ":") or nil
end

---------------------------------------------------------------- names

-- A name as it is compared: ASCII letters in lowercase, without the dot of the root.
local function folded(name)
  return (name:lower():gsub("%.$", ""))
end

---Whether a name in a certificate stands for this host. "*" stands for one whole label, the first,
---in front of two others at least.
---@param name string
---@param host string
---@return boolean
function certificates.matches(name, host)
  name, host = folded(name), folded(host)
  if host == "" or name:find("%z") then return false end
  local domain = name:match("^%*(%.[^*]+%.[^*.]+)$")
  if not domain then return name == host and not name:find("*", 1, true) end
  local label = host:match("^([^.]+)%.")
  return label ~= nil and host:sub(#label + 1) == domain
end

-- The names in a certificate: those of hosts, and addresses.
local function namesof(certificate)
  local alternatives = (certificate:extensions() or {})["2.5.29.17"]
  if not alternatives then return nil end
  return alternatives.dNSName or {}, alternatives.iPAddress or {}
end

-- The last common name of the certificate's subject.
local function commonname(certificate)
  local name
  for _, part in ipairs(certificate:subject() or {}) do
    if part.oid == "2.5.4.3" then name = part.value end
  end
  return name
end

local function listed(names, addresses)
  local list = {}
  for _, some in ipairs { names, addresses } do
    for _, name in ipairs(some) do
      if #list == 8 then return table.concat(list, ", ") .. ", ..." end
      list[#list + 1] = "'" .. name:sub(1, 80):gsub("%c", "?") .. "'"
    end
  end
  return #list > 0 and table.concat(list, ", ") or "no host"
end

---Whether a certificate is for this host. The common name counts only when the certificate has no
---alternative names and `ownca` is true: a program that names its authority may have old
---certificates.
---@param certificate table of LuaSec
---@param host string
---@param ownca boolean
---@return boolean?
---@return string? err
function certificates.isfor(certificate, host, ownca)
  local names, addresses = namesof(certificate)
  if not names then
    local name = ownca and commonname(certificate)
    names, addresses = { name or nil }, { name or nil }
  end
  local wanted = address(host)
  for _, name in ipairs(wanted and addresses or names) do
    if wanted and address(name) == wanted then return true end
    if not wanted and certificates.matches(name, host) then return true end
  end
  return nil, ("the certificate is for %s and not for '%s'"):format(
    listed(names, namesof(certificate) and addresses or {}), host)
end

---------------------------------------------------------------- parameters

---Whether parameters of LuaSec ask for the check of the other side's certificate.
---@param verify any
---@return boolean
function certificates.asksfor(verify)
  for _, flag in ipairs(type(verify) == "table" and verify or { verify }) do
    if flag == "peer" then return true end
  end
  return false
end

-- Where systems keep the certificates that they trust. From a folder, OpenSSL reads what it needs;
-- its files have names for that on the systems that have the first of these bundles.
local FOLDER, BUNDLE = "/etc/ssl/certs", "/etc/ssl/certs/ca-certificates.crt"
local OTHER_BUNDLES = {
  "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem",
}

local function exists(path)
  local file = path and io.open(path)
  if file then file:close() end
  return file ~= nil and path or nil
end

---Lets parameters trust what the system trusts, if they are to check a server and trust no
---authority of their own.
---@param parameters table changed
---@return boolean whether they trust an authority of their own
function certificates.addsystem(parameters)
  if parameters.cafile or parameters.capath then return true end
  if not certificates.asksfor(parameters.verify) then return false end
  local file, folder = os.getenv("SSL_CERT_FILE"), os.getenv("SSL_CERT_DIR")
  parameters.cafile = exists(file)
  parameters.capath = exists(folder)
  if parameters.cafile or parameters.capath then return false end
  parameters.capath = exists(BUNDLE) and FOLDER
  for _, bundle in ipairs(OTHER_BUNDLES) do
    if not parameters.capath then parameters.cafile = parameters.cafile or exists(bundle) end
  end
  return false
end

---What `verify` is when a program says nothing.
---@param setting any the module's setting
---@return any
function certificates.default(setting)
  if setting ~= nil and setting ~= "peer" then return setting end
  return os.getenv("MILONGA_TLS_VERIFY") == "none" and "none" or "peer"
end

---What a program can do about a check that it did not ask for.
certificates.HINT = " (cafile = '...' names the authority to trust; verify_host = 'name' or false is about"
  .. " the name alone; verify = 'none', http.SSLVERIFY = 'none' or MILONGA_TLS_VERIFY=none turn the"
  .. " check off)"

-- Whether a host is an address of this machine.
local function isloopback(host)
  local text = address(host) or ""
  return text:find("^127%.") ~= nil or text == "0:0:0:0:0:0:0:1"
end

---Checks the server at the other end of a connection of LuaSec, whose handshake is over. Without
---`verify_host`, a certificate of the program's own authority for "localhost" is good for the
---addresses of loopback, too.
---@param connection table
---@param parameters table that it was made with: `verify`, `verify_host`
---@param host? string that the program wanted; nil if it is none
---@param ownca boolean
---@return boolean?
---@return string? err
function certificates.check(connection, parameters, host, ownca)
  local wanted = parameters.verify_host
  if wanted == nil then wanted = host end
  if not wanted or not certificates.asksfor(parameters.verify) then return true end
  local certificate = connection:getpeercertificate()
  if not certificate then return nil, "the server has no certificate" end
  if parameters.verify_host == nil and ownca and isloopback(wanted)
    and certificates.isfor(certificate, "localhost", ownca) then
    return true
  end
  return certificates.isfor(certificate, wanted, ownca)
end

return certificates
