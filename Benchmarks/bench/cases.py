"""Everything that is measured. This is the part that grows."""

from __future__ import annotations

from dataclasses import dataclass

from .measuring import Budget, Contestant, Holding, Load, Serving, Starting, Working
from .programs import Program, unless_loadable
from .tools import HERE, RPC, XPIO, Tools

@dataclass(frozen=True)
class Bound:
    """What the median ratio of the subject to the reference has to keep."""

    comparison: str  # ">=" or "<="
    value: float

    def holds(self, ratio: float) -> bool:
        return ratio >= self.value if self.comparison == ">=" else ratio <= self.value

    def __str__(self) -> str:
        return f"{self.comparison} {self.value:.2f}"


def at_least(value: float) -> Bound:
    return Bound(">=", value)


def at_most(value: float) -> Bound:
    return Bound("<=", value)


@dataclass(frozen=True)
class Case:
    name: str
    what: str
    reference: Contestant
    subject: Contestant
    peers: tuple[Contestant, ...] = ()
    bound: Bound | None = None
    alternations: int = 1  # per round; short measurements need many
    note: str | None = None  # what the reader of the row has to know

    def contestants(self) -> tuple[Contestant, ...]:
        return self.reference, self.subject, *self.peers


MOST_CONNECTIONS = 100_000


def define_cases(tools: Tools) -> list[Case]:
    """All cases, in the order of the table."""
    return [
        *echo_cases(tools),
        *interpreter_cases(tools),
        memory_case(tools),
        *tango_server_cases(tools),
        *rpc_cases(tools),
        *tango_cases(tools),
        startup_case(tools),
        *coordination_cases(tools),
        *xpio_cases(tools),
        *luasocket_cases(tools),
    ]


def echo_cases(tools: Tools) -> list[Case]:
    """Copas' echo server beside the one in C."""
    cases = []
    for connections in (16, 256):
        load = Load(connections)
        cases.append(
            Case(
                name=f"echo-copas-{connections}",
                what=f"64-byte echo, a Copas coroutine per connection, {connections} connections",
                reference=Serving(tools.c_echo(), load),
                subject=Serving(tools.milonga("copas-echo.lua", "64"), load),
                peers=tuple(Serving(peer, load) for peer in tools.echo_peers("64")),
                bound=at_least(0.85),
            )
        )

    for connections, floor in ((16, 0.85), (256, 0.85), (10_000, 0.8)):
        held, note = tools.within_limit(connections)
        load = Load(held, kind="line")
        # socket.select, with which the peers wait, ends at 1,024 descriptors.
        peers = tools.echo_peers("line") if connections < 1000 else []
        cases.append(
            Case(
                name=f"echo-lines-{connections}",
                what=f"the same with 64-byte lines, {connections:,} connections",
                reference=Serving(tools.c_echo(), load),
                subject=Serving(tools.milonga("copas-echo.lua", "line"), load),
                peers=tuple(Serving(peer, load) for peer in peers),
                bound=at_least(floor),
                note=note,
            )
        )
    return cases


def interpreter_cases(tools: Tools) -> list[Case]:
    """The same echo server on Copas under other interpreters."""
    cases = []
    for interpreter, floor in (("luajit", 1.35), ("lua5.4", 1.6)):
        for connections in (16, 256):
            load = Load(connections, kind="line")
            cases.append(
                Case(
                    name=f"{interpreter}-lines-{connections}",
                    what=f"the same script on Copas under {interpreter}, {connections} connections",
                    reference=Serving(tools.copas(interpreter, "line"), load),
                    subject=Serving(tools.milonga("copas-echo.lua", "line"), load),
                    bound=at_least(floor),
                )
            )
    return cases


def memory_case(tools: Tools) -> Case:
    held, note = tools.within_limit(MOST_CONNECTIONS)
    return Case(
        name="idle-memory",
        what="100,000 connections in `receive` with a timeout: memory of the process for each",
        reference=Budget(Program("2500 bytes", ()), 2500, "B"),
        subject=Holding(tools.milonga("copas-echo.lua", "line", "3600"), Load(held, kind="line")),
        bound=at_most(1.0),
        note=note,
    )


