"""Write docs/results/escapes.json and the table of docs/escapes.md from what `scripts/escapes` found.

python scripts/escapes_page.py [FOLDER with here.jsonl, science.jsonl, hyperlight.jsonl and page.json]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS / "results" / "escapes.json"
AREAS = {
    "A": "Escaping the interpreter",
    "B": "Files",
    "C": "Network",
    "D": "The bridge between sandbox and kernel",
    "E": "Approvals",
    "F": "Exhausting resources",
    "G": "State left for the next run",
    "H": "Displayed output",
    "I": "Instructions in data",
    "J": "Records",
    "K": "Loading and installation",
}
MARKUP = frozenset("&|<>*_[]`~$\\")
PLACES = {
    "embedded": "WebAssembly",
    "science": "WebAssembly with pandas",
    "hyperlight": "micro-VM",
    "kernel": "kernel",
    "page": "page",
}
"""Where an attempt is made. Attempts that never reach a guest are the same for both backends, and made once."""


def collect(folder: Path) -> list[dict[str, Any]]:
    """Return the attempts of the last runs, each with its result in each place."""
    lines = [
        json.loads(line)
        for name in ("here.jsonl", "science.jsonl", "hyperlight.jsonl")
        if (folder / name).exists()
        for line in (folder / name).read_text(encoding="utf-8").splitlines()
    ]
    if (folder / "page.json").exists():
        page = json.loads((folder / "page.json").read_text(encoding="utf-8"))["attempts"]
        lines += [{**attempt, "where": "page"} for attempt in page]
    attempts: dict[str, dict[str, Any]] = {}
    for line in lines:
        attempt = attempts.setdefault(line["id"], {"id": line["id"], "tries": line["tries"], "contained": {}})
        before = attempt["contained"].get(line["where"], True)
        attempt["contained"][line["where"]] = bool(line["contained"]) and before
    return sorted(attempts.values(), key=lambda item: (item["id"][0], int(number(item["id"])), item["id"]))


def number(id: str) -> str:
    return "".join(sign for sign in id.partition(".")[0] if sign.isdigit()) or "0"


def tables(attempts: Sequence[dict[str, Any]]) -> str:
    """Write the table of totals, followed by the attempts of each area."""
    head = ["| where | attempts | contained | escapes |", "| --- | --- | --- | --- |"]
    for where, name in PLACES.items():
        results = [attempt["contained"][where] for attempt in attempts if where in attempt["contained"]]
        if results:
            head.append(f"| {name} | {len(results)} | {sum(results)} | {len(results) - sum(results)} |")
    total = sum(len(attempt["contained"]) for attempt in attempts)
    parts = [f"{len(attempts)} attempts; counted once for each place, {total}.\n\n" + "\n".join(head)]
    for letter, about in AREAS.items():
        rows = [attempt for attempt in attempts if attempt["id"].startswith(letter)]
        if rows:
            parts.append(f"## {letter}. {about}\n\n| | attempt | contained in |\n| --- | --- | --- |")
            parts[-1] += "".join(f"\n| {row['id']} | {cell(row['tries'])} | {contained_in(row)} |" for row in rows)
    return "\n\n".join(parts)


def cell(text: str) -> str:
    """Escape all markup in a text: some attempts attack pages like this one."""
    return "".join(f"&#{ord(sign)};" if sign in MARKUP else sign for sign in text)


def contained_in(attempt: dict[str, Any]) -> str:
    return ", ".join(
        PLACES[place] if attempt["contained"][place] else f"**not in {PLACES[place]}**"
        for place in PLACES
        if place in attempt["contained"]
    )


def page(text: str, attempts: Sequence[dict[str, Any]]) -> str:
    """Return docs/escapes.md with up-to-date tables."""
    start, end = "<!-- attempts: written by scripts/escapes -->", "<!-- end of attempts -->"
    before, after = text.partition(start)[0], text.partition(end)[2]
    return f"{before}{start}\n\n{tables(attempts)}\n\n{end}{after}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        RESULTS.write_text(
            json.dumps(collect(Path(sys.argv[1])), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    file = DOCS / "escapes.md"
    file.write_text(
        page(file.read_text(encoding="utf-8"), json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8"
    )
