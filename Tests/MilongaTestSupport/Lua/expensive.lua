-- Calls that compute, for tests in which other clients have their turns between such calls.

local expensive = {}

--- Calls that were begun.
expensive.begun = 0

--- Computes for so many seconds.
function expensive.compute(seconds)
  local deadline = os.clock() + seconds
  while os.clock() < deadline do end
end

--- A call that computes for 5 ms.
function expensive.burn()
  expensive.begun = expensive.begun + 1
  expensive.compute(0.005)
  return expensive.begun
end

--- A call that computes nothing.
function expensive.count()
  expensive.begun = expensive.begun + 1
  return expensive.begun
end

return expensive
