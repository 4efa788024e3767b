-- socket.http where it does something else than LuaSocket, which is said after the name.
local ltn12 = require "ltn12"
local cases = require "httpcases"
local run, redirect = cases.run, cases.redirect
local H, C, ok = cases.H, cases.C, cases.ok

run("no URL: stock raises an error in its own code", { host = "hh" }, ok)
run("empty request: stock raises an error in its own code", {}, ok)
run("unknown scheme: stock raises an error in its own code", { url = "foo://hh/" }, ok)
run("scheme field: stock raises an error in its own code", { url = "http://hh/a", scheme = "zz" }, ok)
run("uppercase scheme: stock raises an error in its own code", { url = "HTTP://hh/a" }, ok)
run("query without path: stock takes it for a part of the host", { url = "http://hh?x=y" }, ok)
run("IPv6 host: stock's host field lacks the brackets", { url = "http://[::1]:81/a" }, ok)
run("IPv6 host, default port: stock's host field lacks the brackets", { url = "http://[::1]/a" }, ok)
run("line end in URL: a second request could be smuggled in", { url = "http://hh/a\r\nx: y" }, ok)
run("line end in header: a second field could be smuggled in",
  { url = "http://hh/a", headers = { a = "b\r\nc: d" } }, ok)
run("empty chunk: stock sends it as the last one",
  { url = "http://hh/x", method = "POST", source = ltn12.source.table { "a", "", "b" } }, ok)
run("length twice: stock reads until closed", { url = "http://hh/a" },
  H .. "Content-Length: 2\r\nContent-Length: 2\r\n\r\nabcd")
run("lengths that differ: stock reads until closed", { url = "http://hh/a" },
  H .. "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabcd")
run("length not a number: stock reads until closed", { url = "http://hh/a" },
  H .. "Content-Length: x\r\n\r\nabcd")
run("negative length: stock takes it for 0", { url = "http://hh/a" }, H .. "Content-Length: -5\r\n\r\nabcd")
run("hexadecimal length: stock takes it", { url = "http://hh/a" }, H .. "Content-Length: 0x3\r\n\r\nabcd")
run("fractional length: stock fails in receive", { url = "http://hh/a" },
  H .. "Content-Length: 1.5\r\n\r\nabcd")
run("huge length: stock waits for it", { url = "http://hh/a" },
  H .. "Content-Length: 99999999999999999999\r\n\r\nabcd")
run("other coding: stock takes it for chunked", { url = "http://hh/a" },
  H .. "Transfer-Encoding: gzip\r\n\r\nabc")
run("negative chunk size: stock takes it for the next line", { url = "http://hh/a" }, C .. "-5\r\nabc")
run("chunk size overflows: stock takes the rest", { url = "http://hh/a" },
  C .. "ffffffffffffffffffff\r\nabc")
run("no line end after chunk: stock drops the line", { url = "http://hh/a" },
  C .. "5\r\nabcdeXX\r\n0\r\n\r\n")
run("malformed status line: stock's error is the line alone", { url = "http://hh/a" },
  "HTTP/1.1 abc OK\r\n\r\n")
run("malformed version: stock's error is the line alone", { url = "http://hh/a" }, "HTTP/x 200\r\n\r\n")
run("103: stock takes it for the answer", { url = "http://hh/x" },
  "HTTP/1.1 103 Early\r\nA: b\r\n\r\n" .. ok)
run("create on redirect: stock forgets it", { url = "http://hh/a/b?q" }, redirect(301, "/new"), ok)
run("authorization stays here: stock sends it to the other host",
  { url = "http://hh:81/a", nocreate = 1, headers = { Authorization = "Q", Cookie = "c", A = "b" } },
  redirect(301, "http://other/x"), ok)
run("space in location: stock sends a broken request line", { url = "http://hh/x", nocreate = 1 },
  redirect(301, "/a b  "), ok)
run("to HTTP: stock does not follow", { url = "http://hh/x", nocreate = 1 }, redirect(301, "HTTP://zz/y"),
  ok)
run("https to relative: stock does not follow", { url = "https://hh/x", nocreate = 1 },
  redirect(301, "/y"), ok)
run("proxy without scheme: stock connects to nil", { url = "http://hh/a?b#c", proxy = "pp:99" }, ok)

