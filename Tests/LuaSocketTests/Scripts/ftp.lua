-- socket.ftp: logging in, transfers, commands.
local ltn12 = require "ltn12"
local cases = require "ftpcases"
local run = cases.run
local L, T, E, D = cases.L, cases.T, cases.E, cases.D

run("get", "get", "ftp://u:p@h/a/b;type=i", L .. T .. E .. D, "DATA")
run("get without type", "get", "ftp://u:p@h/a%20b", L .. E .. D, "DATA")
run("EPSV malformed", "get", "ftp://h/a/b;type=a", L .. T .. "229 foo\r\n" .. D, "DATA")
run("EPSV without parentheses", "get", "ftp://h/a", L .. "229 ok |||77|\r\n" .. D, "D")
run("EPSV with mixed marks", "get", "ftp://h/a", L .. "229 ok (|||77!)\r\n" .. D, "D")
run("EPSV with other marks", "get", "ftp://h/a", L .. "229 ok (!!!77!)\r\n" .. D, "D")
run("EPSV with address", "get", "ftp://h/a", L .. "229 ok (|1|9.9.9.9|77|)\r\n" .. D, "D")
run("logged in by name alone", "get", "ftp://h/a;type=i", "220 x\r\n230 in\r\n" .. T .. E .. D, "DATA")
run("login fails", "get", "ftp://u:p@h/a;type=i", "220 x\r\n331 in\r\n530 bad login\r\n", "DATA")
run("user refused", "get", "ftp://u:p@h/a;type=i", "220 x\r\n530 no\r\n", "DATA")
run("account wanted", "get", "ftp://u:p@h/a;type=i", "220 x\r\n331 in\r\n332 acct\r\n", "DATA")
run("greeting 120", "get", "ftp://h/a;type=i", "120 wait\r\n" .. L .. T .. E .. D, "DATA")
run("greeting 421", "get", "ftp://h/a;type=i", "421 no\r\n", "DATA")
run("greeting of several lines", "get", "ftp://h/a;type=i",
  "220-x\r\n220-foo\r\n bar\r\n221 no\r\n" .. L .. T .. E .. D, "DATA")
run("no such file", "get", "ftp://h/a;type=i", L .. T .. E .. "550 nofile\r\n", "DATA")
run("aborted", "get", "ftp://h/a;type=i", L .. T .. E .. "150 x\r\n426 abort\r\n", "DATA")
run("125", "get", "ftp://h/a;type=i", L .. T .. E .. "125 x\r\n226 x\r\n221 bye\r\n", "DATA")
run("226 without data", "get", "ftp://h/a;type=i", L .. T .. E .. "226 x\r\n221 bye\r\n", "DATA")
run("226 without data, generic", "get", { host = "h", path = "a" }, L .. E .. "226 x\r\n221 bye\r\n",
  "DATA")
