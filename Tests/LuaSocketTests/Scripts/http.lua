-- socket.http: requests, answers, redirections, proxies.
local http = require "socket.http"
local ltn12 = require "ltn12"
local cases = require "httpcases"
local run, redirect, text = cases.run, cases.redirect, cases.text
local H, C, ok = cases.H, cases.C, cases.ok

-- requests
run("plain", { url = "http://h.example/p;q?r=1" }, ok)
run("simple form", "http://hh/x", ok)
run("simple post", "http://hh/x^a=b", ok)
run("user and password", { url = "http://u:p%20w@h.example:8080/p" }, ok)
run("fields override",
  {
    url = "http://u:p@h.example:8080/p", user = "U", password = "P", host = "other", port = "99",
    path = "/zz", headers = { ["X-Mixed"] = "v", ["content-type"] = "t", Authorization = "no" },
  },
  ok)
run("query and params fields", { url = "http://hh/a", query = "zz", params = "pp" }, ok)
run("authority field", { url = "http://hh/a", authority = "other:99" }, ok)
run("userinfo field", { url = "http://hh/a", userinfo = "x:y" }, ok)
run("number as port", { url = "http://hh/a", port = 8080 }, ok)
run("empty path", { url = "http://hh", path = "" }, ok)
run("relative path", { url = "http://hh", path = "x" }, ok)
run("number as header", { url = "http://hh", headers = { x = 5 } }, ok)
run("empty header", { url = "http://hh", headers = { ["user-agent"] = "" } }, ok)
run("user only", { url = "http://u@hh/a" }, ok)
run("empty password", { url = "http://u:@hh/a" }, ok)
run("password field", { url = "http://hh/a", user = "u+", password = "p +:" }, ok)
run("uri field", { url = "http://hh/a", uri = "/URI" }, ok)
run("empty port", { url = "http://hh:/x" }, ok)
run("default port given", { url = "http://hh:80/x" }, ok)
run("no path", { url = "http://hh" }, ok)
run("space in URL", { url = "http://hh/a b" }, ok)
run("no scheme", { url = "hh/x" }, ok)
run("no host", { url = "http:///x" }, ok)
run("number as URL", { url = 5 }, ok)
run("folded header", { url = "http://hh/a", headers = { a = "b\r\n c: d" } }, ok)
run("timeout", (function() http.TIMEOUT = 3 return { url = "http://hh" } end)(), ok)
http.TIMEOUT = 60
http.USERAGENT = "other" run("user agent", { url = "http://hh" }, ok)
http.USERAGENT = nil run("no user agent", { url = "http://hh" }, ok)
http.USERAGENT = "agent"
run("connect fails", { url = "http://hh/x", options = { connecterror = "boo" } }, ok)
run("send fails", { url = "http://hh/x", options = { senderror = "boo" } }, ok)
run("create fails", { url = "http://hh/x", nocreate = 1, create = function() return nil, "no socket" end },
  ok)

-- bodies that are sent
run("chunked body", { url = "http://hh/x", method = "POST", source = text "body!" }, ok)
run("body with length",
  { url = "http://hh/x", method = "POST", source = text "body!", headers = { ["Content-Length"] = 5 } },
  ok)
run("PUT", { url = "http://hh/x", method = "PUT", source = text(("x"):rep(3000)) }, ok)
run("POST without source", { url = "http://hh/a", method = "POST" }, ok)
run("GET with source", { url = "http://hh/a", source = text "abc" }, ok)
run("body field is ignored", { url = "http://hh/x", method = "POST", body = "abc" }, ok)
run("own coding",
  { url = "http://hh/a", source = text "abc", headers = { ["Transfer-Encoding"] = "x, chunked" } }, ok)
run("source fails",
  {
    url = "http://hh/a", method = "POST", source = ltn12.source.error "serr",
    headers = { ["content-length"] = 3 },
  },
  ok)
run("chunked source fails", { url = "http://hh/a", method = "POST", source = ltn12.source.error "serr" },
  ok)

-- bodies that are received
run("HEAD", { url = "http://hh/x", method = "HEAD" }, ok)
run("lowercase method", { url = "http://hh/x", method = "get" }, ok)
run("204", { url = "http://hh/x" }, "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello")
run("304", { url = "http://hh/x" }, "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\nhello")
run("until closed", { url = "http://hh/x" }, "HTTP/1.0 200 OK\r\n\r\nhello")
run("length 0", { url = "http://hh/a" }, H .. "Content-Length: 0\r\n\r\nabcd")
run("length 3000", { url = "http://hh/a" }, H .. "Content-Length: 3000\r\n\r\n" .. ("x"):rep(3500))
run("length and truncated", { url = "http://hh/a" }, H .. "Content-Length: 10\r\n\r\nabcd")
run("identity", { url = "http://hh/a" },
  H .. "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nabcd")
