#!/usr/bin/env python3
"""Measures Milonga side by side with its references and its peers.

A case names three things: a subject (Milonga), a reference, and peers. They are
measured in turn, round after round, so that whatever else the machine does meets
all of them; a round gives one ratio (contestant to reference), and the median of
the ratios is compared with the case's floor. README.md says how to read the table.

The file reads from the bottom of what is measured to the top: programs, ways of
measuring them, the list of cases (the part that grows), the run, the report.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import functools
import json
import os
import platform
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SERVERS = HERE / "servers"
LUASOCKET = HERE / "luasocket"
COPAS = HERE / "copas"
XPIO = HERE / "xpio"
RPC = HERE / "rpc"


class Failure(Exception):
    """A measurement that cannot be had; the text says why."""


# ---------------------------------------------------------------- the machine


@dataclass(frozen=True)
class Setup:
    """What all measurements of a run share."""

    WARMUP: ClassVar[float] = 0.3

    load_program: Path
    server_core: int
    load_core: int
    seconds: float
    spin: bool


def choose_cores() -> tuple[int, int]:
    """A core for the server and one for the load, no hyper-threads of each other."""
    cores = sorted(os.sched_getaffinity(0))
    server = cores[0]
    siblings = hyper_threads_of(server)
    others = [core for core in cores[1:] if core not in siblings] or cores[1:]
    if not others:
        print("warning: only one core; server and load share it, ratios mean little", file=sys.stderr)
        return server, server
    return server, others[0]


def hyper_threads_of(core: int) -> set[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    siblings = {core}
    with contextlib.suppress(OSError, ValueError):
        for part in path.read_text().strip().split(","):
            first, _, last = part.partition("-")
            siblings.update(range(int(first), int(last or first) + 1))
    return siblings


TICK = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds_of(pid: int) -> float:
    """Processor time of a process and all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user_ticks, system_ticks = int(fields[11]), int(fields[12])
    return (user_ticks + system_ticks) * TICK


def resident_bytes_of(pid: int) -> int:
    """What a process has in memory, exactly; /proc/PID/status may be some hundred KB behind."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise Failure(f"no figure for the memory of process {pid}")


def work_seconds_of(cores: set[int]) -> float:
    """What all programs, and other virtual machines, have taken of these cores so far."""
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            user, nice, system, steal = (int(fields[i]) for i in (0, 1, 2, 7))
            total += user + nice + system + steal
    return total * TICK


def raise_descriptor_limit(wanted: int) -> int:
    """Lets this process, and with it all that it starts, have so many descriptors, or the most it can."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(OSError, ValueError):  # only root may
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            hard = wanted
    soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


# ------------------------------------------------------------------- programs


@dataclass(frozen=True)
class Program:
    """Something to run. `missing` is the reason why it cannot be, if there is one."""

    label: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict, hash=False)
    takes_port: bool = False  # wants a port as its last argument instead of choosing one
    missing: str | None = None

    def full_environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment}


class RunningServer:
    """A server process, pinned to its core, that announced its port."""

    PATIENCE = 10.0

    def __init__(self, program: Program, core: int):
        self.program = program
        self.output = tempfile.TemporaryFile("w+")
        port = [str(free_port())] if program.takes_port else []
        self.process = subprocess.Popen(
            [*program.command, *port],
            stdin=subprocess.PIPE,  # its end tells the C echo server that we are gone
            stdout=self.output,
            stderr=self.output,
            env=program.full_environment(),
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )

    def wait_until_ready(self) -> int:
        """Returns the port."""
        deadline = time.monotonic() + self.PATIENCE
        while (port := self.announced_port()) is None:
            self.check_alive(deadline)
        while self.program.takes_port and not accepts(port):
            self.check_alive(deadline)
        return port

    def announced_port(self) -> int | None:
        for line in self.output_lines():
            if line.startswith("listening ") and line.endswith("\n"):
                return int(line.split()[1])
        return None

    def check_alive(self, deadline: float) -> None:
        if self.process.poll() is not None:
            raise Failure(f"server ended with status {self.process.returncode}{self.last_words()}")
        if time.monotonic() > deadline:
            raise Failure(f"server did not listen within {self.PATIENCE:.0f} s{self.last_words()}")
        time.sleep(0.005)

    def output_lines(self) -> list[str]:
        # A descriptor of our own offset: the server writes through the same open file.
        return os.pread(self.output.fileno(), 1 << 20, 0).decode(errors="replace").splitlines(True)

    def last_words(self) -> str:
        lines = [line.strip() for line in self.output_lines() if not line.startswith("listening ")]
        return "".join(f"\n    server: {line}" for line in lines[-5:])

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.output.close()


