-- socket.url.absolute by RFC 3986: its tables, and what they do not have. Where LuaSocket's own
-- tests say otherwise, they win; the list is at the end.
local url = require "socket.url"

local function check(base, references)
  for reference, want in pairs(references) do
    local got = url.absolute(base, reference)
    assert(got == want, ("%s on %s: %s instead of %s"):format(reference, base, got, want))
  end
end

-- 5.4.1 and 5.4.2
check("http://a/b/c/d;p?q", {
  ["g:h"] = "g:h", ["g"] = "http://a/b/c/g", ["./g"] = "http://a/b/c/g", ["g/"] = "http://a/b/c/g/",
  ["/g"] = "http://a/g", ["//g"] = "http://g", ["?y"] = "http://a/b/c/d;p?y", ["g?y"] = "http://a/b/c/g?y",
  ["#s"] = "http://a/b/c/d;p?q#s", ["g#s"] = "http://a/b/c/g#s", ["g?y#s"] = "http://a/b/c/g?y#s",
  ["g;x"] = "http://a/b/c/g;x", ["g;x?y#s"] = "http://a/b/c/g;x?y#s", [""] = "http://a/b/c/d;p?q",
  ["."] = "http://a/b/c/", ["./"] = "http://a/b/c/", [".."] = "http://a/b/", ["../"] = "http://a/b/",
  ["../g"] = "http://a/b/g", ["../.."] = "http://a/", ["../../"] = "http://a/", ["../../g"] = "http://a/g",
})
check("http://a/b/c/d;p?q", {
  ["../../../g"] = "http://a/g", ["../../../../g"] = "http://a/g", ["/./g"] = "http://a/g",
  ["/../g"] = "http://a/g", ["g."] = "http://a/b/c/g.", [".g"] = "http://a/b/c/.g", ["g.."] = "http://a/b/c/g..",
  ["..g"] = "http://a/b/c/..g", ["./../g"] = "http://a/b/g", ["./g/."] = "http://a/b/c/g/",
  ["g/./h"] = "http://a/b/c/g/h", ["g/../h"] = "http://a/b/c/h", ["g;x=1/./y"] = "http://a/b/c/g;x=1/y",
  ["g;x=1/../y"] = "http://a/b/c/y", ["g?y/./x"] = "http://a/b/c/g?y/./x", ["g?y/../x"] = "http://a/b/c/g?y/../x",
  ["g#s/./x"] = "http://a/b/c/g#s/./x", ["g#s/../x"] = "http://a/b/c/g#s/../x", ["http:g"] = "http:g",
})

-- Bases of other shapes, queries and fragments that look like paths, percent-encoding.
check("http://a", { ["g"] = "http://a/g", ["?y"] = "http://a?y", ["#s"] = "http://a#s", [".."] = "http://a/" })
check("http://u:p@[::1]:8/a?q=../x", {
  ["b"] = "http://u:p@[::1]:8/b", [""] = "http://u:p@[::1]:8/a?q=../x", ["#/../s"] = "http://u:p@[::1]:8/a?q=../x#/../s",
})
check("http://h/a/", {
  ["login?next=/x/../y"] = "http://h/a/login?next=/x/../y", ["%2e%2e/%41"] = "http://h/a/%2e%2e/%41",
  ["https://k/a/../b?c/../d"] = "https://k/b?c/../d", ["//k/./b#c/./d"] = "http://k/b#c/./d", ["?"] = "http://h/a/?",
})
check("http://a/b;p/c;q", { ["g"] = "http://a/b;p/g", ["../g"] = "http://a/g", ["?y"] = "http://a/b;p/c;q?y" })
check("x:a/b", { ["../../g"] = "x:/g", ["g"] = "x:a/g", ["y:../g"] = "y:g", ["y:.."] = "y:" })
check("/a/b", { ["..//g"] = "/.//g", ["../g"] = "/g", ["//g"] = "//g" })
check("../a/b", { ["../c"] = "../c", ["../../c"] = "../../c", ["."] = "../a/" })

-- LuaSocket's tests: a fragment of the base stays; ";x" changes the parameters alone; on a base with
-- a fragment dots are removed from queries and fragments.
check("http://a/b/c/d;p?q#f", {
  [""] = "http://a/b/c/d;p?q#f", [";x"] = "http://a/b/c/d;x", ["g?y/./x"] = "http://a/b/c/g?y/x",
  ["g#s/./x"] = "http://a/b/c/g#s/x", ["?y"] = "http://a/b/c/d;p?y", ["g;x=1/../y"] = "http://a/b/c/y",
})

-- Where the authority ends. A password may have "?" and "#"; what follows a host or a port has no user.
for text, want in pairs {
  ["http://h?m=me@example.com"] = "h - - m=me@example.com -",
  ["http://h:80?m=me@example.com"] = "h 80 - m=me@example.com -",
  ["http://h#me@example.com"] = "h - - - me@example.com", ["http://u:p?w#d@h:1/"] = "h 1 u - -",
  ["http://u@h?x@y"] = "h - u x@y -", ["http://u:1@h?x@y"] = "h - u x@y -",
  ["http://[::1]:8/?x@y"] = "::1 8 - x@y -", ["http://[::1]?x@y"] = "::1 - - x@y -",
} do
  local parts = url.parse(text)
  local got = {}
  for i, name in ipairs { "host", "port", "user", "query", "fragment" } do got[i] = parts[name] or "-" end
  got = table.concat(got, " ")
  assert(got == want, ("%s: %s instead of %s"):format(text, got, want))
  assert(url.build(parts) == text, url.build(parts))
end
