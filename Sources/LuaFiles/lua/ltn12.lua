-- ltn12: filters, sources, sinks and pumps, the plumbing that carries data in pieces.
--
-- A source gives its next piece each time it is called: a string, nil when there is no
-- more, or nil and an error. A sink takes one piece per call, nil at the end, and answers
-- a true value, or nil and an error. A filter maps a piece to a piece. It may owe more than
-- it returned: it is then asked with "" until it answers "", and after the final nil it is
-- asked with nil until it answers nil. A pump moves pieces from a source to a sink.

---@alias ltn12.filter fun(chunk?: string): string?
---@alias ltn12.source fun(): string?, string?
---@alias ltn12.sink fun(chunk?: string, err?: string): any, string?
---@alias ltn12.step fun(source: ltn12.source, sink: ltn12.sink): any, string?

local filter, source, sink, pump = {}, {}, {}, {}

local ltn12 = {
  _VERSION = "LTN12 1.0.3",
  BLOCKSIZE = 2048, -- the size of the pieces that files and strings are cut into
  filter = filter,
  source = source,
  sink = sink,
  pump = pump,
}

local INAPPROPRIATE_NIL = "filter returned inappropriate nil"
local NOT_OPEN = "unable to open file"

-- Refuses a missing argument by its position and by the name of the function.
local function need(value, position, name, what)
  if value then return end
  local message = "bad argument #%d to '%s' (%s expected, got %s)"
  error(message:format(position, name, what, type(value)), 3)
end

-- Sources and sinks without a state: a source that has no data, a sink that takes all data, and
-- one that fails, which is both.
local function nothing() return nil end
local function accept() return 1 end
local function failing(err)
  return function() return nil, err end
end

---------------------------------------------------------------- filters

---A filter that keeps the context of a low-level filter between pieces.
---@param low fun(ctx: any, chunk?: string, extra?: any): string?, any
---@param ctx? any the first context
---@param extra? any passed to `low` every time
---@return ltn12.filter
function filter.cycle(low, ctx, extra)
  need(low, 1, "cycle", "function")
  return function(chunk)
    local out
    out, ctx = low(ctx, chunk, extra)
    return out
  end
end

-- One filter of a chain. `pull` gives the next piece that comes out of this stage for the
-- piece `chunk` that went into the chain: "" when all of it is used up, nil at the end.
local Stage = {}
Stage.__index = Stage

-- What `filter.chain` has made, and for each a function that gives one piece at a time at the end,
-- too. Sources and sinks ask until there is no more.
local stepwise = setmetatable({}, { __mode = "k" })

local function newstage(transform, upstream)
  return setmetatable({
    transform = stepwise[transform] or transform,
    upstream = upstream, -- the stage before this one; the first has none
    owes = false,        -- the last answer was data: there may be more
    ended = false,       -- upstream has said nil
  }, Stage)
end

-- The next piece for this stage to work on.
function Stage:input(chunk)
  if self.owes then return "" end
  if self.upstream then return self.upstream:pull(chunk) end
  return chunk
end

function Stage:pull(chunk)
  while true do
    local input = not self.ended and self:input(chunk) or nil
    if self.upstream and input == "" and not self.owes then return "" end
    self.ended = input == nil
    local output = self.transform(input)
    if output == nil and input and self.upstream then error(INAPPROPRIATE_NIL, 0) end
    self.owes = output ~= nil and output ~= ""
    if self.owes or input == nil or not self.upstream then return output end
    chunk = chunk and "" -- the first stage has had its piece: only what is owed is left
  end
end

-- Makes the stages ready for another stream.
function Stage:rewind()
  self.owes, self.ended = false, false
  if self.upstream then self.upstream:rewind() end
end

