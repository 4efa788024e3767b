#!/usr/bin/env python3
"""Counts the instructions that Milonga executes for one message, with Valgrind's callgrind.

A program runs twice, with a few and with many messages. The difference of the two
counts is what the messages cost; what start and end cost is in both, and falls out.
A peer that is not counted sends one message, waits for its answer, and sends the next.

    instructions.py [--case 'tango-*'] [--build DIR]... [--rounds 3] [--profile]

With several build folders the figures stand side by side, the last one with its change against
the first. `--profile` leaves callgrind's file of the longer run in `build/callgrind.CASE`.
"""

from __future__ import annotations

import argparse
import ctypes
import fnmatch
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Failure
from bench.programs import accepts, free_port
from bench.tools import HERE, ROOT, RPC, SERVERS

TEXT = "x" * 32


# --------------------------------------------------------------- the messages


def tango_request() -> bytes:
    body = '{"echo","%s"}' % TEXT
    return b"%d\n%s" % (len(body), body.encode())


def tango_answer() -> bytes:
    body = '{true,"%s"}' % TEXT
    return b"%d\n%s" % (len(body), body.encode())


def luatobin_string(text: str) -> bytes:
    return b"\4" + len(text).to_bytes(2, "big") + text.encode()


def rpc_message(kind: int, body: bytes) -> bytes:
    return bytes((kind, 1)) + len(body).to_bytes(4, "big") + body


LINE = (b"x" * 63 + b"\n", b"x" * 63 + b"\n")
TANGO = (tango_request(), tango_answer())
LUA_RPC = (rpc_message(0, luatobin_string("echo") + luatobin_string(TEXT)), rpc_message(1, b"\0" + luatobin_string(TEXT)))