@contextlib.contextmanager
def running(program: Program, core: int) -> Iterator[RunningServer]:
    server = RunningServer(program, core)
    try:
        yield server
    finally:
        server.end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


# ----------------------------------------------------------- ways of measuring


@dataclass(frozen=True)
class Load:
    """What the load generator does; see `load --help`."""

    connections: int
    kind: str = "raw"
    payload: int = 64
    depth: int = 1

    def arguments(self) -> list[str]:
        return [
            f"--connections={self.connections}", f"--kind={self.kind}",
            f"--payload={self.payload}", f"--depth={self.depth}",
        ]


@dataclass(frozen=True)
class Serving:
    """A server under load: messages answered per second."""

    program: Program
    load: Load
    unit = "msg/s"

    def measure(self, setup: Setup) -> dict:
        with running(self.program, setup.server_core) as server:
            port = server.wait_until_ready()
            before = self.clocks(setup, server)
            try:
                result = self.run_load(setup, port)
            except Failure as failure:
                raise Failure(f"{failure}{server.last_words()}") from None
            elapsed, server_cpu, load_cpu, work = (
                after - start for after, start in zip(self.clocks(setup, server), before)
            )
            served = setup.WARMUP + result["seconds"]  # without the time to connect
            cores = len({setup.server_core, setup.load_core})
            return {
                "value": result["rate"],
                "server_busy": round(server_cpu / served, 3),
                "load_busy": result["load_busy"],
                "disturbed": round(max(0, work - server_cpu - load_cpu) / elapsed / cores, 3),
                "load": result,
            }

    @staticmethod
    def clocks(setup: Setup, server: RunningServer) -> tuple[float, ...]:
        ended_children = os.times()
        return (
            time.monotonic(),
            cpu_seconds_of(server.process.pid),
            ended_children.children_user + ended_children.children_system,
            work_seconds_of({setup.server_core, setup.load_core}),
        )

    def run_load(self, setup: Setup, port: int) -> dict:
        command = [
            setup.load_program, f"--port={port}", f"--seconds={setup.seconds}",
            f"--warmup={setup.WARMUP}", *self.load.arguments(), *["--spin"] * setup.spin,
        ]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=setup.seconds + 60,
                preexec_fn=lambda: os.sched_setaffinity(0, {setup.load_core}),
            )
        except subprocess.TimeoutExpired:
            raise Failure("the load generator did not end") from None
        if done.returncode != 0:
            raise Failure(done.stderr.strip() or f"load: status {done.returncode}")
        return json.loads(done.stdout)