run("350", "get", { host = "h", path = "a" }, L .. E .. "350 fine\r\n221 bye\r\n", "")
run("no reply to QUIT", "get", "ftp://u:p@h/a;type=i", L .. T .. E .. "150 ok\r\n226 ok\r\n", "D")
run("QUIT refused", "get", "ftp://u:p@h/a;type=i", L .. T .. E .. "150 ok\r\n226 ok\r\n500 no\r\n", "D")
run("sink fails", "get", { host = "h", path = "a", sink = ltn12.sink.error "kerr" }, L .. E .. D, "D")
run("generic, path", "get", { host = "h", path = "/p/q%20r", type = "I" }, L .. T .. E .. D, "DATA")
run("generic, url", "get", { url = "ftp://x:y@h/p", user = "u" }, L .. E .. D, "DATA")
run("generic, url without scheme", "get", { url = "//x:y@h/p" }, L .. E .. D, "DATA")
run("generic, url of other scheme", "get", { url = "wrong://h/p" }, L .. E .. D, "DATA")
run("generic, url with type", "get", { url = "ftp://h/p;type=i" }, L .. E .. D, "DATA")
run("generic, argument", "get", { host = "h", argument = "/abs/x y", path = "/zz" }, L .. E .. D, "DATA")
run("no host", "get", { path = "/p" }, L .. E .. D, "DATA")
run("no path", "get", { host = "h" }, L .. E .. D, "DATA")
run("URL without path", "get", "ftp://h", L .. E .. D, "DATA")
run("root", "get", "ftp://h/", L .. E .. D, "DATA")
run("two slashes", "get", "ftp://h//etc/x", L .. E .. D, "DATA")
run("backslash", "get", { host = "h", path = "\\x" }, L .. E .. D, "DATA")
run("nlst", "get", { host = "h", command = "nlst", path = "/" }, L .. E .. D, "DATA")
run("list", "get", { host = "h", command = "LIST", path = "/pub/" }, L .. E .. D, "DATA")
run("wrong scheme", "get", "wrong://h/x")
run("no scheme", "get", "h/x")
run("no scheme but host", "get", "//h/x", L .. E .. D, "DATA")
run("wrong type", "get", "ftp://h/x;type=d", L .. T .. E .. D, "DATA")
run("uppercase type", "get", "ftp://h/x;type=I", L .. T .. E .. D, "DATA")
run("empty URL", "get", "")
run("type refused", "get", { host = "h", path = "/a", type = "i" }, L .. "504 no\r\n", "DATA")
run("put", "put", "ftp://u:p@h/a;type=i^content", L .. T .. E .. D, "")
run("put, generic", "put",
  {
    host = "h", argument = "arg", source = ltn12.source.string "abc", type = "a", port = 99, user = "U",
    password = "P", command = "appe",
  },
  L .. T .. E .. D, "")
run("put, 226 at once", "put", "ftp://u:p@h/a;type=i^content", L .. T .. E .. "226 fine\r\n221 bye\r\n", "")
run("put refused", "put", "ftp://u:p@h/a;type=i^content", L .. T .. E .. "553 no\r\n", "")
run("put, full", "put", "ftp://u:p@h/a;type=i^content", L .. T .. E .. "150 ok\r\n552 full\r\n", "")
run("put, source fails", "put", { host = "h", argument = "arg", source = ltn12.source.error "serr" },
  L .. E .. D, "")
run("put nothing", "put", "ftp://u:p@h/a;type=i^", L .. T .. E .. D, "")
run("command with check", "command", { host = "h", command = "dele", argument = "x", check = 250 },
  L .. "250 gone\r\n221 bye\r\n")
run("command fails", "command", { host = "h", command = "dele", argument = "x", check = 250 },
  L .. "550 no\r\n221 bye\r\n")
run("command without check", "command", { host = "h", command = "dele", argument = "x" },
  L .. "250 gone\r\n221 bye\r\n")
run("commands", "command",
  { host = "h", command = { "cwd", "dele" }, argument = { "d", "x" }, check = { 250, 550 } },
  L .. "250 cwd\r\n550 gone\r\n221 bye\r\n")
run("commands without check", "command",
  { host = "h", command = { "cwd", "dele" }, argument = { "d", "x" } },
  L .. "250 cwd\r\n250 gone\r\n221 bye\r\n")
run("check function", "command",
  {
    host = "h", command = { "cwd", "noop" }, argument = { "d" },
    check = { "2..", function(c, r) print("check", c, r) return 7 end },
  },
  L .. "250 cwd\r\n550 gone\r\n221 bye\r\n")
run("no command", "command", { host = "h" }, L)
run("command, no host", "command", { command = "noop" }, L)
run("command, url", "command", { url = "ftp://h/x", command = "noop" }, L .. "200 ok\r\n221 bye\r\n")
run("garbage", "get", "ftp://h/a;type=i", "hello\r\n", "DATA")
run("short reply", "get", "ftp://h/a;type=i", "22\r\n", "DATA")
run("truncated reply", "get", "ftp://h/a;type=i", "220 x", "DATA")
run("truncated lines", "get", "ftp://h/a;type=i", "220-x\r\nfoo", "DATA")
