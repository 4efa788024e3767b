-- The first error of a thread ends all others, and the program.
local copas = require "copas"
local report

copas(function()
  copas.seterrorhandler(function(...)
    report = copas.gettraceback(...)
    copas.cancelall()
  end, true)

  copas.addthread(function()
    print "waiting"
    copas.pause(3600)
  end)

  copas.addthread(function()
    copas.pause(0.2)
    error "a fault"
  end)
end)

assert(report == nil, report)