@dataclass(frozen=True)
class Working:
    """A Lua script that times itself: it prints how much it did and how many seconds that took.

    When there is a peer, it runs on the core of the load, and the script gets its port as the last
    argument. So the script is where servers are elsewhere, and "busy" means the same.
    """

    program: Program
    unit: str
    peer: Program | None = None
    PATIENCE: ClassVar[float] = 120.0

    def measure(self, setup: Setup) -> dict:
        if self.peer is None:
            return self.run(setup, [], None)
        if self.peer.missing:
            raise Failure(self.peer.missing)
        with running(self.peer, setup.load_core) as peer:
            return self.run(setup, [str(peer.wait_until_ready())], peer)

    def run(self, setup: Setup, port: list[str], peer: RunningServer | None) -> dict:
        before = self.clocks(setup, peer)
        done = self.run_script(setup, port)
        elapsed, script_cpu, peer_cpu, work = (
            after - start for after, start in zip(self.clocks(setup, peer), before)
        )
        amount, seconds = (float(figure) for figure in done.split())
        cores = len({setup.server_core, setup.load_core})
        return {
            "value": amount / seconds,
            "server_busy": round(script_cpu / elapsed, 3),
            "load_busy": round(peer_cpu / elapsed, 3),
            "disturbed": round(max(0, work - script_cpu - peer_cpu) / elapsed / cores, 3),
        }

    @staticmethod
    def clocks(setup: Setup, peer: RunningServer | None) -> tuple[float, ...]:
        ended_children = os.times()
        return (
            time.monotonic(),
            ended_children.children_user + ended_children.children_system,
            cpu_seconds_of(peer.process.pid) if peer else 0,
            work_seconds_of({setup.server_core, setup.load_core}),
        )

    def run_script(self, setup: Setup, port: list[str]) -> str:
        try:
            done = subprocess.run(
                [*self.program.command, *port],
                capture_output=True,
                text=True,
                timeout=self.PATIENCE,
                env=self.program.full_environment(),
                preexec_fn=lambda: os.sched_setaffinity(0, {setup.server_core}),
            )
        except subprocess.TimeoutExpired:
            raise Failure("the script did not end") from None
        if done.returncode != 0:
            raise Failure(done.stderr.strip() or f"script: status {done.returncode}")
        return done.stdout


@dataclass(frozen=True)
class Holding:
    """A server with connections that say nothing: bytes of its process for each of them.

    Measured while all wait, and nobody may have used the processor then. In the end all are woken by a
    message, and have to be answered.
    """

    program: Program
    load: Load
    unit = "B"
    SETTLING: ClassVar[float] = 2.0  # the dispatcher collects garbage when it has been idle for a moment
    WATCHED: ClassVar[float] = 2.0
    IDLE: ClassVar[float] = 0.01  # of the core

    def measure(self, setup: Setup) -> dict:
        with running(self.program, setup.server_core) as server:
            port = server.wait_until_ready()
            pid = server.process.pid
            empty = resident_bytes_of(pid)
            with self.holding(setup, port) as load:
                time.sleep(self.SETTLING)
                busy = self.busy(pid)
                held = resident_bytes_of(pid)
                result = self.wake(load)
            if busy > self.IDLE:
                raise Failure(f"the server used {busy:.1%} of its core while all connections were idle")
            return {
                "value": (held - empty) / self.load.connections,
                "server_busy": round(busy, 3),
                "load_busy": 0,
                "resident": held,
                "load": result,
            }

    @contextlib.contextmanager
    def holding(self, setup: Setup, port: int) -> Iterator[subprocess.Popen]:
        load = subprocess.Popen(
            [setup.load_program, f"--port={port}", "--hold", *self.load.arguments()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {setup.load_core}),
        )
        try:
            if not load.stdout.readline().startswith("holding "):
                raise Failure(load.communicate()[1].strip() or "the load generator ended")
            yield load
        finally:
            load.kill()
            load.wait()

    def busy(self, pid: int) -> float:
        start, used = time.monotonic(), cpu_seconds_of(pid)
        time.sleep(self.WATCHED)
        return (cpu_seconds_of(pid) - used) / (time.monotonic() - start)

    @staticmethod
    def wake(load: subprocess.Popen) -> dict:
        try:
            output, errors = load.communicate("wake\n", timeout=60)
        except subprocess.TimeoutExpired:
            raise Failure("not all connections were answered within 60 s") from None
        if load.returncode != 0:
            raise Failure(errors.strip() or f"load: status {load.returncode}")
        return json.loads(output)


