-- oks: 10
-- Run with few descriptors: `ulimit -n 32`.
local xpio = require "xpio"
local check = require "check"

local held = {}
local why
repeat
  held[#held + 1], why = xpio.socket("UDP")
until why
check.ok("no descriptors left for a socket", #held > 5 and #held < 32 and why == "Too many open files", #held, why)
check.results("for a pipe", table.pack(xpio.pipe()), nil, "Too many open files")
check.results("for a pair", table.pack(xpio.socketpair()), nil, "Too many open files")
check.results("for a duplicate", table.pack(xpio.fdopen(0)), nil, "Too many open files")
check.results("for a queue", table.pack(xpio.tqueue()), nil, "Too many open files")
check.results("for a process", table.pack(xpio.spawn({"/bin/true"}, {}, {})), nil, "cannot make a process: Too many open files")
held[#held]:close()
check.equal("of which none is left", #check.children(), 0)
local process = xpio.spawn({"/bin/true"}, {}, {[0] = held[1], [20] = held[2]})
check.ok("one descriptor is enough for a process", process)
check.equal("what it was granted is closed", held[1]:fileno(), -1)
check.results("and it ends", table.pack(check.await(process, "wait", "wait")), "exit", 0)
