-- oks: 19
-- copas.smtp: mail from many threads.
local copas = require "copas"
local socket = require "socket"
local smtp = copas.smtp
local original = require "socket.smtp"
local ltn12 = require "ltn12"
local check = require "check"
local web = require "web"

local mails = {}

-- Serves one session. It refuses mail to the user `nobody`.
local function serve(c)
  local mail = {}
  c:send "220-here\r\n220 ready\r\n"
  for line in function() return c:receive() end do
    mail[#mail + 1] = line
    if line == "QUIT" then
      mails[#mails + 1] = mail
      return c:send "221 bye\r\n"
    elseif line:find "^EHLO" then
      c:send "250-here\r\n250-AUTH PLAIN\r\n250 OK\r\n"
    elseif line == "DATA" then
      c:send "354 go on\r\n"
      repeat
        line = c:receive()
        mail[#mail + 1] = line
      until line == "."
      c:send "250 taken\r\n"
    else
      c:send(line:find "nobody" and "550 no such user\r\n" or "250 ok\r\n")
    end
  end
end
local port = web.listen(serve)

local function mail(fields)
  local request = {
    server = "localhost", port = port, from = "<a@here>", rcpt = "<b@there>",
    source = smtp.message {headers = {subject = "test"}, body = "a line\r\n.\r\nanother"},
  }
  for name, value in pairs(fields or {}) do request[name] = value end
  return request
end

check.equal("a module and a field of copas", require "copas.smtp", smtp)
check.equal("message", smtp.message, original.message)
check.equal("SERVER", smtp.SERVER, "localhost")
smtp.DOMAIN, smtp.TIMEOUT = "tests", 10
check.ok("settings are the same", original.DOMAIN == "tests" and rawget(smtp, "DOMAIN") == nil)
smtp.own = true
check.ok("other fields are not", original.own == nil and smtp.own)

check.run(function()
  check.equal("send", smtp.send(mail()), 1)
  local lines = table.concat(mails[1], "\n")
  check.ok("what came", lines:find "^EHLO tests\nMAIL FROM:<a@here>\nRCPT TO:<b@there>\nDATA\n"
    and lines:find "\na line\n%.%.\nanother\n%.\nQUIT$", lines)
  local request = mail {rcpt = {"<b@there>", "<c@there>"}, user = "u", password = "p"}
  check.equal("with a user", smtp.send(request), 1)
  check.equal("the request is left as it is", request.create, nil)
  check.ok("who is told", table.concat(mails[2], "\n"):find "AUTH PLAIN AHUAcA==\n")
  local nothing, err = smtp.send(mail {rcpt = "<nobody@there>"})
  check.ok("refused", nothing == nil and err == "550 no such user", err)
  check.equal("no server", select(2, smtp.send(mail {port = check.freePort()})), "connection refused")
  check.equal("no source", select(2, smtp.send {from = "<a@here>", rcpt = "<b@there>"}), "missing source")
  local made = 0
  check.equal("create", smtp.send(mail {create = function()
    made = made + 1
    return copas.wrap(socket.tcp())
  end}), 1)
  check.equal("is called", made, 1)

  -- timeouts
  local silent = web.listen(function(c) c:receive "*a" end)
  smtp.TIMEOUT = 0.05
  local start = socket.gettime()
  check.equal("a silent server", select(2, smtp.send(mail {port = silent})), "timeout")
  check.ok("for TIMEOUT", socket.gettime() - start < 50)
  smtp.TIMEOUT = 60

  -- many at once, with sources that wait
  local before, done, good = #mails, 0, 0
  for i = 1, 30 do
    copas.addthread(function()
      local left = 3
      local function source()
        left = left - 1
        copas.pause(0.001)
        return left >= 0 and ("mail %d\r\n"):format(i) or nil
      end
      if smtp.send(mail {source = ltn12.source.simplify(source)}) == 1 then good = good + 1 end
      done = done + 1
    end)
  end
  while done < 30 do copas.pause(0.005) end
  check.equal("many mails", good, 30)
  local whole = 0
  for i = before + 1, #mails do
    local number = mails[i][5]
    if mails[i][6] == number and mails[i][7] == number then whole = whole + 1 end
  end
  check.equal("not mixed up", whole, 30)
  web.stop()
end)
