"""Write docs/results/escapes.json and the table of docs/escapes.md from what `scripts/escapes` found.

python scripts/escapes_page.py [FOLDER with here.jsonl, hyperlight.jsonl and page.json]
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
    "A": "Getting out of the interpreter",
    "B": "Files",
    "C": "Network",
    "D": "The bridge between sandbox and kernel",
    "E": "Approvals",
    "F": "Using up what there is",
    "G": "What one run leaves for the next",
    "H": "What is shown",
    "I": "Instructions in data",
    "J": "Records",
    "K": "Loading and supply",
}
MARKUP = frozenset("&|<>*_[]`~$\\")
PLACES = {
    "embedded": "WebAssembly",
    "hyperlight": "micro-VM",
    "kernel": "the kernel's side",
    "page": "a page",
}
"""Where an attempt is made. What never reaches a guest is the same for both, and tried once."""


def gathered(folder: Path) -> list[dict[str, Any]]:
    """The attempts of the last runs: one entry an attempt, with what came of it in each place."""
    lines = [
        json.loads(line)
        for name in ("here.jsonl", "hyperlight.jsonl")
        if (folder / name).exists()
        for line in (folder / name).read_text(encoding="utf-8").splitlines()
    ]
    if (folder / "page.json").exists():
        page = json.loads((folder / "page.json").read_text(encoding="utf-8"))["attempts"]
        lines += [{**attempt, "where": "page"} for attempt in page]
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        one = found.setdefault(line["id"], {"id": line["id"], "tries": line["tries"], "contained": {}})
        before = one["contained"].get(line["where"], True)
        one["contained"][line["where"]] = bool(line["contained"]) and before
    return sorted(found.values(), key=lambda one: (one["id"].partition(".")[0][0], int(number(one["id"])), one["id"]))


def number(id: str) -> str:
    return "".join(sign for sign in id.partition(".")[0] if sign.isdigit()) or "0"


def tables(attempts: Sequence[dict[str, Any]]) -> str:
    """The sum, and then each area's attempts."""
    head = ["| where | attempts | contained | escapes |", "| --- | --- | --- | --- |"]
    for where, name in PLACES.items():
        came = [one["contained"][where] for one in attempts if where in one["contained"]]
        if came:
            head.append(f"| {name} | {len(came)} | {sum(came)} | {len(came) - sum(came)} |")
    tried = sum(len(one["contained"]) for one in attempts)
    parts = [f"{len(attempts)} attempts, {tried} with each place counted.\n\n" + "\n".join(head)]
    for letter, about in AREAS.items():
        rows = [one for one in attempts if one["id"].startswith(letter)]
        if rows:
            parts.append(f"## {letter}. {about}\n\n| | what is tried | contained in |\n| --- | --- | --- |")
            parts[-1] += "".join(f"\n| {one['id']} | {cell(one['tries'])} | {contained_in(one)} |" for one in rows)
    return "\n\n".join(parts)


def cell(text: str) -> str:
    """What is tried, in which nothing is markup: some of it is an attempt on pages like this one."""
    return "".join(f"&#{ord(sign)};" if sign in MARKUP else sign for sign in text)


def contained_in(one: dict[str, Any]) -> str:
    return ", ".join(
        PLACES[place] if one["contained"][place] else f"**not in {PLACES[place]}**"
        for place in PLACES
        if place in one["contained"]
    )


def page(text: str, attempts: Sequence[dict[str, Any]]) -> str:
    """docs/escapes.md, with its tables as they have to be."""
    start, end = "<!-- attempts: written by scripts/escapes -->", "<!-- end of attempts -->"
    before, after = text.partition(start)[0], text.partition(end)[2]
    return f"{before}{start}\n\n{tables(attempts)}\n\n{end}{after}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        RESULTS.write_text(
            json.dumps(gathered(Path(sys.argv[1])), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    file = DOCS / "escapes.md"
    file.write_text(
        page(file.read_text(encoding="utf-8"), json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8"
    )