-- All that a chain gives for "" (what it owes), or for nil (what it holds at the end), as a list.
local function drain(last, chunk, pieces)
  local before
  while true do
    local output = last:pull(chunk)
    if not output then return pieces, true end
    if output == "" and (chunk or before == "") then return pieces, false end
    pieces[#pieces + 1] = output
    before = output
  end
end

---A filter that passes data through several filters, one after the other. It owes what it does not
---return at once, like any filter. A program that does not ask for it with "" gets it with the next
---piece; and the last call, with nil, gives all that is left.
---@param ... ltn12.filter
---@return ltn12.filter
function filter.chain(...)
  local last
  for _, transform in ipairs { ... } do last = newstage(transform, last) end
  if not last then return nothing end
  local owing, flushed = false, false
  local function pull(chunk)
    local output = last:pull(chunk)
    owing = output ~= nil and output ~= ""
    if output == nil then last:rewind() end
    return output
  end
  local function flush()
    if flushed then -- asked once more, as it has to be
      flushed = false
      return nil
    end
    local pieces, ended = drain(last, nil, {})
    local rest = table.concat(pieces)
    owing, flushed = false, ended and rest ~= ""
    if ended then last:rewind() end
    return (rest ~= "" or not ended) and rest or nil
  end
  local function chain(chunk)
    if not chunk then return flush() end
    flushed = false
    if chunk == "" or not owing then return pull(chunk) end
    local pieces = drain(last, "", {})
    pieces[#pieces + 1] = pull(chunk)
    return table.concat(pieces)
  end
  stepwise[chain] = pull
  return chain
end

---------------------------------------------------------------- sources

---A source without data.
---@return ltn12.source
function source.empty() return nothing end

---A source that fails.
---@type fun(err?: string): ltn12.source
source.error = failing

---The contents of a file, which is closed at its end. Made for `source.file(io.open(name))`.
---@param handle? file*
---@param err? string why there is no handle
---@return ltn12.source
function source.file(handle, err)
  if not handle then return failing(err or NOT_OPEN) end
  return function()
    local chunk, failure = handle:read(ltn12.BLOCKSIZE)
    if chunk then return chunk end
    handle:close()
    return nil, failure
  end
end

---Turns a fancy source, which may answer with its own successor, into a simple one.
---@param src fun(): string?, any
---@return ltn12.source
function source.simplify(src)
  need(src, 1, "simplify", "source")
  return function()
    local chunk, more = src()
    if not chunk then
      src = failing(more)
      return src()
    end
    if more then src = more end
    return chunk
  end
end

---The bytes of a string, in pieces of `BLOCKSIZE`.
---@param text? string
---@return ltn12.source
function source.string(text)
  if not text then return nothing end
  text = tostring(text)
  local given = 0 -- so many bytes were handed out
  return function()
    if given >= #text then return nil end
    local chunk = text:sub(given + 1, given + ltn12.BLOCKSIZE)
    given = given + #chunk
    return chunk
  end
end

---The values of a table at 1, 2, 3, ...
---@param list string[]
---@return ltn12.source
function source.table(list)
  need(type(list) == "table" or nil, 1, "table", "table")
  local index = 0
  return function()
    index = index + 1
    return list[index]
  end
end

---A source that takes pieces back: called with a piece, it gives out that piece next.
---@param src ltn12.source
---@return fun(chunk?: string): string?, string?
function source.rewind(src)
  need(src, 1, "rewind", "source")
  local returned = {}
  return function(chunk)
    if chunk then
      returned[#returned + 1] = chunk
      return
    end
    if #returned > 0 then return table.remove(returned) end
    return src()
  end
end

---A source whose data goes through filters first.
---@param src ltn12.source
---@param ... ltn12.filter
---@return ltn12.source
function source.chain(src, ...)
  need(src, 1, "chain", "source")
  need((...), 2, "chain", "filter")
  local transform = stepwise[filter.chain(...)]
  local input, owed = "", false -- the last piece read, and whether there may be more of it
  local ended = false
  return function()
    while not ended do
      if owed then
        input = input and ""
      else
        local err
        input, err = src()
        if err then return nil, err end
      end
      local output = transform(input)
      if output == nil then
        if input then error(INAPPROPRIATE_NIL, 2) end
        ended = true
      elseif output == "" then
        owed = not input -- nil is repeated until the filter is empty
      else
        owed = true
        return output
      end
    end
    return nil
  end
end

---The data of several sources, one after the other.
---@param ... ltn12.source
---@return ltn12.source
function source.cat(...)
  local nextsource = source.table { ... }
  local current = nextsource()
  return function()
    while current do
      local chunk, err = current()
      if chunk then return chunk end
      if err then return nil, err end
      current = nextsource()
    end
  end
end

---------------------------------------------------------------- sinks

---A sink that throws everything away.
---@return ltn12.sink
function sink.null() return accept end

---A sink that fails.
---@type fun(err?: string): ltn12.sink
sink.error = failing

---A sink that writes to a file, which is closed at the end of the data.
---@param handle? file*
---@param err? string why there is no handle
---@return ltn12.sink
function sink.file(handle, err)
  if not handle then return failing(err or NOT_OPEN) end
  return function(chunk)
    if chunk then return handle:write(chunk) end
    handle:close()
    return 1
  end
end

---A sink that collects the pieces in a table.
---@param list? string[]
---@return ltn12.sink
---@return string[]
function sink.table(list)
  list = list or {}
  return function(chunk)
    if chunk then list[#list + 1] = chunk end
    return 1
  end, list
end

---Turns a fancy sink, which may answer with its own successor, into a simple one.
---@param snk fun(chunk?: string, err?: string): any, any
---@return ltn12.sink
function sink.simplify(snk)
  need(snk, 1, "simplify", "sink")
  return function(chunk, err)
    local ok, more = snk(chunk, err)
    if not ok then
      snk = failing(more)
      return snk()
    end
    if more then snk = more end
    return 1
  end
end

---A sink that passes its data through filters first: `sink.chain(filter, ..., sink)`.
---@param first ltn12.filter
---@param ... ltn12.filter|ltn12.sink the last one is the sink
---@return ltn12.sink
function sink.chain(first, ...)
  local count = select("#", ...)
  local target = select(count > 0 and count or 1, ...)
  need(first, 1, "chain", "filter")
  need(target, 2, "chain", "sink")
  local transform = count == 1 and first or filter.chain(first, table.unpack({ ... }, 1, count - 1))
  transform = stepwise[transform] or transform
  return function(chunk, err)
    if chunk == "" then return 1 end
    local spent = chunk and "" -- what the filter is asked with, and answers, when it has no more
    repeat
      local output = transform(chunk)
      if output == nil and spent then error(INAPPROPRIATE_NIL, 2) end
      local ok, failure = target(output, err)
      if not ok then return nil, failure end
      chunk = spent
    until output == spent
    return 1
  end
end

---------------------------------------------------------------- pumps

---Moves one piece. The first result is false or nil when there was none, or on an error.
---@param src ltn12.source
---@param snk ltn12.sink
---@return any
---@return string? err
function pump.step(src, snk)
  need(src, 1, "step", "source")
  need(snk, 2, "step", "sink")
  local chunk, failure = src()
  local ok, refusal = snk(chunk, failure)
  if chunk and ok then return 1 end
  return nil, failure or refusal
end

---Moves everything, calling `step` (by default `pump.step`) until it says that is all.
---@param src ltn12.source
---@param snk ltn12.sink
---@param step? ltn12.step
---@return any
---@return string? err
function pump.all(src, snk, step)
  need(src, 1, "all", "source")
  need(snk, 2, "all", "sink")
  step = step or pump.step
  local moved, err
  repeat moved, err = step(src, snk) until not moved
  if err then return nil, err end
  return 1
end

return ltn12