@dataclass(frozen=True)
class Starting:
    """A command from fork to exit: milliseconds."""

    program: Program
    unit = "ms"

    def measure(self, setup: Setup) -> dict:
        command, environment = self.program.command, self.program.full_environment()
        start = time.perf_counter_ns()
        pid = os.posix_spawnp(command[0], command, environment)
        _, status, _ = os.wait4(pid, 0)
        elapsed = time.perf_counter_ns() - start
        if status != 0:
            code = os.waitstatus_to_exitcode(status)
            raise Failure(f"{' '.join(command)!r} ended with status {code}")
        return {"value": elapsed / 1e6}


@dataclass(frozen=True)
class Budget:
    """A figure to keep, in the place of a reference that is measured."""

    program: Program
    value: float
    unit: str

    def measure(self, setup: Setup) -> dict:
        return {"value": self.value}


# --------------------------------------------------------------------- cases


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


Contestant = Serving | Working | Holding | Starting | Budget


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
    """Everything that is measured. A new case is a few lines here."""
    c_echo, milonga = tools.c_echo(), tools.milonga
    cases = []

    for connections in (16, 256):
        load = Load(connections)
        cases.append(
            Case(
                name=f"echo-copas-{connections}",
                what=f"64-byte echo, a Copas coroutine per connection, {connections} connections",
                reference=Serving(c_echo, load),
                subject=Serving(milonga("copas-echo.lua", "64"), load),
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
                reference=Serving(c_echo, load),
                subject=Serving(milonga("copas-echo.lua", "line"), load),
                peers=tuple(Serving(peer, load) for peer in peers),
                bound=at_least(floor),
                note=note,
            )
        )

    for interpreter, floor in (("luajit", 1.35), ("lua5.4", 1.6)):
        for connections in (16, 256):
            load = Load(connections, kind="line")
            cases.append(
                Case(
                    name=f"{interpreter}-lines-{connections}",
                    what=f"the same script on Copas under {interpreter}, {connections} connections",
                    reference=Serving(tools.copas(interpreter, "line"), load),
                    subject=Serving(milonga("copas-echo.lua", "line"), load),
                    bound=at_least(floor),
                )
            )

    held, note = tools.within_limit(MOST_CONNECTIONS)
    cases.append(
        Case(
            name="idle-memory",
            what="100,000 connections in `receive` with a timeout: memory of the process for each",
            reference=Budget(Program("2500 bytes", ()), 2500, "B"),
            subject=Holding(milonga("copas-echo.lua", "line", "3600"), Load(held, kind="line")),
            bound=at_most(1.0),
            note=note,
        )
    )

    for connections in (16, 256):
        load = Load(connections, kind="tango", payload=32)
        cases.append(
            Case(
                name=f"tango-{connections}",
                what=f"tango echo('32 bytes'), one call at a time, {connections} connections",
                reference=Serving(c_echo, Load(connections)),
                subject=Serving(milonga("tango-echo.lua", takes_port=True), load),
                peers=tuple(Serving(peer, load) for peer in tools.tango_peers()),
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
                subject=Serving(milonga("tango-echo.lua", takes_port=True), load),
                peers=tuple(Serving(peer, load) for peer in tools.tango_peers()),
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
                subject=Serving(milonga("tango-echo.lua", "ev_socket", takes_port=True), load),
                bound=at_least(0.9),
            )
        )

    cases.append(
        Case(
            name="tango-luajit",
            what="tango echo('32 bytes'), 16 connections, against the original on LuaJIT",
            reference=Serving(tools.original_tango("luajit"), Load(16, kind="tango", payload=32)),
            subject=Serving(
                milonga("tango-echo.lua", takes_port=True), Load(16, kind="tango", payload=32)
            ),
            bound=at_least(2.5),
        )
    )

    cases.extend(rpc_cases(tools))
    cases.extend(tango_cases(tools))

    cases.append(
        Case(
            name="startup",
            what="run an empty script: -e ''",
            reference=Starting(tools.command("lua5.4", "-e", "")),
            subject=Starting(tools.milonga_command("-e", "")),
            bound=at_most(2.0),
            alternations=40,
        )
    )
    return cases + coordination_cases(tools) + xpio_cases(tools) + luasocket_cases(tools)


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