def tango_server_cases(tools: Tools) -> list[Case]:
    """tango's servers for sockets: one call at a time, and many in flight."""
    c_echo, server = tools.c_echo(), tools.milonga("tango-echo.lua", takes_port=True)
    peers = tools.tango_peers()
    cases = []
    for connections in (16, 256):
        load = Load(connections, kind="tango", payload=32)
        cases.append(
            Case(
                name=f"tango-{connections}",
                what=f"tango echo('32 bytes'), one call at a time, {connections} connections",
                reference=Serving(c_echo, Load(connections)),
                subject=Serving(server, load),
                peers=tuple(Serving(peer, load) for peer in peers),
                bound=at_least(0.85),
            )
        )

    for depth in (1, 16, 64, 256):
        load = Load(connections=1, kind="tango", payload=32, depth=depth)
        cases.append(
            Case(
                name=f"tango-pipeline-{depth}",
                what=f"tango echo('32 bytes'), one connection, {depth} calls in flight",
                reference=Serving(c_echo, Load(connections=16)),
                subject=Serving(server, load),
                peers=tuple(Serving(peer, load) for peer in peers),
                bound=at_least(8.0) if depth == 256 else None,
            )
        )

    for connections in (16, 256):
        load = Load(connections, kind="tango", payload=32)
        cases.append(
            Case(
                name=f"tango-ev-{connections}",
                what=f"the same by ev_socket, without a coroutine per client, {connections} connections",
                reference=Serving(c_echo, Load(connections)),
                subject=Serving(tools.milonga("tango-echo.lua", "ev_socket", takes_port=True), load),
                bound=at_least(0.9),
            )
        )

    load = Load(16, kind="tango", payload=32)
    cases.append(
        Case(
            name="tango-luajit",
            what="tango echo('32 bytes'), 16 connections, against the original on LuaJIT",
            reference=Serving(tools.original_tango("luajit"), load),
            subject=Serving(server, load),
            bound=at_least(2.5),
        )
    )
    return cases


def startup_case(tools: Tools) -> Case:
    return Case(
        name="startup",
        what="run an empty script: -e ''",
        reference=Starting(tools.command("lua5.4", "-e", "")),
        subject=Starting(tools.milonga_command("-e", "")),
        bound=at_most(2.0),
        alternations=40,
    )


def rpc_cases(tools: Tools) -> list[Case]:
    """Lua RPC: a server under load, a client with many callers, the codec by itself."""
    server = tools.milonga("rpc-echo.lua")
    cases = [
        Case(
            name=f"rpc-{connections}",
            what=f"rpc echo('32 bytes'), one call at a time, {connections} connections",
            reference=Serving(tools.c_echo(), Load(connections)),
            subject=Serving(server, Load(connections, kind="rpc", payload=32)),
            bound=at_least(0.8) if connections == 16 else None,
        )
        for connections in (16, 256)
    ]

    def callers(count: int, calls: int) -> Working:
        script = str(RPC / "callers.lua")
        return Working(tools.milonga_command(script, str(count), str(calls)), "call/s", server)

    cases.append(
        Case(
            name="rpc-callers-200",
            what="rpc echo('32 bytes'), 200 coroutines on one connection; reference: one",
            reference=callers(1, 20_000),
            subject=callers(200, 400_000),
            bound=at_least(20.0),
        )
    )
    cases.append(codec_case(tools, "rpc-codec", "luatobin", 2.0))
    return cases


def codec_case(tools: Tools, name: str, codec: str, floor: float) -> Case:
    """A codec beside lua-cjson, on the same table."""
    script = str(HERE / "codec.lua")
    cjson = Program(
        "lua-cjson", ("lua5.4", script, "cjson"),
        missing=unless_loadable("lua5.4", ("cjson",), None),
    )
    return Case(
        name=name,
        what=f"{codec}: a nested table of 1 MB (as JSON) encoded and decoded",
        reference=Working(cjson, "B/s"),
        subject=Working(tools.milonga_command(script, codec), "B/s"),
        peers=(Working(tools.milonga_command(script, "cjson"), "B/s"),),
        bound=at_least(floor),
    )


