-- socket.headers: how field names of HTTP and mail are written.
--
-- The other modules keep names in lowercase; what is sent is `canonic[name] or name`.

-- Names as the standards write them; the keys of the table are made from these.
local names = {
  -- HTTP
  "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Accept-Ranges",
  "Age", "Allow", "Authorization", "Cache-Control", "Connection", "Content-Encoding",
  "Content-Language", "Content-Length", "Content-Location", "Content-MD5",
  "Content-Range", "Content-Type", "Cookie", "Date", "ETag", "Expect", "Expires", "From",
  "Host", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
  "If-Unmodified-Since", "Last-Modified", "Location", "Max-Forwards", "Pragma",
  "Proxy-Authenticate", "Proxy-Authorization", "Range", "Referer", "Retry-After",
  "Server", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Vary", "Via",
  "Warning", "WWW-Authenticate",
  -- messages
  "Bcc", "Cc", "Comments", "In-Reply-To", "Keywords", "Message-ID", "Received",
  "References", "Reply-To", "Resent-Bcc", "Resent-Cc", "Resent-Date", "Resent-From",
  "Resent-Message-ID", "Resent-Reply-To", "Resent-Sender", "Resent-To", "Return-Path",
  "Sender", "Subject", "To", "X-Mailer",
  -- MIME
  "Content-Description", "Content-Disposition", "Content-ID",
  "Content-Transfer-Encoding", "MIME-Version",
  -- delivery status notifications
  "Action", "Alternate-Recipient", "Arrival-Date", "Diagnostic-Code", "DSN-Gateway",
  "Final-Log-ID", "Final-Recipient", "Last-Attempt-Date", "Original-Envelope-ID",
  "Original-Recipient", "Received-From-MTA", "Remote-MTA", "Reporting-MTA",
  "SMTP-Remote-Recipient", "Status", "Will-Retry-Until",
}

---@type table<string, string>
local canonic = {}
for _, name in ipairs(names) do canonic[name:lower()] = name end

local headers = { canonic = canonic }
require("socket").headers = headers
return headers