class Tools:
    """The programs that cases are made of, and where they are on this machine."""

    OWN_DESCRIPTORS: ClassVar[int] = 100  # what a server and the load have besides connections

    def __init__(self, options: argparse.Namespace, most_descriptors: int):
        self.options = options
        self.most_descriptors = most_descriptors

    def within_limit(self, connections: int) -> tuple[int, str | None]:
        """As many connections as there may be, and a remark when that is fewer."""
        most = self.most_descriptors - self.OWN_DESCRIPTORS
        if connections <= most:
            return connections, None
        return most, (
            f"scaled down: {most:,} connections, as a process may have {self.most_descriptors:,} "
            "descriptors here (ulimit -Hn)"
        )

    def c_echo(self) -> Program:
        return self.built("C echo", "bench-echo")

    def c_peer(self, *arguments: str) -> Program:
        return self.built("C peer", "bench-peer", *arguments)

    def built(self, label: str, name: str, *arguments: str) -> Program:
        path = self.options.build / name
        return Program(label, (str(path), *arguments), missing=unless_executable(path))

    def milonga(self, script: str, *arguments: str, takes_port: bool = False) -> Program:
        return self.milonga_command(str(SERVERS / script), *arguments, takes_port=takes_port)

    def milonga_command(self, *arguments: str, takes_port: bool = False) -> Program:
        path = self.options.milonga
        missing = unless_executable(path)
        return Program("Milonga", (str(path), *arguments), takes_port=takes_port, missing=missing)

    def luasocket(self, script: str, *arguments: str) -> tuple[Program, Program]:
        """The same script on stock Lua and on Milonga."""
        command = (str(LUASOCKET / script), *arguments)
        missing = unless_loadable("lua5.4", ("socket", "mime"), None)
        return (
            Program("luasocket", ("lua5.4", *command), missing=missing),
            self.milonga_command(*command),
        )

    def command(self, name: str, *arguments: str) -> Program:
        missing = None if shutil.which(name) else f"{name} is not installed"
        return Program(name, (name, *arguments), missing=missing)

    def echo_peers(self, message: str) -> list[Program]:
        peers = [
            self.stock_lua("luasocket", "lua5.4", ("socket",), SERVERS / "socket-echo.lua", message),
            self.copas("lua5.4", message),
            self.copas("luajit", message),
        ]
        if message != "line":  # libuv knows no lines; its script sends back what comes
            peers.append(self.stock_lua("luv", "lua5.4", ("luv",), SERVERS / "luv-echo.lua"))
        return peers

    def copas(self, interpreter: str, *arguments: str, script: Path | None = None) -> Program:
        """The echo server, or another script."""
        folder = self.options.copas
        if folder is None:
            return Program(f"copas/{interpreter}", (), missing="no --copas PATH given")
        if (folder / "src" / "copas.lua").exists():
            folder = folder / "src"
        return self.stock_lua(
            f"copas/{interpreter}", interpreter, ("copas",), script or SERVERS / "copas-echo.lua",
            *arguments, lua_folder=folder,
        )

    def copas_script(self, script: str, *arguments: str) -> tuple[Program, Program]:
        """The same script on Copas under stock Lua and on Milonga."""
        path = COPAS / script
        return (
            self.copas("lua5.4", *arguments, script=path),
            self.milonga_command(str(path), *arguments),
        )

    def tango_peers(self) -> list[Program]:
        return [self.original_tango("lua5.1"), self.original_tango("luajit")]

    def net_box(self, script: str, *arguments: str) -> Program:
        missing = None if shutil.which("tarantool") else "tarantool is not installed"
        return Program("net.box", ("tarantool", str(HERE / "netbox" / script), *arguments), missing=missing)

    def original_tango(self, interpreter: str) -> Program:
        folder = self.options.tango_original
        if folder is None:
            return Program(f"tango/{interpreter}", (), missing="no --tango-original PATH given")
        return self.stock_lua(
            f"tango/{interpreter}", interpreter, ("tango", "tango.server.copas_socket"),
            SERVERS / "tango-echo.lua", lua_folder=folder, takes_port=True,
        )

    def stock_lua(
        self,
        label: str,
        interpreter: str,
        modules: tuple[str, ...],
        script: Path,
        *arguments: str,
        lua_folder: Path | None = None,
        takes_port: bool = False,
    ) -> Program:
        environment = {}
        if lua_folder is not None:
            rest = os.environ.get("LUA_PATH", ";;")
            environment["LUA_PATH"] = f"{lua_folder}/?.lua;{lua_folder}/?/init.lua;{rest}"
        return Program(
            label,
            (interpreter, str(script), *arguments),
            environment,
            takes_port,
            missing=unless_loadable(interpreter, modules, environment.get("LUA_PATH")),
        )


