"""Ways of measuring a program: each is a class with a `program`, a `unit` and a `measure`."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from .machine import Failure, Setup, cpu_seconds_of, resident_bytes_of, work_seconds_of
from .programs import Program, RunningServer, running

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

    The memory is read while all of them wait; the server must not use the processor then. In the end
    a message wakes all of them, and each has to be answered.
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


Contestant = Serving | Working | Holding | Starting | Budget
