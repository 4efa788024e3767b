#!/usr/bin/env python3
"""Measures Milonga side by side with its references and its peers.

A case names three things: a subject (Milonga), a reference, and peers. They are
measured in turn, round after round, so that all of them meet whatever else the
machine does. A round gives one ratio (contestant to reference), and the median of
the ratios is compared with the case's floor. README.md says how to read the table.

This file is the command line. `bench/cases.py` has the cases, the other files of
that folder the machinery.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import shutil
import signal
import sys
from pathlib import Path

from bench.cases import MOST_CONNECTIONS, Case, define_cases
from bench.machine import Setup, choose_cores, raise_descriptor_limit
from bench.programs import unless_executable
from bench.report import print_case, print_header, print_list, print_not_measured, write_json
from bench.run import CaseRun
from bench.tools import ROOT, Tools


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