def tango_cases(tools: Tools) -> list[Case]:
    """tango's other ends: Swift, and codecs; beside Tarantool's net.box where it is installed."""
    c_echo, lua_server = tools.c_echo(), tools.milonga("tango-echo.lua", takes_port=True)
    swift = tools.built("Milonga (Swift)", "bench-tango", "server")
    nio_echo = tools.built("SwiftNIO echo", "bench-tango", "echo")
    cases = []
    for connections in (16, 256):
        cases.append(
            Case(
                name=f"tango-swift-{connections}",
                what=f"the server in Swift, echo('32 bytes'), {connections} connections",
                reference=Serving(c_echo, Load(connections)),
                subject=Serving(swift, Load(connections, kind="tango", payload=32)),
                bound=at_least(0.7),
            )
        )
        cases.append(
            Case(
                name=f"tango-swift-nio-{connections}",
                what=f"the same; reference: an echo server on SwiftNIO alone, {connections} connections",
                reference=Serving(nio_echo, Load(connections)),
                subject=Serving(swift, Load(connections, kind="tango", payload=32)),
                bound=at_least(0.85),
            )
        )

    sleepers = tools.built("256 tasks that sleep", "bench-tango", "sleepers", "256", "2")
    waiters = tools.built("Milonga (Swift)", "bench-tango", "waiters", "256", "2")
    cases.append(
        Case(
            name="tango-swift-waiting-256",
            what="256 calls on one connection to a function that waits 10 ms; reference: the waiting alone",
            reference=Working(sleepers, "call/s"),
            subject=Working(waiters, "call/s", swift),
            bound=at_least(0.8),
        )
    )

    net_box = Working(tools.net_box("callers.lua", "256", "2"), "call/s", tools.net_box("server.lua"))
    flight = Load(connections=1, kind="tango", payload=32, depth=256)
    for name, server, floor in (("tango-netbox", lua_server, 6.0), ("tango-swift-netbox", swift, 3.0)):
        cases.append(
            Case(
                name=name,
                what="256 calls in flight on one connection; reference: net.box with 256 fibers",
                reference=net_box,
                subject=Serving(server, flight),
                bound=at_least(floor),
            )
        )

    def swift_client(callers: int) -> Working:
        client = tools.built("Milonga (Swift)", "bench-tango", "client", str(callers), "2")
        return Working(client, "call/s", lua_server)

    blocking = tools.milonga_command(str(HERE / "tango" / "blocking.lua"), "2")
    cases.append(
        Case(
            name="tango-swift-client-1",
            what="a Swift client, one call at a time; reference: the blocking client in Lua",
            reference=Working(blocking, "call/s", lua_server),
            subject=swift_client(1),
            bound=at_least(0.8),
        )
    )
    cases.append(
        Case(
            name="tango-swift-client-256",
            what="a Swift client, 256 tasks; reference: net.box with 256 fibers",
            reference=net_box,
            subject=swift_client(256),
            bound=at_least(2.0),
        )
    )
    cases.append(codec_case(tools, "tango-codec-text", "tango", 1.0))
    cases.append(codec_case(tools, "tango-codec-msgpack", "msgpack", 2.0))
    return cases


def coordination_cases(tools: Tools) -> list[Case]:
    """The same script on Copas, under stock Lua, and on Milonga."""
    cases = []
    for kind in ("lock", "semaphore", "queue"):
        stock, subject = tools.copas_script("coordination.lua", kind, "100000")
        cases.append(
            Case(
                name=f"copas-{kind}",
                what=f"100,000 operations of a {kind} that 100 threads want",
                reference=Working(stock, "op/s"),
                subject=Working(subject, "op/s"),
                bound=at_least(3.0),
            )
        )

    sleepers = ("1000000", "1")
    stock, subject = tools.copas_script("sleepers.lua", "time", *sleepers)
    cases.append(
        Case(
            name="copas-sleepers",
            what="1,000,000 threads that pause for up to a second, start to end",
            reference=Working(stock, "threads/s"),
            subject=Working(subject, "threads/s"),
            bound=at_least(4.0),
        )
    )
    stock, subject = tools.copas_script("sleepers.lua", "memory", *sleepers)
    cases.append(
        Case(
            name="copas-memory",
            what="the same: memory of the process for each thread while all sleep",
            reference=Budget(Program("1300 bytes", ()), 1300, "B"),
            subject=Working(subject, "B"),
            peers=(Working(stock, "B"),),
            bound=at_most(1.0),
        )
    )
    return cases