def unless_executable(path: Path) -> str | None:
    return None if os.access(path, os.X_OK) else f"{path} is not there; run make build"


@functools.cache
def unless_loadable(interpreter: str, modules: tuple[str, ...], lua_path: str | None) -> str | None:
    """Why these Lua modules cannot be had here, in one line."""
    if not shutil.which(interpreter):
        return f"{interpreter} is not installed"
    environment = dict(os.environ) | ({"LUA_PATH": lua_path} if lua_path else {})
    code = "; ".join(f"require '{module}'" for module in modules)
    done = subprocess.run([interpreter, "-e", code], capture_output=True, text=True, env=environment)
    if done.returncode == 0:
        return None
    # "lua5.4: somewhere.lua:41: module 'x' not found:", followed by all the places
    return (done.stderr.strip().splitlines() or ["cannot be loaded"])[0].rstrip(":")


# ------------------------------------------------------------------- the run


@dataclass
class Entry:
    """One contestant of a case and all its samples."""

    contestant: Contestant
    samples: list[dict] = field(default_factory=list)
    problem: str | None = None

    @property
    def label(self) -> str:
        return self.contestant.program.label

    @property
    def values(self) -> list[float]:
        return [sample["value"] for sample in self.samples]

    def measure(self, setup: Setup) -> None:
        if self.problem is None:
            try:
                self.samples.append(self.contestant.measure(setup))
            except Failure as failure:
                self.problem = str(failure)


class CaseRun:
    def __init__(self, case: Case):
        self.case = case
        self.reference, self.subject, *self.peers = (
            Entry(contestant) for contestant in case.contestants() if self.present(contestant, case)
        )

    @staticmethod
    def present(contestant: Contestant, case: Case) -> bool:
        """A missing peer is left out; a missing subject or reference stays, to be reported."""
        return contestant.program.missing is None or contestant in (case.reference, case.subject)

    @property
    def entries(self) -> list[Entry]:
        return [self.reference, self.subject, *self.peers]

    def run(self, setup: Setup, rounds: int) -> None:
        for entry in self.entries:
            entry.problem = entry.contestant.program.missing
        for _ in range(rounds * self.case.alternations):
            if self.reference.problem is not None:
                return
            for entry in self.entries:
                entry.measure(setup)

    def ratios(self, entry: Entry) -> list[float]:
        """One per round, each with the reference of its own round."""
        return [value / base for value, base in zip(entry.values, self.reference.values)]

    def verdict(self) -> str:
        """pass, below, - (no floor), missing or error."""
        if any(entry.contestant.program.missing for entry in (self.reference, self.subject)):
            return "missing"
        if any(entry.problem for entry in (self.reference, self.subject)):
            return "error"
        if self.case.bound is None:
            return "-"
        return "pass" if self.case.bound.holds(median(self.ratios(self.subject))) else "below"


def median(values: list[float]) -> float:
    return statistics.median(values)


