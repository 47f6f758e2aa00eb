"""Runs scenarios: each case once in a round, round after round, every answer checked."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

from arm import REFERENCE
from oracle import Oracle, Pace, compact, tokens
from workload import Kind, fault, world

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Case:
    """One column of a comparison.

    Attributes:
        arm: "direct", "reference", "stand-in", or one of our backends.
        style: which program the oracle writes; direct calls have none.
        marked: our tools are marked as read-only, so that their calls may be in flight together.
    """

    arm: str
    style: str = ""
    marked: bool = False


@dataclass(frozen=True)
class Scenario:
    """What is measured together.

    Attributes:
        latency: seconds that each tool call takes.
        cold: each run is the first of a new process, and its start is counted.
        waits: whether arms that ask for whole answers are made to wait for the model, or only charged for it. Ours asks
            for a stream, which always comes at the model's pace.
        pause: seconds before each run, in which sandboxes are made clean again, as while a user reads an answer.
    """

    name: str
    cases: tuple[Case, ...]
    users: int = 8
    latency: float = 0.0
    kind: Kind = "async"
    rounds: int = 5
    cold: bool = False
    waits: bool = True
    pause: float = 0.0


@dataclass(frozen=True)
class Model:
    """Who answers: the oracle, or an endpoint of the environment."""

    url: str
    name: str
    oracle: Oracle | None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Model:
        if environ.get("OPENAI_BASE_URL") or environ.get("OPENAI_API_KEY"):
            return cls(environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1"), environ["OPENAI_MODEL"], None)
        oracle = Oracle()
        return cls(oracle.url, "oracle", oracle)


class Arm:
    """A process that runs one arm."""

    def __init__(self, name: str, python: str, model: Model) -> None:
        self.started = time.perf_counter()
        environ = {"OPENAI_API_KEY": "none", **os.environ, "PYTHONPATH": str(ROOT) if name not in REFERENCE else ""}
        command = [python, str(Path(__file__).with_name("arm.py")), name, model.url, model.name]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ
        )
        self.facts = self._line()

    def run(self, **how: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(how) + "\n")
            self._process.stdin.flush()
            return self._line()
        except OSError:
            return {"failed": f"the process ended ({self._process.wait()})"}

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        return {"failed": f"the process ended ({self._process.wait()})"}

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()


class Bench:
    """The model and the arms of one run."""

    def __init__(self, model: Model, reference: str | None) -> None:
        self.model = model
        self.reference = reference
        self._arms: dict[str, Arm] = {}

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for arm in self._arms.values():
            arm.close()

    def measured(self, scenario: Scenario) -> dict[str, Any]:
        """The scenario with its cases: medians, and what was wrong."""
        cases = [case for case in scenario.cases if self._possible(case)]
        if self.model.oracle is None:
            cases = list(dict.fromkeys(replace(case, style="its own" if case.style else "") for case in cases))
        runs: dict[Case, list[dict[str, Any]]] = {case: [] for case in cases}
        if not scenario.cold:
            for case in cases:  # warm: each has answered once
                self._run(scenario, case, warming=True)
        for _ in range(scenario.rounds):
            for case in cases:
                time.sleep(scenario.pause)
                runs[case].append(self._run(scenario, case))
        facts = {name: getattr(scenario, name) for name in ("name", "users", "latency", "kind", "rounds", "cold")}
        facts["model time"] = "waited for" if scenario.waits or not self.model.oracle else "added where not streamed"
        return {**facts, "commit": commit(), "cases": [summary(case, of) for case, of in runs.items()]}

    def _possible(self, case: Case) -> bool:
        if case.arm in REFERENCE:
            return self.reference is not None
        return not case.marked or self._arm(case.arm).facts.get("can mark", False)

    def _arm(self, name: str) -> Arm:
        if name not in self._arms or not self._arms[name].alive:
            self._arms[name] = self._started(name)
        return self._arms[name]

    def _started(self, name: str) -> Arm:
        python = self.reference if name in REFERENCE else sys.executable
        assert python is not None
        return Arm(name, python, self.model)

    def _run(self, scenario: Scenario, case: Case, *, warming: bool = False) -> dict[str, Any]:
        oracle, small = self.model.oracle, world(8) if warming else world(scenario.users)
        if oracle is not None:
            oracle.begin(case.style, Pace(0, 0) if warming else Pace(), waits=scenario.waits)
        arm = self._started(case.arm) if scenario.cold else self._arm(case.arm)
        latency = 0.0 if warming else scenario.latency
        facts = arm.run(users=len(small.users), latency=latency, kind=scenario.kind, marked=case.marked)
        if scenario.cold:
            facts["wall"] = time.perf_counter() - arm.started
            arm.close()
        facts["fault"] = facts["failed"] if "failed" in facts else fault(facts.pop("answer"), small)
        if oracle is not None and "failed" not in facts:
            counted = oracle.counted
            facts |= {name: getattr(counted, name) for name in ("prompt", "completion", "text", "schema")}
            if bare := facts.get("bare"):
                facts["least"] = tokens(compact({"role": "user", "content": bare})) + 4 + counted.completion
            if not scenario.waits and case.arm in REFERENCE:
                facts["wall"] += counted.seconds
                facts["model"] += counted.seconds
            facts["at pace"] = counted.seconds
        if "failed" not in facts:
            facts["tokens"] = facts["prompt"] + facts["completion"]
            used = facts["model"] + facts["tools"] - facts["both"]
            facts["rest"] = facts["wall"] - used
        return facts


NUMBERS = (
    "turns",
    "calls",
    "prompt",
    "completion",
    "tokens",
    "text",
    "schema",
    "wall",
    "model",
    "tools",
    "both",
    "sandbox",
    "rest",
    "at pace",
    "least",
)


def summary(case: Case, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the runs that gave an answer."""
    done = [run for run in runs if "failed" not in run]
    found: dict[str, Any] = {"arm": case.arm, "style": case.style, "marked": case.marked}
    found |= {"runs": len(runs), "right": sum(not run["fault"] for run in runs)}
    found["faults"] = sorted({f"{case.arm}: {run['fault']}" for run in runs if run["fault"]})
    for name in NUMBERS:
        values = [run[name] for run in done if run.get(name) is not None]
        found[name] = rounded(median(values)) if values else None
    found["walls"] = [round(run["wall"], 3) for run in done]
    return found


def rounded(number: float) -> float:
    return int(number) if number == int(number) else round(number, 4)


def commit() -> str:
    """Of what was measured; with a plus where files had been changed."""
    try:
        git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=9", "--exclude=*"]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def about(bench: Bench) -> dict[str, Any]:
    """The machine and the versions."""
    versions = "import importlib.metadata as m, json; print(json.dumps({n: m.version(n) for n in %r}))"
    names = ["agent-framework-core", "agent-framework-openai", "agent-framework-hyperlight", "openai"]
    reference = {}
    if bench.reference:
        reference = json.loads(subprocess.check_output([bench.reference, "-c", versions % names], text=True))
    pace = Pace()
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "reference": reference,
        "model": bench.model.name,
        "pace": {"first token": pace.first_token, "tokens per second": pace.tokens_per_second}
        if bench.model.oracle
        else None,
    }
