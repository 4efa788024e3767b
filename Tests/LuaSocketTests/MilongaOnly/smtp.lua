-- socket.smtp where it does something else than LuaSocket, which is said after the name.
local cases = require "smtpcases"
local run, show, mail, text = cases.run, cases.show, cases.mail, cases.text
local G, E = cases.G, cases.E

run("no recipient: stock raises an error in its own code", { from = "<a@b>", source = text() }, G .. E)
run("no sender: stock raises an error in its own code", { rcpt = "<a@b>", source = text() }, G .. E)
run("no source: stock raises an error in its own code", { from = "<a@b>", rcpt = "<a@b>" }, G .. E)
run("line end in sender: a second command could be smuggled in", mail { from = "<a@b>\r\nDATA" }, G .. E)
run("line end in recipient: a second command could be smuggled in", mail { rcpt = { "<a@b>\nDATA" } },
  G .. E)
run("endless greeting: stock keeps it all", mail(),
  ("220-x\r\n"):rep(20000) .. "220 x\r\n" .. G:sub(9) .. E)
run("EHLO unknown: stock gives up", mail(), "220 x\r\n502 no\r\n250 old\r\n" .. E)
run("HELO unknown, too", mail(), "220 x\r\n502 no\r\n502 neither\r\n")
run("line ends of one byte: stock sends them, and servers may take them for the end",
  mail { source = text "a\n.\nb\r.c\r\n.\r\n" }, G .. E)
run("normalize = false: stock's way", mail { source = text "a\n.\nb", normalize = false }, G .. E)
show("table in a field: stock raises an error", { headers = { to = { "a", "b" } }, body = "x" })
show("fields that are no table: stock raises an error", { headers = "to: a", body = "x" })

show("boundary given: stock adds a second one",
  { headers = { ["content-type"] = "multipart/alternative; boundary=xyz" }, body = { { body = "one" } } })
show("line end in field: a second field could be smuggled in",
  { headers = { subject = "a\r\nBcc: b" }, body = "x" })
show("line end in field of a part: a second field could be smuggled in",
  { headers = {}, body = { { headers = { a = "b\nc: d" }, body = "x" } } })
