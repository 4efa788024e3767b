-- socket.smtp over TCP, with a server in another process that prints what it takes.
local smtp = require "socket.smtp"
local ltn12 = require "ltn12"
local mime = require "mime"
local servers = require "servers"
local t = require "show"

smtp.TIMEOUT = 10
local port, stop = servers.start "smtp"

local function send(label, fields)
  local mail = {
    from = "<from@here>", rcpt = "<to@there>", server = "127.0.0.1", port = port,
    source = ltn12.source.string "Subject: hello\r\n\r\nHello\r\n.\r\n..two\r\nbye",
  }
  for name, value in pairs(fields or {}) do mail[name] = value end
  t.show(label, smtp.send(mail))
end

send "send"
send("recipients", { rcpt = { "<a@b>", "<c@d>" } })
send("recipient refused", { rcpt = { "<a@b>", "<nobody@d>" } })
send("login", { user = "user", password = "secret" })
send("source fails", { source = ltn12.source.error "broken" })
send("refused", { port = t.freePort() })
send("long", { source = ltn12.source.string((("x"):rep(70) .. "\r\n"):rep(300)) })
send("encoded", {
  source = ltn12.source.chain(ltn12.source.string(("\0\1\255."):rep(100)),
    ltn12.filter.chain(mime.encode "base64", mime.wrap "base64", mime.normalize())),
})

-- Header fields come in any order; boundaries and versions differ.
local function canonical(text)
  local out, head = {}, {}
  text = text:gsub("%d+==%d+", "BOUNDARY"):gsub("=_%x+", "BOUNDARY"):gsub("LuaSocket %S+", "LuaSocket")
  for line in text:gmatch "[^\n]+" do
    if line:find "^| %a[%w-]+: " then
      head[#head + 1] = line
    else
      table.sort(head)
      table.move(head, 1, #head, #out + 1, out)
      out[#out + 1], head = line, {}
    end
  end
  return table.concat(out, "\n")
end
send("message", { source = smtp.message {
  headers = { date = "D", subject = "s", to = "me" },
  body = {
    preamble = "pre\r\n",
    { body = mime.eol(0, "text\n.\ntext\n") },
    { headers = { ["content-type"] = "image/png", ["content-transfer-encoding"] = "BASE64" },
      body = ltn12.source.chain(ltn12.source.string(("\0\1\255"):rep(100)),
        ltn12.filter.chain(mime.encode "base64", mime.wrap())) },
    epilogue = "epi",
  },
} })

print(canonical(stop()))