def xpio_cases(tools: Tools) -> list[Case]:
    """Milonga's task queue with the C echo server, and with itself when it holds more."""
    cases = []
    for connections in (16, 256):
        load = Load(connections)
        cases.append(
            Case(
                name=f"echo-xpio-{connections}",
                what=f"64-byte echo by try_read and try_write on one task queue, {connections} connections",
                reference=Serving(tools.c_echo(), load),
                subject=Serving(tools.milonga("xpio-echo.lua"), load),
                bound=at_least(0.75),
            )
        )

    def script(name: str, *arguments: str) -> Program:
        return tools.milonga_command(str(XPIO / name), *arguments)

    cases.append(
        Case(
            name="xpio-waiting",
            what="one of 10,000 waiting tasks becomes ready at a time; reference: of 10",
            reference=Working(script("waiting.lua", "10", "100000"), "op/s"),
            subject=Working(script("waiting.lua", "10000", "100000"), "op/s"),
            bound=at_least(1 / 1.3),
        )
    )
    cases.append(
        Case(
            name="xpio-spawn",
            what="spawn and wait, 1,000 times, with 10,000 descriptors held; reference: with 10",
            reference=Working(script("spawn.lua", "10", "1000"), "op/s"),
            subject=Working(script("spawn.lua", "10000", "1000"), "op/s"),
            bound=at_least(1 / 1.5),
        )
    )
    return cases


def luasocket_cases(tools: Tools) -> list[Case]:
    """The same script on stock Lua with LuaSocket and on Milonga."""
    megabyte = 1_000_000
    lines, large = str(200 * megabyte), str(500 * megabyte)
    c_echo, sink = tools.c_echo(), tools.c_peer("sink")

    def case(name: str, what: str, unit: str, floor: float, peer: Program | None,
             script: str, *arguments: str) -> Case:
        stock, subject = tools.luasocket(script, *arguments)
        return Case(name, what, Working(stock, unit, peer),
                    Working(subject, unit, peer), bound=at_least(floor))

    return [
        case("socket-lines", "receive('*l'), 200 MB of 64-byte lines", "B/s", 1.3,
             tools.c_peer("source", lines), "receive.lua", "*l", lines),
        case("socket-receive", "receive(8192), 500 MB", "B/s", 1.0,
             tools.c_peer("source", large), "receive.lua", "8192", large),
        case("socket-receive-all", "receive('*a'), 500 MB", "B/s", 5.0,
             tools.c_peer("source", large), "receive.lua", "*a", large),
        case("socket-send", "send in pieces of 8 KiB, 500 MB", "B/s", 1.0,
             sink, "send.lua", "8192", large),
        case("socket-ping-pong", "64-byte lines to an echo server and back, blocking", "msg/s", 1.0,
             c_echo, "ping-pong.lua", "50000"),
        case("socket-select", "select over 900 idle sockets and one in ping-pong", "msg/s", 2.0,
             c_echo, "select.lua", "900", "5000"),
        case("mime-b64", "mime.b64 of 1 MiB", "B/s", 4.0, None,
             "mime.lua", "b64", "0.5"),
        case("mime-unb64", "mime.unb64 of 1 MiB", "B/s", 4.0, None,
             "mime.lua", "unb64", "0.5"),
        case("mime-qp-text", "mime.qp of 1 MiB of text", "B/s", 2.0, None,
             "mime.lua", "qp-text", "0.5"),
        case("mime-qp-random", "mime.qp of 1 MiB of random bytes", "B/s", 2.0, None,
             "mime.lua", "qp-random", "0.5"),
    ]
