-- socket.smtp: sessions and messages.
local ltn12 = require "ltn12"
local cases = require "smtpcases"
local run, show, mail, text = cases.run, cases.show, cases.mail, cases.text
local G, E, A, login = cases.G, cases.E, cases.A, cases.login

run("simple", mail(), G .. E)
run("without brackets", mail { from = "a@b", rcpt = "c@d" }, G .. E)
run("several recipients", mail { rcpt = { "<c@d>", "<e@f>" } },
  "220 x\r\n250 ehlo\r\n250 f\r\n250 r1\r\n251 r2\r\n354 \r\n250 q\r\n221 z\r\n")
run("recipient refused", mail { rcpt = { "<c@d>", "<e@f>" } },
  "220 x\r\n250 ehlo\r\n250 f\r\n250 r1\r\n550 no r2\r\n")
run("sender refused", mail(), G .. "553 no\r\n")
run("data refused", mail(), G .. "250 a\r\n250 b\r\n554 nodata\r\n")
run("message refused", mail(), G .. "250 a\r\n250 b\r\n354 x\r\n552 big\r\n")
run("no reply to QUIT", mail(), G .. "250 a\r\n250 b\r\n354 x\r\n250 ok\r\n")
run("greeting fails", mail(), "554 go away\r\n")
run("greeting of two lines fails", mail(), "554-go\r\n554 away\r\n")
run("EHLO refused", mail(), "220 x\r\n421 no\r\n")
run("server, port, domain", mail { server = "srv", port = 2525, domain = "dom" }, G .. E)
run("LOGIN before PLAIN", mail(login), G .. "334 VXNl\r\n334 UGFz\r\n" .. A .. E)
run("PLAIN", mail(login), "220 x\r\n250-me\r\n250 AUTH PLAIN\r\n" .. A .. E)
run("LOGIN", mail(login), "220 x\r\n250-me\r\n250 AUTH LOGIN\r\n334 a\r\n334 b\r\n" .. A .. E)
run("AUTH=LOGIN", mail(login), "220 x\r\n250-me\r\n250 AUTH=LOGIN\r\n334 a\r\n334 b\r\n" .. A .. E)
run("no AUTH", mail(login), "220 x\r\n250 me\r\n" .. E)
run("other AUTH", mail(login), "220 x\r\n250-me\r\n250 AUTH CRAM-MD5\r\n" .. E)
run("LOGIN on another line", mail(login), "220 x\r\n250-AUTH CRAM-MD5\r\n250 XLOGIN\r\n" .. E)
run("auth in lowercase", mail(login), "220 x\r\n250-me\r\n250 auth plain\r\n" .. A .. E)
run("PLAIN refused", mail(login), "220 x\r\n250-me\r\n250 AUTH PLAIN\r\n535 bad\r\n")
run("LOGIN refused", mail(login), "220 x\r\n250-me\r\n250 AUTH LOGIN\r\n500 a\r\n")
run("LOGIN user refused", mail(login), "220 x\r\n250-me\r\n250 AUTH LOGIN\r\n334 x\r\n535 a\r\n")
run("user without password", mail { user = "u" }, G .. E)
run("long password", mail { user = ("u"):rep(100), password = ("p"):rep(100) },
  "220 x\r\n250-me\r\n250 AUTH PLAIN\r\n" .. A .. E)
run("source fails", mail { source = ltn12.source.error "serr" }, G .. E)
run("empty source", mail { source = ltn12.source.empty() }, G .. E)
run("dots", mail { source = text ".\r\n..\r\nx\r\n.\r\n" }, G .. E)
run("dots across pieces", mail { source = ltn12.source.table { "a\r", "\n", ".", "b\r\n", ".\r\n." } },
  G .. E)
run("step", mail { step = function(a, b) print("step") return ltn12.pump.step(a, b) end }, G .. E)
run("connect fails", mail { options = { connecterror = "refused" } }, G .. E)


show("string", { headers = { subject = "s", ["X-Foo"] = "bar" }, body = "hello" })
show("no body", { headers = { subject = "s" } })
show("no headers", { body = "x" })
show("empty", {})
show("source", { headers = {}, body = ltn12.source.string(("abc"):rep(1000)) })
show("source fails", { headers = {}, body = ltn12.source.error "boo" })
show("number", { headers = {}, body = 5 })
show("empty string", { headers = {}, body = "" })
show("multipart",
  {
    headers = { subject = "s" },
    body = {
      preamble = "PRE", { body = "one" },
      { headers = { ["content-type"] = "text/html; charset=x" }, body = "two" }, epilogue = "EPI",
    },
  })
show("multipart/alternative",
  { headers = { subject = "s", ["Content-Type"] = "multipart/alternative" }, body = { { body = "one" } } })
show("nested",
  {
    headers = {},
    body = {
      { body = { { body = "deep" }, { body = ltn12.source.string "source" } } },
      { headers = { a = "b" }, body = "z" },
    },
  })
show("no parts", { headers = {}, body = {} })
show("failing part", { headers = {}, body = { { body = ltn12.source.error "E" }, { body = "x" } } })
show("own fields",
  {
    headers = { date = "D", ["x-mailer"] = "XM", ["mime-version"] = "9", ["Content-type"] = "t/p" },
    body = "x",
  })
show("zone", { zone = "+0100", headers = { zone = "x" }, body = "x" })
show("canonic names", { headers = { ["message-id"] = "<x>", CC = "y", ["content-id"] = 5 }, body = "x" })
show("folded field", { headers = { subject = "a\r\n b" }, body = "x" })
