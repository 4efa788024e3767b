"""What a run leaves: the table, and the raw figures as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from pathlib import Path

from .cases import Case
from .machine import Setup
from .run import CaseRun, Entry, median, middle_half

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
