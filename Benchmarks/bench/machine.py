"""The machine: its cores, and what processes take of processor and memory."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

class Failure(Exception):
    """A measurement that cannot be had; the text says why."""


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
