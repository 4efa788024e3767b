"""Programs that are measured or that measurements need, and how they are started."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .machine import Failure

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
