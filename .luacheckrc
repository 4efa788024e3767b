-- luacheck's settings, for `make lint`. Each exception has its reason.

std = "lua54"
codes = true
quiet = 1
color = false
max_line_length = 130
max_comment_line_length = 115 -- annotations, which cannot be wrapped; running text has 100

-- Tests and programs set these on purpose: `arg` for a script that they run, `print` to see what others print.
globals = {"arg", "print"}

local function add(pattern, settings)
  files[pattern] = files[pattern] or {}
  for name, value in pairs(settings) do files[pattern][name] = value end
end

-- Annotations for editors: functions without bodies, in tables that nothing reads.
add("share/lua-types", {ignore = {"212", "241"}, max_line_length = false})

-- Each of these is code that does not want to end, or to be counted; what it looks like is the point.
add("Tests/MilongaLuaTests/Adversarial", {ignore = {"1", "2", "3", "4", "5"}})

-- A test has names of its own (4: shadowing), drops values for the collector to find and does not look at each
-- result (311, 331), and holds values that nothing reads (231, 241). A method may be there for its name alone. The
-- error messages that a test expects may be longer than a line.
add("Tests", {ignore = {"4", "311", "331", "231", "241"}, self = false, max_string_line_length = false})

-- They hold descriptors that nothing reads.
add("Benchmarks/xpio", {ignore = {"241"}})

-- Tarantool's global.
add("Benchmarks/netbox", {globals = {"box"}})

-- The test's Swift part sets them.
add("Tests/MilongaLuaTests/Differential", {globals = {"SEED", "COUNT"}})

-- For Lua 5.1, on which the originals run.
add("Tests/LuaTangoTests/Scripts/support/original_*.lua", {std = "lua51"})
add("Tests/LuaRPCTests/Scripts/support/original_*.lua", {std = "lua51", globals = {"copcall"}})

-- It leaves objects in globals, for the end of the state to find.
add("Tests/CopasTests/Scripts/support/leave_working.lua", {allow_defined = true, ignore = {"131"}})

-- Functions that run at the other end use globals that are there.
add("Tests/LuaRPCTests/Scripts/configuration.lua", {globals = {"f", "y"}})
add("Tests/LuaTangoTests/Scripts/support/server.lua", {globals = {"x"}})

-- A program may offer its globals to others, so these programs define some.
for _, pattern in ipairs {
  "Examples/tango/greet-server.lua", "Examples/swift-rules/rules.lua", "Benchmarks/servers",
  "Benchmarks/netbox", "Tests/LuaTangoTests", "Tests/LuaRPCTests", "Tests/ObjectTests",
  "Tests/MemoryTests/Scripts/rpc.lua", "Tests/Soak/server.lua", "Tests/MilongaTestSupport/Lua/served.lua",
} do
  add(pattern, {allow_defined = true, ignore = {"131"}})
end
