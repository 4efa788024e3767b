-- socket.url: single calls, with the corner cases.
local url = require "socket.url"
local calls = require "calls"
local case = calls.case

case("escape nil", url.escape)
case("escape number", url.escape, 5)
case("unescape nil", url.unescape)
case("parse nil", url.parse)
case("parse empty", url.parse, "")
case("build nothing", url.build,
  {})
case("build nil", url.build)
case("build_path nil", url.build_path)
case("parse_path nil", url.parse_path)
case("parse_path number",
  url.parse_path, 5)
case("absolute, no relative", url.absolute, "http://a/b")
case("absolute, empty relative", url.absolute,
  "http://a/b", "")
case("absolute, no base", url.absolute, nil, "x")
case("absolute, empty base", url.absolute, "", "x/../y")

local parts = {
  { host = "h" }, { host = "h", port = 5 }, { host = "h", path = "p" }, { authority = "a", path = "p" },
  { scheme = "s", path = "p" }, { userinfo = "u", host = "h" }, { user = "u" },
  { password = "p", host = "h" }, { password = "p", user = "u", host = "h" },
  { userinfo = "u", authority = "a" }, { host = "a:b" },
  { path = "p", params = "", query = "", fragment = "" }, { host = "", path = "p" }, { port = 5 },
  { host = "[::1]" }, { scheme = "s", host = "h", userinfo = "x:y", password = "z" },
}
for i, t in ipairs(parts) do case("build " .. i, url.build, t) end

local paths = {
  {}, { "" }, { "a", "" }, { "a", is_directory = 1 }, { is_directory = 1 }, { is_absolute = 1 },
  { is_absolute = 1, is_directory = 1 }, { "", is_absolute = 1, is_directory = 1 }, { "%" }, { 5 },
}
for i, t in ipairs(paths) do
  case("build_path " .. i, url.build_path, t)
  case("build_path unsafe " .. i, url.build_path, t, true)
  case("build_path false " .. i, url.build_path, t, false)
end
