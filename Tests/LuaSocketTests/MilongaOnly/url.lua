-- socket.url where it does something else than LuaSocket, which is said after the name.
local url = require "socket.url"
local case = require("calls").case

case("absolute, nothing: stock raises an error", url.absolute)
case("absolute, host of a table: stock drops it", url.absolute,
  { scheme = "http", host = "h", path = "/a/b" }, "c")
case("absolute, base above the root: stock takes the host for a directory", url.absolute,
  "http://good/../evil/", "")
case("absolute, relative above the root: stock takes the host for a directory", url.absolute, "http://a/b",
  "//good/../evil")
for _, text in ipairs { "http://host?query", "http://host#fragment/x" } do
  case("authority of " .. text .. ": stock's ends at a slash only", function()
    local parsed = url.parse(text)
    return parsed.host, parsed.query, parsed.fragment, parsed.path
  end)
end
