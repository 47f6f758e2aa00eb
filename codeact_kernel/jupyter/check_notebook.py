"""Test a notebook against the records of its prompts: without a model, without tools, without the network."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ..text import plural, truncate
from .notebook_execution import Execution, Report, execute, read_notebook

__all__ = ["test"]

_MAX_ASK = 60


def test(notebook: Path) -> int:
    """Execute a notebook in its folder with the recorded answers to its calls, and print what is not as recorded.

    The notebook and its records stay as they are.

    Returns:
        The exit code: 0 if every prompt gave its recorded value with its recorded calls, and every other cell ran.

    Raises:
        UserError: if the notebook cannot be read or executed.
    """
    execution = execute(read_notebook(notebook), notebook.resolve().parent, os.environ, "test")
    reports = list(_list_reports(execution))
    for report in reports:
        print(f"{report.state:18} {truncate(report.ask, _MAX_ASK)}")
        if report.reason:
            print(f"{'':18} {report.reason}")
    for report in reports:
        if report.diff:
            print(f"\n{truncate(report.ask, _MAX_ASK)}")
            print(*report.diff, sep="\n")
    counts = Counter(report.state for report in reports)
    states = ", ".join(f"{count:,} {state}" for state, count in counts.items())
    print(f"\n{plural(len(reports), 'prompt')}: {states}." if reports else "The notebook has no prompt cells.")
    if execution.failure:
        print(f"A cell failed: {execution.failure}")
    return int(bool(execution.failure) or any(state != "ok" for state in counts))


def _list_reports(execution: Execution) -> Iterator[Report]:
    for prompt in execution.prompts:
        yield from prompt.reports or [Report(prompt.text, _name_state(prompt.state), "", ())]


def _name_state(state: str) -> str:
    return state if state == "not reached" else "not asked"
