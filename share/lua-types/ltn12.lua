---@meta ltn12
-- ltn12: filters, sources, sinks and pumps.

---@alias ltn12.filter fun(chunk?: string): string?
---@alias ltn12.source fun(): string?, string?
---@alias ltn12.sink fun(chunk?: string, err?: string): any, string?
---@alias ltn12.step fun(source: ltn12.source, sink: ltn12.sink): any, string?

---@class ltn12
---@field _VERSION string
---@field BLOCKSIZE integer the size of the pieces that files and strings are cut into
---@field filter ltn12.filters
---@field source ltn12.sources
---@field sink ltn12.sinks
---@field pump ltn12.pumps
local ltn12 = {}

---@class ltn12.filters
local filter = {}
---Passes data through several filters, one after the other.
---@param ... ltn12.filter
---@return ltn12.filter
function filter.chain(...) end
---Keeps the context of a low-level filter between pieces.
---@param low fun(ctx: any, chunk?: string, extra?: any): string?, any
---@param ctx? any the first context
---@param extra? any passed to `low` every time
---@return ltn12.filter
function filter.cycle(low, ctx, extra) end

---@class ltn12.sources
local source = {}
---The data of several sources, one after the other.
---@param ... ltn12.source
---@return ltn12.source
function source.cat(...) end
---Data that goes through filters first.
---@param src ltn12.source
---@param ... ltn12.filter
---@return ltn12.source
function source.chain(src, ...) end
---No data.
---@return ltn12.source
function source.empty() end
---An error.
---@param err? string
---@return ltn12.source
function source.error(err) end
---The contents of a file, which is closed at its end: `source.file(io.open(name))`.
---@param handle? file*
---@param err? string
---@return ltn12.source
function source.file(handle, err) end
---A source one can give pieces back to, by calling it with them.
---@param src ltn12.source
---@return fun(chunk?: string): string?, string?
function source.rewind(src) end
---Makes a fancy source simple.
---@param src fun(): string?, any
---@return ltn12.source
function source.simplify(src) end
---The bytes of a string.
---@param text? string
---@return ltn12.source
function source.string(text) end
---The values of a table at 1, 2, 3, ...
---@param list string[]
---@return ltn12.source
function source.table(list) end

---@class ltn12.sinks
local sink = {}
---Passes data through filters on its way to a sink, the last argument.
---@param first ltn12.filter
---@param ... ltn12.filter|ltn12.sink
---@return ltn12.sink
function sink.chain(first, ...) end
---Refuses all data.
---@param err? string
---@return ltn12.sink
function sink.error(err) end
---Writes to a file, which is closed at the end: `sink.file(io.open(name, "wb"))`.
---@param handle? file*
---@param err? string
---@return ltn12.sink
function sink.file(handle, err) end
---Throws all data away.
---@return ltn12.sink
function sink.null() end
---Makes a fancy sink simple.
---@param snk fun(chunk?: string, err?: string): any, any
---@return ltn12.sink
function sink.simplify(snk) end
---Collects the pieces in a table.
---@param list? string[]
---@return ltn12.sink
---@return string[] list
function sink.table(list) end

---@class ltn12.pumps
local pump = {}
---Moves everything.
---@param src ltn12.source
---@param snk ltn12.sink
---@param step? ltn12.step
---@return any ok
---@return string? err
function pump.all(src, snk, step) end
---Moves one piece.
---@param src ltn12.source
---@param snk ltn12.sink
---@return any ok
---@return string? err
function pump.step(src, snk) end

return ltn12