def middle_half(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


# ----------------------------------------------------------------- the report

NOTEWORTHY_DISTURBANCE = 0.05
COLUMNS = "{:<18} {:<13} {:>9} {:>10} {:>7}  {:<13} {:>9}  {:<8} {}"


def print_header() -> None:
    print(COLUMNS.format("case", "contestant", "median", "reference", "ratio", "middle half",
                         "busy s/l", "floor", "verdict"))
    print("-" * 105)


def print_case(run: CaseRun) -> None:
    name = run.case.name
    for entry in (run.subject, *run.peers):
        is_subject = entry is run.subject
        bound = str(run.case.bound or "") if is_subject else ""
        verdict = run.verdict() if is_subject else "error" if entry.problem else ""
        print(COLUMNS.format(name, entry.label, *figures(run, entry), bound, verdict).rstrip())
        name = ""
    for entry in run.entries:
        if entry.problem and not entry.contestant.program.missing:
            print(f"  {entry.label}: {entry.problem}")
    if run.case.note:
        print(f"  {run.case.note}")
    if (disturbed := disturbance(run)) > NOTEWORTHY_DISTURBANCE:
        print(f"  disturbed: other work took {disturbed:.0%} of the two cores")
    sys.stdout.flush()


def figures(run: CaseRun, entry: Entry) -> tuple[str, ...]:
    """Median, reference, ratio, spread, busy; blanks where there is nothing."""
    unit = run.reference.contestant.unit
    reference = quantity(median(run.reference.values), unit) if run.reference.samples else ""
    ratios = run.ratios(entry)
    if not ratios:
        return "", reference, "", "", ""
    low, high = middle_half(ratios)
    return (
        quantity(median(entry.values), unit),
        reference,
        f"{median(ratios):.2f}",
        f"{low:.2f}..{high:.2f}",
        busy(entry),
    )


def quantity(value: float, unit: str) -> str:
    if unit == "ms":
        return f"{value:.2f} ms"
    if unit == "B":
        return f"{value:.0f} B"
    if unit == "B/s":
        return f"{value / 1e6:.0f} MB/s"
    return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"


def busy(entry: Entry) -> str:
    """How much of its core the server or script used, and the load or peer of its own."""
    if "server_busy" not in entry.samples[0]:
        return ""
    server = median([sample["server_busy"] for sample in entry.samples])
    load = median([sample["load_busy"] for sample in entry.samples])
    return f"{min(server, 1):.0%}/{min(load, 1):.0%}"


def disturbance(run: CaseRun) -> float:
    """The median over all samples: one hiccup does not matter, the ratios are medians too."""
    samples = [sample for entry in run.entries for sample in entry.samples]
    return median([sample.get("disturbed", 0) for sample in samples] or [0])


def print_not_measured(cases: list[Case]) -> None:
    """What is not there, each once."""
    reasons = {
        f"  {contestant.program.label}: {contestant.program.missing}"
        for case in cases
        for contestant in case.contestants()
        if contestant.program.missing
    }
    if reasons:
        print("\nnot measured:", *sorted(reasons), sep="\n")


def print_list(cases: list[Case]) -> None:
    for case in cases:
        print(f"{case.name:<18} {case.what}  {case.bound or '(no floor)'}")
        if case.note:
            print(f"{'':<20}{case.note}")
        for contestant in case.contestants():
            missing = contestant.program.missing
            print(f"{'':<20}{contestant.program.label}{f' (missing: {missing})' if missing else ''}")


def as_json(run: CaseRun) -> dict:
    def entry_json(entry: Entry) -> dict:
        result = {
            "label": entry.label,
            "command": list(entry.contestant.program.command),
            "samples": entry.samples,
            "ratios": [round(ratio, 4) for ratio in run.ratios(entry)],
        }
        if entry.samples:
            result["median"] = median(entry.values)
            result["median_ratio"] = round(median(run.ratios(entry)), 4)
        if entry.problem:
            result["problem"] = entry.problem
        return result

    return {
        "name": run.case.name,
        "what": run.case.what,
        "unit": run.reference.contestant.unit,
        "floor": str(run.case.bound) if run.case.bound else None,
        "note": run.case.note,
        "verdict": run.verdict(),
        "reference": entry_json(run.reference),
        "subject": entry_json(run.subject),
        "peers": [entry_json(entry) for entry in run.peers],
    }


def machine_json(setup: Setup) -> dict:
    model = "unknown"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "server_core": setup.server_core,
        "load_core": setup.load_core,
    }


