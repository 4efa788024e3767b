-- A timer that is made inside of the loop, and gets a parameter.
local copas = require "copas"

copas(function()
  copas.timer.new {
    delay = 0.2,
    recurring = true,
    params = "once",
    callback = function(timer, word)
      print(word)
      timer:cancel()
    end,
  }
end)