def ask_stream(port: int, messages: int, request: bytes, answer: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.settimeout(60)
        for _ in range(messages):
            peer.sendall(request)
            got = b""
            while len(got) < len(answer):
                piece = peer.recv(65536)
                if not piece:
                    raise Failure(f"the server closed the connection behind {got!r}")
                got += piece
            if got != answer:
                raise Failure(f"expected {answer!r}, got {got!r}")


def ask_zmq(port: int, messages: int) -> None:
    library = ctypes.CDLL("libzmq.so.5")
    library.zmq_ctx_new.restype = library.zmq_socket.restype = ctypes.c_void_p
    request_kind = 3  # ZMQ_REQ
    context = ctypes.c_void_p(library.zmq_ctx_new())
    peer = ctypes.c_void_p(library.zmq_socket(context, request_kind))
    library.zmq_connect(peer, b"tcp://127.0.0.1:%d" % port)
    request, answer = (message.split(b"\n", 1)[1] for message in TANGO)
    buffer = ctypes.create_string_buffer(1024)
    for _ in range(messages):
        library.zmq_send(peer, request, len(request), 0)
        length = library.zmq_recv(peer, buffer, 1024, 0)
        if buffer.raw[:length] != answer:
            raise Failure(f"expected {answer!r}, got {buffer.raw[:max(length, 0)]!r}")
    library.zmq_close(peer)
    library.zmq_ctx_term(context)


# --------------------------------------------------------------- what counts


@dataclass
class Counted:
    """A program under callgrind, to its end; `total` is what it executed."""

    process: subprocess.Popen
    log: Path

    @staticmethod
    def start(command: list[str], profile: Path | None = None) -> Counted:
        log = Path(tempfile.mkstemp(prefix="callgrind-", suffix=".log")[1])
        environment = dict(os.environ, SWIFT_DETERMINISTIC_HASHING="1", MILONGA_LOG_LEVEL="error")
        valgrind = [
            "setarch", "-R", "valgrind", "--tool=callgrind", f"--log-file={log}",
            f"--callgrind-out-file={profile or os.devnull}",
        ]
        process = subprocess.Popen(valgrind + command, stdout=subprocess.PIPE, text=True, env=environment)
        return Counted(process, log)

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def end(self, ask: bool) -> int:
        if ask:
            self.process.terminate()
        assert self.process.stdout
        self.process.stdout.read()
        self.process.wait(timeout=60)
        text = self.log.read_text()
        self.log.unlink()
        found = re.search(r"Collected : (\d+)", text)
        if not found:
            raise Failure(f"callgrind counted nothing: {text[-400:]}")
        return int(found[1])


@dataclass(frozen=True)
class Server:
    """A server is counted; `ask` is called with its port and the number of messages."""

    command: Callable[[Path], list[str]]
    ask: Callable[[int, int], None]
    takes_port: bool = False

    def count(self, build: Path, messages: int, profile: Path | None) -> tuple[int, int]:
        command = self.command(build)
        if self.takes_port:
            command = [*command, str(free_port())]
        counted = Counted.start(command, profile)
        try:
            port = int(re.search(r"(\d+)\s*$", counted.line())[1])
            wait_until_it_accepts(port)
            self.ask(port, messages)
        finally:
            total = counted.end(ask=True)
        return total, messages


@dataclass(frozen=True)
class Client:
    """A client is counted; it gets the number of calls, or seconds, and the port, and prints how many calls it made."""

    command: Callable[[Path, int, int], list[str]]
    server: Callable[[Path], list[str]]
    takes_port: bool = False

    def count(self, build: Path, messages: int, profile: Path | None) -> tuple[int, int]:
        port = free_port() if self.takes_port else 0
        command = self.server(build) + ([str(port)] if self.takes_port else [])
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout
                port = int(re.search(r"(\d+)\s*$", server.stdout.readline())[1])
                wait_until_it_accepts(port)
                counted = Counted.start(self.command(build, messages, port), profile)
                words = counted.line().split()
                total = counted.end(ask=False)
                if not words or not words[0].isdigit():
                    raise Failure(f"the client printed {words!r}")
                return total, int(words[0])
            finally:
                server.terminate()


def wait_until_it_accepts(port: int) -> None:
    for _ in range(600):
        if accepts(port):
            return
        time.sleep(0.05)
    raise Failure(f"nothing listens on port {port}")


# ------------------------------------------------------------------ the cases


def lua(script: Path | str, *arguments: str) -> Callable[[Path], list[str]]:
    return lambda build: [str(build / "milonga"), str(script), *arguments]


def lua_client(script: Path, *before: str) -> Callable[[Path, int, int], list[str]]:
    return lambda build, messages, port: [str(build / "milonga"), str(script), *before, str(messages), str(port)]


def swift_client(callers: int) -> Callable[[Path, int, int], list[str]]:
    # This client is given seconds: under callgrind some thousand calls each.
    return lambda build, messages, port: [
        str(build / "bench-tango"), "client", str(callers), str(messages / 1000), str(port)]


def define_cases() -> dict[str, Server | Client]:
    tango = SERVERS / "tango-echo.lua"
    stream = lambda pair: lambda port, messages: ask_stream(port, messages, *pair)
    callers = HERE / "tango" / "callers.lua"
    return {
        "echo-lines": Server(lua(SERVERS / "copas-echo.lua", "line"), stream(LINE)),
        "tango-copas": Server(lua(tango), stream(TANGO), takes_port=True),
        "tango-ev": Server(lua(tango, "ev_socket"), stream(TANGO), takes_port=True),
        "tango-zmq": Server(lua(tango, "zmq"), ask_zmq, takes_port=True),
        "rpc": Server(lua(SERVERS / "rpc-echo.lua"), stream(LUA_RPC)),
        "tango-swift": Server(lambda build: [str(build / "bench-tango"), "server"], stream(TANGO)),
        "tango-client-socket": Client(lua_client(callers, "socket", "0"), lua(tango), takes_port=True),
        "tango-client-copas": Client(lua_client(callers, "socket", "1"), lua(tango), takes_port=True),
        "tango-client-zmq": Client(lua_client(callers, "zmq", "0"), lua(tango, "zmq"), takes_port=True),
        "tango-client-copas-64": Client(lua_client(callers, "socket", "64"), lua(tango), takes_port=True),
        "rpc-client-1": Client(lua_client(RPC / "callers.lua", "1"), lua(SERVERS / "rpc-echo.lua")),
        "rpc-client-64": Client(lua_client(RPC / "callers.lua", "64"), lua(SERVERS / "rpc-echo.lua")),
        "tango-swift-client-1": Client(swift_client(1), lua(tango), takes_port=True),
        "tango-swift-client-256": Client(swift_client(256), lua(tango), takes_port=True),
    }


# -------------------------------------------------------------------- the run


def stripped(build: Path, folder: Path) -> Path:
    """The build's programs without debug information: reading it takes callgrind longer than all else."""
    place = Path(tempfile.mkdtemp(dir=folder))
    for name in ("milonga", "bench-tango"):
        if (build / name).exists():
            subprocess.run(["strip", "-g", "-o", str(place / name), str(build / name)], check=True)
    return place


def per_message(case: Server | Client, build: Path, profile: Path | None) -> float:
    few, fewer = case.count(build, 1_000, None)
    many, more = case.count(build, 6_000, profile)
    return (many - few) / (more - fewer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", metavar="PATTERN", help="which cases; may be given more than once")
    parser.add_argument("--build", action="append", type=Path, metavar="DIR", help="a folder with milonga and bench-tango; build/ if none is given")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many counts is shown (%(default)s)")
    parser.add_argument("--profile", action="store_true", help="keep callgrind's file of each case")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        parser.error("valgrind is not installed: apt-get install valgrind")
    builds = options.build or [ROOT / "build"]
    cases = define_cases()
    wanted = [name for name in cases if any(fnmatch.fnmatch(name, p) for p in options.case or ["*"])]
    if not wanted:
        parser.error(f"no case matches {options.case}; there are {', '.join(cases)}")
    failed = False
    print(f"{'instructions per message':26}", *(f"{str(b)[-14:]:>14}" for b in builds), "   change" if len(builds) > 1 else "")
    with tempfile.TemporaryDirectory() as folder:
        places = [stripped(build, Path(folder)) for build in builds]
        for name in wanted:
            try:
                counts: list[list[float]] = [[] for _ in places]
                for _ in range(options.rounds):
                    for place, samples in zip(places, counts):
                        profile = ROOT / "build" / f"callgrind.{name}" if options.profile else None
                        samples.append(per_message(cases[name], place, profile))
            except (Failure, OSError) as failure:
                print(f"{name:26} error: {failure}")
                failed = True
                continue
            medians = [statistics.median(samples) for samples in counts]
            change = f"{(medians[-1] / medians[0] - 1) * 100:+8.1f}%" if len(medians) > 1 else ""
            print(f"{name:26}", *(f"{m:14,.0f}" for m in medians), change, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