def write_json(path: Path, runs: list[CaseRun], setup: Setup, rounds: int, loads: list[float]) -> None:
    report = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine_json(setup),
        "load_average_before_and_after": loads,
        "rounds": rounds,
        "seconds": setup.seconds,
        "spin": setup.spin,
        "cases": [as_json(run) for run in runs],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


# --------------------------------------------------------------- command line


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", metavar="GLOB", action="append",
                        help="only cases whose name matches; may be given several times")
    parser.add_argument("--rounds", type=positive(int), default=5, help="rounds per case (default 5)")
    parser.add_argument("--seconds", type=positive(float), default=2.0,
                        help="time measured per server and round (default 2)")
    parser.add_argument("--spin", action="store_true",
                        help="let the load generator poll instead of sleep; see README.md")
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    parser.add_argument("--check", action="store_true",
                        help="exit with status 1 when a floor is missed or could not be measured")
    parser.add_argument("--milonga", type=program, default=ROOT / "build" / "milonga",
                        metavar="PATH", help="the milonga to measure (default build/milonga)")
    parser.add_argument("--tango-original", type=folder, metavar="PATH",
                        help="folder of the original tango; measures it on Lua 5.1")
    parser.add_argument("--copas", type=folder, metavar="PATH",
                        help="folder of Copas; measures it on stock Lua (LUA_PATH leads to its needs)")
    parser.add_argument("--build", type=folder, default=ROOT / "build", metavar="PATH",
                        help="where bench-echo, bench-load and bench-peer are (default build)")
    parser.add_argument("--json", type=Path, metavar="PATH",
                        help="file for the raw figures (default bench.json in the build folder)")
    options = parser.parse_args()
    options.json = options.json or options.build / "bench.json"
    return options


def positive(kind: type):
    def parse(text: str):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not positive")
        return value

    return parse


def program(text: str) -> Path:
    found = shutil.which(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is not a program")
    return Path(found).resolve()


def folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return path.resolve()


def selected(cases: list[Case], globs: list[str] | None) -> list[Case]:
    if not globs:
        return cases
    return [case for case in cases if any(fnmatch.fnmatch(case.name, glob) for glob in globs)]


def make_setup(options: argparse.Namespace) -> Setup:
    load_program = options.build / "bench-load"
    if missing := unless_executable(load_program):
        sys.exit(f"bench: {missing}")
    server_core, load_core = choose_cores()
    os.sched_setaffinity(0, {load_core})  # ourselves and the start-up commands
    return Setup(load_program, server_core, load_core, options.seconds, options.spin)


def exit_status(runs: list[CaseRun], check: bool) -> int:
    verdicts = {run.verdict() for run in runs}
    missed = any(run.verdict() in ("below", "missing") and run.case.bound for run in runs)
    return 1 if "error" in verdicts or (check and missed) else 0


def main() -> int:
    options = parse_options()
    most_descriptors = raise_descriptor_limit(MOST_CONNECTIONS + Tools.OWN_DESCRIPTORS)
    cases = selected(define_cases(Tools(options, most_descriptors)), options.case)
    if not cases:
        sys.exit(f"bench: no case matches {' '.join(options.case)}; --list shows them")
    if options.list:
        print_list(cases)
        return 0

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended
    setup = make_setup(options)
    load_before = os.getloadavg()[0]
    print_header()
    runs = []
    for case in cases:
        run = CaseRun(case)
        run.run(setup, options.rounds)
        print_case(run)
        runs.append(run)
    print_not_measured(cases)
    write_json(options.json, runs, setup, options.rounds, [load_before, os.getloadavg()[0]])
    print(f"\nraw figures: {options.json}")
    return exit_status(runs, options.check)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
