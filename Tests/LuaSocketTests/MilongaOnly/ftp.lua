-- socket.ftp where it does something else than LuaSocket, which is said after the name.
local cases = require "ftpcases"
local run = cases.run
local L, T, E, D = cases.L, cases.T, cases.E, cases.D

run("no EPSV: stock does not try PASV", "get", "ftp://h/a/b",
  L .. "500 no\r\n227 ok (1,2,3,4,5,6)\r\n" .. D, "DATA")
run("no EPSV, no PASV: stock does not try it", "get", "ftp://h/a/b", L .. "500 no\r\n500 neither\r\n" .. D,
  "DATA")
run("PASV malformed: stock does not try it", "get", "ftp://h/a/b",
  L .. "500 no\r\n227 ok (1,2,3,4,5)\r\n" .. D, "DATA")
run("PASV out of range: stock does not try it", "get", "ftp://h/a/b",
  L .. "500 no\r\n227 ok (1,2,3,4,555,6)\r\n" .. D, "DATA")
run("EPSV port out of range: stock tries to connect", "get", "ftp://h/a",
  L .. "229 ok (|||99999|)\r\n" .. D, "D")
run("no sink: stock raises an error in its own code", "get", { host = "h", path = "x", nosink = 1 },
  L .. E .. D, "DATA")
run("other parameters: stock raises an error in its own code", "get", "ftp://h/x;foo=d", L .. T .. E .. D,
  "DATA")
run("line end in argument: a second command could be smuggled in", "get",
  { host = "h", argument = "a\r\nDELE b" }, L .. E .. D, "DATA")
run("line end in URL: a second command could be smuggled in", "get", "ftp://h/a%0d%0aDELE%20b",
  L .. E .. D, "DATA")
run("line end in user: a second command could be smuggled in", "get", { host = "h", user = "a\r\nDELE b" },
  L .. E .. D, "DATA")
run("put without source: stock raises an error in its own code", "put", { host = "h", argument = "x" },
  L .. E .. D, "")
run("command without check fails: stock takes the reply for that to QUIT", "command",
  { host = "h", command = "dele", argument = "x" }, L .. "550 no\r\n221 bye\r\n")
run("last line without text: stock reads on", "get", "ftp://h/a;type=i",
  "220-x\r\n220\r\n" .. L:sub(9) .. T .. E .. D, "DATA")
run("endless line: stock keeps it all", "get", "ftp://h/a;type=i",
  "220 " .. ("x"):rep(100000) .. "\r\n" .. L:sub(9) .. T .. E .. D, "DATA")
run("endless reply: stock keeps it all", "get", "ftp://h/a;type=i",
  ("220-x\r\n"):rep(20000) .. "220 x\r\n" .. L:sub(9) .. T .. E .. D, "DATA")
run("user and password of a URL: stock does not decode them", "get", "ftp://u%40:p%3a@h/a", L .. E .. D, "DATA")
run("of fields: as they are", "get", { url = "ftp://x:y@h/a", user = "u%40", password = "p%3a" }, L .. E .. D, "DATA")
