"""How a history of 100,000 turns compares with one of 100, and what writing a turn costs.

    .venv/bin/python benchmarks/history.py [--turns 100000]

The turns are written by the journal itself, over one year, each with a program and two calls. Every figure is the
median of several rounds in a warm file, and a ratio to the same in the small history: no machine asserts on time.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from codeact_kernel.events import (
    ApprovalDecided,
    CallFinished,
    CallRequested,
    Emitter,
    ModelAnswered,
    ProgramReady,
    TurnFinished,
    TurnStarted,
)
from codeact_kernel.memory.database import connect, transaction
from codeact_kernel.memory.history_queries import History
from codeact_kernel.memory.journal import Journal
from codeact_kernel.types import CallRecord, CallResult, Decision, ToolCall, TurnResult, Usage

ROUNDS = 21
FOREVER = 36_500
WORDS = ("orders", "late", "customers", "invoices", "shipped", "region", "total", "month", "average", "stock", "price")
ALLOWED = Decision(choice="allow_once", by="policy")
PROGRAM = """rows = get_orders(year={year})
late = [row for row in rows if row["shipped"] > row["due"]]
names = {{row["customer"]: get_customer(id=row["customer"])["name"] for row in late}}
[{{"customer": names[row["customer"]], "{word}": row["total"]}} for row in late]
"""


def write_turn(journal: Journal, number: int, chance: random.Random) -> None:
    """Write a turn as a session does, from its events."""
    ask = f"Which {' '.join(chance.choices(WORDS, k=8))} of week {number % 53}?"
    program = PROGRAM.format(year=2000 + number % 27, word=chance.choice(WORDS))
    value = [{"customer": f"customer {index}", "total": index * 1.5} for index in range(20)]
    emit = Emitter(str(number), journal.record(days=FOREVER, cell=number % 90, report=sys.exit))
    emit(TurnStarted(ask=ask, model="gpt-4.1-mini", note="", tools=(), endpoint="https://api.openai.com/v1"))
    usage = Usage(prompt_tokens=900, completion_tokens=120)
    emit(ModelAnswered(number=1, usage=usage))
    emit(ProgramReady(program=program, attempt=1))
    calls = [ToolCall(id=index, name="get_orders", arguments={"year": 2026}, line=1) for index in (1, 2)]
    for call in calls:
        emit(CallRequested(run=1, call=call))
        emit(ApprovalDecided(run=1, call=call, decision=ALLOWED, waited=0))
        emit(CallFinished(run=1, call=call, answer=CallResult(value=value), took=0.1))
    records = tuple(
        CallRecord(call=call, decision=ALLOWED, answer=CallResult(value=value), seconds=0.1) for call in calls
    )
    result = TurnResult(ask=ask, program=program, calls=records, value=value, usage=usage, attempts=1, model_turns=1)
    emit(TurnFinished(result=result, usage=usage, timings=result.timings))


def fill(file: Path, turns: int) -> None:
    """Write this many turns, and spread them over the last year, with a session for each hundred of them."""
    chance = random.Random(1)
    for start in range(0, turns, 100):
        journal = Journal(file, notebook="sales.ipynb")
        for number in range(start, min(start + 100, turns)):
            write_turn(journal, number, chance)
        journal.close()
    connection = connect(file)
    with transaction(connection):
        connection.execute(
            "UPDATE turns SET started = ? + number * ?", (time.time() - 364 * 86_400, 364 * 86_400 / turns)
        )
        connection.execute("UPDATE turns SET day = date(started, 'unixepoch', 'localtime')")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def median(work: Callable[[], object]) -> float:
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


def measure(file: Path, turns: int) -> dict[str, float]:
    """Measure everything that a user waits for, in milliseconds."""
    history, journal, chance = History(file), Journal(file), random.Random(2)
    last = turns // 2
    write_turn(journal, turns, chance)  # opens the file
    session = journal.session - 1
    figures = {
        "write a turn, two calls": median(lambda: write_turn(journal, turns, chance)),
        "list the last 20": median(lambda: history.latest(20)),
        "search common words": median(lambda: history.search("late orders", 20)),
        "search rare words": median(lambda: history.search("shipped stock north returned price week 17", 20)),
        "search what is nowhere": median(lambda: history.search("pelican", 20)),
        "show one": median(lambda: history.find(last)),
        "usage of a session": median(lambda: history.used_by_session(session)),
        "usage of cells": median(lambda: history.used_by_turns(session, 10)),
        "usage of 7 days": median(lambda: history.used_by_days(7)),
    }
    journal.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=100_000)
    turns = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as folder:
        figures = []
        for count in (100, turns):
            file = Path(folder) / str(count) / "history.sqlite"
            began = time.perf_counter()
            fill(file, count)
            print(
                f"{count:,} turns: written in {time.perf_counter() - began:,.1f} s, {file.stat().st_size / count:,.0f} bytes each"
            )
            figures.append(measure(file, count))
    print(f"\n{'':26} {'100 turns':>12} {f'{turns:,} turns':>16} {'ratio':>8}")
    for name, small in figures[0].items():
        large = figures[1][name]
        print(f"{name:26} {small:9.2f} ms {large:13.2f} ms {large / small:8.1f}")


if __name__ == "__main__":
    main()