run("sink fails", { url = "http://hh/a", sink = ltn12.sink.error "kerr" }, ok)
run("no sink", { url = "http://hh/a", nosink = 1 }, ok)
run("step",
  { url = "http://hh/a", step = function(s, k) print("  step") return ltn12.pump.step(s, k) end }, ok)

run("chunks", { url = "http://hh/x" }, C .. "5;ext=1\r\nhello\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\nEXTRA")
run("chunks after other codings", { url = "http://hh/a" },
  H .. "Transfer-Encoding: gzip, chunked\r\nContent-Length: 2\r\n\r\n1\r\na\r\n0\r\n\r\n")
run("Chunked", { url = "http://hh/a" }, H .. "Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
run("spaces around chunk size", { url = "http://hh/a" }, C .. " 5 ; q\r\nabcde\r\n0\r\n\r\n")
run("leading zeros in chunk size", { url = "http://hh/a" },
  C .. "0000000000000000000005\r\nabcde\r\n000\r\n\r\n")
run("trailer", { url = "http://hh/a" },
  H .. "Transfer-Encoding: chunked\r\nA: 1\r\n\r\n0\r\nA: 2\r\nBB: 3\r\n\r\n")
run("long chunk", { url = "http://hh/a" }, C .. "1f40\r\n" .. ("x"):rep(8000) .. "\r\n0\r\n\r\n")
run("very long chunk", { url = "http://hh/a" }, C .. "30d40\r\n" .. ("x"):rep(200000) .. "\r\n0\r\n\r\n")
run("chunk size not hexadecimal", { url = "http://hh/a" }, C .. "zz\r\n")
run("empty chunk size", { url = "http://hh/a" }, C .. "\r\nabcde\r\n0\r\n\r\n")
run("chunk size with 0x", { url = "http://hh/a" }, C .. "0x5\r\nabcde\r\n0\r\n\r\n")
run("huge chunk", { url = "http://hh/a" }, C .. "7fffffff\r\nabc")
run("truncated in chunk", { url = "http://hh/a" }, C .. "5\r\nab")
run("truncated after chunk", { url = "http://hh/a" }, C .. "5\r\nabcde")
run("truncated before size", { url = "http://hh/a" }, C .. "5\r\nabcde\r\n")
run("truncated before trailer", { url = "http://hh/a" }, C .. "5\r\nabcde\r\n0\r\n")
run("truncated in trailer", { url = "http://hh/a" }, C .. "5\r\nabcde\r\n0\r\nA: b\r\n")
run("malformed trailer", { url = "http://hh/a" }, C .. "0\r\nfoo\r\n\r\n")

-- heads
run("HTTP/0.9", { url = "http://hh/a" }, "hello world\r\nmore")
run("HTTP/0.9 and short", { url = "http://hh/a" }, "he")
run("no answer", { url = "http://hh/a" }, "")
run("timeout in head", { url = "http://hh/a", options = { failure = "timeout" } }, H .. "A: b\r\n")
run("no reason", { url = "http://hh/a" }, "HTTP/1.1 200\r\n\r\nq")
run("status of four digits", { url = "http://hh/a" }, "HTTP/1.1 2000 OK\r\n\r\nq")
run("status 999", { url = "http://hh/a" }, "HTTP/1.1 999 OK\r\n\r\nq")
run("status 099", { url = "http://hh/a" }, "HTTP/1.1 099 OK\r\n\r\nq")
run("truncated status line", { url = "http://hh/a" }, "HTTP/1.1 2")
run("truncated header", { url = "http://hh/a" }, H .. "A: b")
run("truncated headers", { url = "http://hh/a" }, H .. "A: b\r\n")
run("malformed header", { url = "http://hh/a" }, H .. "nocolon\r\n\r\n")
run("empty name", { url = "http://hh/a" }, H .. ": v\r\n\r\n")
run("space in name", { url = "http://hh/a" }, H .. "A B : v  \r\n\r\n")
run("folded", { url = "http://hh/a" }, H .. "A: v  \r\n  more  \r\n\tmore2\r\nB:\r\n C\r\n\r\n")
run("folded first", { url = "http://hh/a" }, H .. "  fold: x\r\n\r\n")
run("repeated", { url = "http://hh/a" }, H .. "Set-Cookie: a\r\nset-cookie: b\r\nX:\r\nX: 2\r\n\r\n")
run("colons", { url = "http://hh/a" }, H .. "A:b:c\r\nD::e\r\n\r\n")
run("bare LF", { url = "http://hh/a" }, "HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nhi")
run("100", { url = "http://hh/x" }, "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" .. ok)
run("100 twice", { url = "http://hh/x" },
  "HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" .. ok)
run("101", { url = "http://hh/x" }, "HTTP/1.1 101 Switching\r\nA: b\r\n\r\nrest")

-- redirection
for _, code in ipairs { 300, 301, 302, 303, 304, 305, 306, 307 } do
  run("redirect " .. code, { url = "http://hh/a/b?q", nocreate = 1 }, redirect(code, "/new"), ok)
end
run("relative",
  { url = "http://u:p@hh:81/a/b?q", nocreate = 1, headers = { A = "b", Host = "zz", authorization = "Q" } },
  redirect(301, "x/../y"), ok)
run("password stays here", { url = "http://u:p@hh:81/a", nocreate = 1 }, redirect(301, "http://other/x"),
  ok)
run("password fields stay here", { url = "http://hh:81/a", nocreate = 1, user = "u", password = "p" },
  redirect(301, "http://other/x"), ok)
run("same host, absolute",
  { url = "http://hh/a", nocreate = 1, headers = { Authorization = "Q", Cookie = "c", A = "b" } },
  redirect(301, "http://hh:80/x"), ok)
run("no location", { url = "http://hh/a" }, "HTTP/1.1 301 M\r\nContent-Length: 2\r\n\r\nno")
run("empty location", { url = "http://hh/a" }, redirect(301, ""), ok)
run("blank location", { url = "http://hh/a" }, redirect(301, "  \t "), ok)
run("POST 301", { url = "http://hh/a", method = "POST", source = text "x" }, redirect(301, "/n"), ok)
run("POST 303", { url = "http://hh/a", method = "POST" }, redirect(303, "/n"), ok)
run("PUT 307", { url = "http://hh/a", method = "PUT", source = text "x" }, redirect(307, "/n"), ok)
run("GET with source 301",
  { url = "http://hh/x", nocreate = 1, source = text "abc", headers = { ["content-length"] = 3 } },
  redirect(301, "/y"), ok)
run("HEAD 301, redirect=false", { url = "http://hh/a", nocreate = 1, method = "HEAD", redirect = false },
  redirect(301, "/n"), ok)
run("redirect=false", { url = "http://hh/a", redirect = false }, redirect(301, "/n"), ok)
run("to ftp", { url = "http://hh/a" }, redirect(301, "ftp://hh/n"), ok)
run("to mailto", { url = "http://hh/a" }, redirect(301, "mailto:zz"), ok)
run("to //", { url = "http://hh/x", nocreate = 1 }, redirect(301, "//zz/y"), ok)
run("https", { url = "https://hh/x", nocreate = 1 }, ok)
run("https to http", { url = "https://hh/x", nocreate = 1 }, redirect(301, "http://h2/y"), ok)
run("https to https", { url = "https://hh/x", nocreate = 1 }, redirect(301, "https://h2/y"), ok)
run("http to https", { url = "http://hh/x", nocreate = 1 }, redirect(301, "https://h2/y"), ok)
run("maxredirects 1", { url = "http://hh/a", nocreate = 1, maxredirects = 1 }, redirect(301, "/1"),
  redirect(301, "/2"), ok)
run("maxredirects 0", { url = "http://hh/a", nocreate = 1, maxredirects = 0 }, redirect(301, "/1"), ok)
run("nredirects", { url = "http://hh/x", nocreate = 1, nredirects = 5 }, redirect(301, "/y"), ok)
local circle = {}
for i = 1, 9 do circle[i] = redirect(301, "/" .. i) end
circle[10] = ok
run("in a circle", { url = "http://hh/a", nocreate = 1 }, table.unpack(circle))
run("maxredirects false", { url = "http://hh/a", nocreate = 1, maxredirects = false }, table.unpack(circle))
run("location of the answer", { url = "http://hh/x", nocreate = 1 }, redirect(301, "/1"),
  "HTTP/1.1 200 OK\r\nLocation: /mine\r\nContent-Length: 0\r\n\r\n")
run("step on redirect", { url = "http://hh/x", nocreate = 1, redirect = true }, redirect(301, "/y"), ok)

-- proxies
run("proxy", { url = "http://hh:82/a?b", proxy = "http://pp:90/" }, ok)
run("proxy without port", { url = "http://hh/a?b", proxy = "http://pp" }, ok)
run("proxy with password", { url = "http://hh/a?b", proxy = "http://pu:pw@pp" }, ok)
run("proxy and redirect", { url = "http://hh/a?b", nocreate = 1, proxy = "http://pp:99" },
  redirect(301, "http://zz/q"), ok)
http.PROXY = "http://PX:1/" run("PROXY", { url = "http://hh" }, ok)
http.PROXY = nil

-- floods
local function flood(name, reply) run(name, { url = "http://hh/a" }, reply) end
flood("80 headers", H .. ("A: b\r\n"):rep(80) .. "Content-Length: 0\r\n\r\n")
