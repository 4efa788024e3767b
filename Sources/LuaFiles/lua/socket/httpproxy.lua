-- socket.httpproxy: which proxy a request goes through. For socket.httpplan; not part of
-- LuaSocket's interface.

local url = require "socket.url"

local proxies = {}

local PORT = 3128

-- What a program writes in the place of a proxy to have it taken from the environment.
local ENVIRONMENT = "environment"

---The parts of a proxy's URL; nil if it is none that can be used.
---@param text any
---@return socket.url.parsed?
function proxies.parse(text)
  local proxy = type(text) == "string" and url.parse(text)
  if not proxy or not proxy.host or (proxy.scheme or ""):lower() ~= "http" then return nil end
  if not proxy.port or proxy.port == "" then proxy.port = PORT end
  return proxy
end

-- The first of these variables of the environment that says something.
local function variable(...)
  for _, name in ipairs { ... } do
    local value = os.getenv(name)
    if value and value ~= "" then return value end
  end
end

-- The environment's proxy for a scheme. In a CGI program the client chooses HTTP_PROXY, so only its
-- lowercase form counts.
local function environmentproxy(scheme)
  local text
  if scheme == "http" then
    text = variable("http_proxy", "all_proxy", "ALL_PROXY")
  else
    text = variable("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
  end
  return text and not text:find("://", 1, true) and "http://" .. text or text
end

-- Whether one entry of a list names the host: the host itself, a domain that it is in, "*" for all;
-- with a port, if it has one.
local function names(entry, host, port)
  local name, number = entry:match("^%[?([^%[%]]-)%]?:(%d+)$")
  if not name or (name:find(":", 1, true) and entry:sub(1, 1) ~= "[") then
    name, number = entry:match("^%[?([^%[%]]*)%]?$"), nil
  end
  if not name or name == "" or (number and number ~= tostring(port)) then return false end
  if name == "*" then return true end
  name = name:gsub("^%*?%.", "")
  return host == name or host:sub(-#name - 1) == "." .. name
end

-- Whether a list of hosts, separated by commas or spaces, has this one.
local function listed(list, host, port)
  host = host:lower():gsub("%.$", "")
  for entry in list:gmatch("[^%s,]+") do
    if names(entry:lower(), host, port) then return true end
  end
  return false
end

---The URL of the proxy for a request; false or nil for none.
---@param plan table its fields are scheme, host, port, proxy, no_proxy
---@param settings table its fields are PROXY and NO_PROXY
---@return any
function proxies.choose(plan, settings)
  local text = plan.proxy
  if text == nil then text = settings.PROXY end
  local exceptions = plan.no_proxy or settings.NO_PROXY
  if text == ENVIRONMENT then
    text = environmentproxy(plan.scheme)
    exceptions = exceptions or variable("no_proxy", "NO_PROXY")
  end
  if text and exceptions and listed(exceptions, plan.host, plan.port) then return nil end
  return text
end

return proxies