-- URLs and what becomes of their parts
run("fragment: stock sends it", { url = "http://hh/a?b#c", fragment = "d" }, ok)
run("user: stock does not decode it", { url = "http://u%40:p%20w@hh/" }, ok)
run("user and password fields: stock decodes the password", { url = "http://hh/a", user = "u%20", password = "p%20+" }, ok)
run("a user for the proxy to read: stock shows it", { url = "http://u:p@hh:82/a?b#c", proxy = "http://pp:90/" }, ok)
run("password of the proxy: stock does not decode it", { url = "http://hh/a", proxy = "http://p%75:p%3aw@pp" }, ok)
run("proxy = false: stock uses PROXY", (function()
  require "socket.http".PROXY = "http://pp"
  return { url = "http://hh/a", proxy = false }
end)(), ok)
run("no_proxy: not in stock", { url = "http://www.hh/a", no_proxy = "other, .hh" }, ok)
require "socket.http".PROXY = nil
run("another kind of proxy: stock takes it for one", { url = "http://hh/a", proxy = "socks5://pp" }, ok)

-- redirections
run("308: stock does not follow", { url = "http://hh/a", nocreate = 1 }, redirect(308, "/b"), ok)
run("HEAD: stock goes on with GET", { url = "http://hh/a", nocreate = 1, method = "HEAD" }, redirect(301, "/n"), ok)
local function moved(code, method, fields)
  local request = { url = "http://hh/a", nocreate = 1, method = method, redirect = true }
  for name, value in pairs(fields or {}) do request[name] = value end
  run(("redirect=true, %s %d: stock does not follow"):format(method, code), request, redirect(code, "/n"), ok)
end
local function body()
  return {
    newsource = function() return ltn12.source.string "text" end,
    headers = { ["Content-Length"] = 4, ["Content-Type"] = "t", ["X-Own"] = "x" },
  }
end
for _, code in ipairs { 301, 302, 303, 307, 308 } do
  for _, method in ipairs { "POST", "PUT", "DELETE" } do moved(code, method, method ~= "DELETE" and body() or nil) end
end
moved(307, "POST", { source = ltn12.source.string "once" })
run("redirect=true, to another host: not in stock", {
  url = "http://u:p@hh/a", nocreate = 1, method = "PUT", redirect = true, newsource = body().newsource,
  headers = { ["content-length"] = 4, authorization = "Q", cookie = "c", ["Proxy-Authorization"] = "P", x = "y" },
}, redirect(307, "http://other/x"), ok)
run("user and password fields: stock drops them",
  { url = "http://hh/a", nocreate = 1, user = "u", password = "p@:/" }, redirect(301, "/n"), ok)
run("user in a location: stock does not decode it", { url = "http://hh/a", nocreate = 1 },
  redirect(301, "http://me%40b:x@hh/n"), ok)
run("HOST: stock takes it for another host", { url = "http://hh/a", nocreate = 1, headers = { cookie = "c" } },
  redirect(301, "http://HH:80/n"), ok)

-- header fields
run("number as a name: stock raises an error", { url = "http://hh/", headers = { "text/html" } }, ok)
run("table: stock raises an error", { url = "http://hh/", headers = { accept = { "text/html" } } }, ok)
run("true: stock raises an error", { url = "http://hh/", headers = { ["Accept"] = true } }, ok)
run("space in a name: stock sends it", { url = "http://hh/", headers = { ["a b"] = "c" } }, ok)
run("colon in a name: a field could be smuggled in", { url = "http://hh/", headers = { ["a: b\tc"] = "d" } }, ok)
run("empty name: stock sends it", { url = "http://hh/", headers = { [""] = "d" } }, ok)
run("twice: stock sends either", { url = "http://hh/", headers = { Accept = "a", accept = "b" } }, ok)
run("twice the same", { url = "http://hh/", headers = { Accept = "a", accept = "a" } }, ok)
run("float as a length: stock sends it with a fraction",
  { url = "http://hh/", method = "PUT", source = ltn12.source.string "body", headers = { ["content-length"] = 8 / 2 } }, ok)
run("space in a method: stock sends it", { url = "http://hh/", method = "GET /x" }, ok)

local function flood(name, reply) run(name, { url = "http://hh/a" }, reply) end
flood("endless status line: stock keeps it all", "HTTP/1.1 200 " .. ("x"):rep(100000) .. "\r\n\r\n")
flood("endless header: stock keeps it all", H .. "A: " .. ("x"):rep(100000) .. "\r\n\r\n")
flood("many headers: stock keeps them all", H .. ("A: b\r\n"):rep(2000) .. "\r\n")
flood("long headers: stock keeps them all", H .. ("A: " .. ("x"):rep(1000) .. "\r\n"):rep(300) .. "\r\n")
flood("many interim replies: stock reads on", ("HTTP/1.1 100 Continue\r\n\r\n"):rep(2000) .. ok)
flood("endless chunk line: stock keeps it all", C .. "5;" .. ("x"):rep(100000) .. "\r\nabcde\r\n0\r\n\r\n")
flood("many trailers: stock keeps them all", C .. "0\r\n" .. ("A: b\r\n"):rep(2000) .. "\r\n")
