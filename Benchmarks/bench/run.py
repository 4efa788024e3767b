"""A case that runs: its contestants in turn, round after round."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from .cases import Case
from .machine import Failure, Setup
from .measuring import Contestant

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
