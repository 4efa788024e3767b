-- Functions for servers of tests. They keep calls under way until the test releases them, so a test
-- does not depend on time. A key tells the calls of one test from those of other tests.

local copas = require 'copas'

local gate = {}

local held = {}

local function entry(key)
  key = key == nil and '' or key
  local self = held[key]
  if not self then
    self = {count = 0, semaphore = copas.semaphore.new(1 << 30, 0, math.huge)}
    held[key] = self
  end
  return self, key
end

-- Returns its arguments when `release` was called with the same key.
function gate.hold(key, ...)
  local self = entry(key)
  self.count = self.count + 1
  self.semaphore:take(1)
  return key, ...
end

-- Waits until so many calls are held.
function gate.holding(wanted, key)
  while entry(key).count < wanted do copas.pause(0.001) end
end

-- Waits until so many calls are held, and releases all of them.
function gate.release(wanted, key)
  gate.holding(wanted, key)
  local self, name = entry(key)
  held[name] = nil
  self.semaphore:give(self.count)
end

return gate
