-- Random draws. Each call has draws of its own, made from the seed and the call's number. So a call
-- is the same whatever earlier calls returned, and calls can be left out.
local draws = {}
draws.__index = draws

local function mix(x)
  x = (x ~ (x >> 30)) * 0xbf58476d1ce4e5b9
  x = (x ~ (x >> 27)) * 0x94d049bb133111eb
  return x ~ (x >> 31)
end

function draws.new(seed, number)
  return setmetatable({state = mix(seed * 0x9e3779b97f4a7c15 + number)}, draws)
end

-- An integer from 1 to n.
function draws:upto(n)
  self.state = self.state + 0x9e3779b97f4a7c15
  return (mix(self.state) >> 1) % n + 1
end

function draws:of(list) return list[self:upto(#list)] end

-- True in `percent` of 100 draws.
function draws:chance(percent) return self:upto(100) <= percent end

return draws
