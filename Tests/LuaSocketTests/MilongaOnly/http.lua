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
local function flood(name, reply) run(name, { url = "http://hh/a" }, reply) end
flood("endless status line: stock keeps it all", "HTTP/1.1 200 " .. ("x"):rep(100000) .. "\r\n\r\n")
flood("endless header: stock keeps it all", H .. "A: " .. ("x"):rep(100000) .. "\r\n\r\n")
flood("many headers: stock keeps them all", H .. ("A: b\r\n"):rep(2000) .. "\r\n")
flood("long headers: stock keeps them all", H .. ("A: " .. ("x"):rep(1000) .. "\r\n"):rep(300) .. "\r\n")
flood("many interim replies: stock reads on", ("HTTP/1.1 100 Continue\r\n\r\n"):rep(2000) .. ok)
flood("endless chunk line: stock keeps it all", C .. "5;" .. ("x"):rep(100000) .. "\r\nabcde\r\n0\r\n\r\n")
flood("many trailers: stock keeps them all", C .. "0\r\n" .. ("A: b\r\n"):rep(2000) .. "\r\n")
