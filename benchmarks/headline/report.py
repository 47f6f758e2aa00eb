"""Figures to read: tables for the terminal and for docs/speed.md. Needs nothing but the figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ARMS = {
    "direct": "Agent Framework, direct calls",
    "reference": "Agent Framework, CodeAct",
    "stand-in": "Agent Framework, CodeAct ¹",
    "embedded": "codeact-kernel, embedded",
    "hyperlight": "codeact-kernel, hyperlight",
}
TARGETS = (
    # figure, over which arm, scenario, at most
    ("tokens", "CodeAct", "0 ms", 0.30),
    ("tokens", "direct", "0 ms", 0.12),
    ("wall", "CodeAct", "0 ms", 0.50),
    ("wall", "CodeAct", "100 ms", 0.35),
    ("wall", "CodeAct", "800 users, 50 ms", 0.10),
)


def label(case: Mapping[str, Any]) -> str:
    parts = [case["style"], "marked" if case["marked"] else ""]
    inside = ", ".join(part for part in parts if part)
    return f"{ARMS[case['arm']]} ({inside})" if inside else ARMS[case["arm"]]


def number(value: float | None, digits: int = 2) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if digits == 0 else f"{value:,.{digits}f}" if value < 100 else f"{value:,.0f}"


COLUMNS = ("turns", "calls", "tokens", "s", "model", "tools", "rest", "right")


def cells(case: Mapping[str, Any]) -> list[str]:
    tokens = f"{number(case['prompt'], 0)} + {number(case['completion'], 0)}" if case["tokens"] else ""
    seconds = [number(case[name]) for name in ("wall", "model", "tools", "rest")]
    right = f"{case['right']} of {case['runs']}"
    return [number(case["turns"], 0), number(case["calls"], 0), tokens, *seconds, right]


def printed(result: Mapping[str, Any]) -> str:
    """A scenario for the terminal."""
    head = f"\n{result['name']}: {result['users']} users, {result['rounds']} rounds, model time {result['model time']}"
    widths = (52, 6, 7, 18, 9, 9, 9, 9, 10)
    rows = [["", *COLUMNS], *([label(case), *cells(case)] for case in result["cases"])]
    lines = [
        "".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([head, *lines])


def case_of(
    result: Mapping[str, Any] | None, arms: Iterable[str], style: str | None = None, marked: bool | None = None
) -> Mapping[str, Any] | None:
    """The case of one of the arms; where `marked` is not told, the one with marked tools if that was measured."""
    found = [
        case
        for case in (result or {}).get("cases", ())
        if case["arm"] in arms and style in (None, case["style"]) and marked in (None, case["marked"])
    ]
    return max(found, key=lambda case: case["marked"], default=None)


def ratio(result: Mapping[str, Any] | None, figure: str, over: str, style: str) -> float | None:
    """Ours through theirs, both with the same kind of program."""
    ours = case_of(result, ("embedded", "hyperlight"), style)
    theirs = case_of(result, ("direct",)) if over == "direct" else case_of(result, ("reference", "stand-in"), style)
    if ours is None or theirs is None or not ours[figure] or not theirs[figure]:
        return None
    return ours[figure] / theirs[figure]


def floor(result: Mapping[str, Any] | None, figure: str, over: str, style: str) -> float | None:
    """The ratio if ours sent nothing but the task and the tools' stubs, and took no time but the model's for the program."""
    ours = case_of(result, ("embedded", "hyperlight"), style)
    share = ratio(result, figure, over, style)
    if ours is None or share is None or ours["least"] is None:
        return None
    least = ours["least"] if figure == "tokens" else ours["at pace"]
    return share * least / ours[figure]


def judged(results: Sequence[Mapping[str, Any]]) -> str:
    """The ratios that there are targets for, as a table of Markdown."""
    named = {result["name"]: result for result in results}
    cases = [case for result in results for case in result["cases"]]
    styles = [style for style in ("naive", "rates once", "its own") if any(case["style"] == style for case in cases)]
    rows = []
    for figure, over, name, most in TARGETS:
        shares = [ratio(named.get(name), figure, over, style) for style in styles]
        if not shares or shares[0] is None:
            continue
        what = f"{'tokens' if figure == 'tokens' else 'seconds'} / {over}, {name}"
        least = floor(named.get(name), figure, over, styles[0])
        rows.append([what, *map(number, shares), number(least), verdict(shares[0], most)])
    right, runs = (sum(case[what] for case in cases) for what in ("right", "runs"))
    rows.append(["right answers", *[""] * len(styles), "", f"{right} of {runs}"])
    return table(["ours / theirs", *styles, f"floor, {styles[0] if styles else ''}", "target"], rows)


def where_tokens_go(result: Mapping[str, Any]) -> str:
    ours = case_of(result, ("embedded",), "naive")
    theirs = case_of(result, ("stand-in",), "naive")
    assert ours is not None and theirs is not None
    return (
        f"Of our {number(ours['tokens'], 0)} tokens {number(ours['least'], 0)} are the task, the tools and the program; the other "
        f"{number(ours['tokens'] - ours['least'], 0)} are the rules and examples of the prompt, which are there for small models. Of "
        f"the reference's {number(theirs['tokens'], 0)}, {number(theirs['completion'], 0)} are written by the model, the rows of the "
        "answer among them, and the rest is read, most of it twice."
    )


def verdict(share: float, most: float) -> str:
    return f"≤ {most:.2f}, {'met' if share <= most else '**missed**'}"


def merged(path: Path, about: Mapping[str, Any], results: Sequence[Mapping[str, Any]], order: Sequence[str]) -> None:
    """Put the results into the file; scenarios that were not measured again stay as they are."""
    before = json.loads(path.read_text(encoding="utf-8"))["scenarios"] if path.exists() else []
    named = {result["name"]: result for result in [*before, *results]}
    kept = [named[name] for name in order if name in named]
    path.write_text(
        json.dumps({"about": about, "scenarios": kept}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def tables(
    native: Mapping[str, Any], micro_vm: Mapping[str, Any], clocks: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str]]:
    """The tables of docs/speed.md by the names that they have there."""
    named = {result["name"]: result for result in native["scenarios"]}
    inside = {result["name"]: result for result in micro_vm.get("scenarios", ())}
    latencies = [named[name] for name in ("0 ms", "50 ms", "100 ms", "200 ms")]
    growth = [named[name] for name in ("50 ms", "80 users, 50 ms", "800 users, 50 ms") if name in named]
    return [
        ("measured", measured(native, micro_vm)),
        ("headline", by_latency(latencies)),
        ("targets", f"{judged(native['scenarios'])}\n\n{where_tokens_go(named['0 ms'])}"),
        ("split", detailed(named["100 ms"])),
        ("growth", by_users(growth)),
        ("others", "\n\n".join(titled(named[name]) for name in ("100 ms, synchronous tools", "cold") if name in named)),
        (
            "micro-vm",
            "\n\n".join([*map(titled, inside.values()), ratios_of(inside)]) if inside else "Not measured yet.",
        ),
        ("clocks", small_clocks(clocks) if clocks else "Not measured yet."),
        ("texts", by_texts(named["0 ms"])),
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown: the first column to the left, numbers to the right."""
    line = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, line, *rows])


def measured(native: Mapping[str, Any], micro_vm: Mapping[str, Any]) -> str:
    about, pace = native["about"], native["about"]["pace"]
    versions = ", ".join(f"{name} {version}" for name, version in about["reference"].items() if name != "openai")
    places: dict[str, list[str]] = {}
    for where, results in (("", native["scenarios"]), ("micro-VMs, ", micro_vm.get("scenarios", ()))):
        for result in results:
            places.setdefault(result["commit"], []).append(where + result["name"])
    commits = "; ".join(f"{commit} ({' · '.join(names)})" for commit, names in places.items())
    others = " Where they differ, our tokens do too: the prompt has changed." if len(places) > 1 else ""
    return (
        f"Measured on {about['date']} ({about['machine']}) with {versions}, at the commits {commits}. The model takes "
        f"{pace['first token']:g} s to the first token and writes {pace['tokens per second']:g} tokens a second.{others}"
    )


def by_latency(results: Sequence[Mapping[str, Any]]) -> str:
    head = ["", "turns", "calls", "tokens read + written", *(f"s, tools {r['name']}" for r in results), "right"]
    rows = []
    for place, case in enumerate(results[0]["cases"]):
        cases = [result["cases"][place] for result in results]
        assert len({label(one) for one in cases}) == 1
        right = f"{sum(one['right'] for one in cases)} of {sum(one['runs'] for one in cases)}"
        tokens = f"{number(case['prompt'], 0)} + {number(case['completion'], 0)}"
        seconds = [number(one["wall"]) for one in cases]
        rows.append([label(case), number(case["turns"], 0), number(case["calls"], 0), tokens, *seconds, right])
    return table(head, rows)


def detailed(result: Mapping[str, Any]) -> str:
    head = ["", "s", "model", "tools", "of these at once", "sandbox", "rest"]
    names = ("wall", "model", "tools", "both", "sandbox", "rest")
    return table(head, ([label(case), *(number(case[name]) for name in names)] for case in result["cases"]))


def by_users(results: Sequence[Mapping[str, Any]]) -> str:
    head = [""]
    for result in results:
        head += [f"{result['users']} users: tokens", "calls", f"s, n = {result['rounds']}"]
    rows = []
    for place, case in enumerate(results[0]["cases"]):
        cells = [label(case)]
        for result in results:
            one = result["cases"][place]
            wrong = "" if one["right"] == one["runs"] else " (wrong)"
            cells += [number(one["tokens"], 0), number(one["calls"], 0), number(one["wall"]) + wrong]
        rows.append(cells)
    return table(head, rows)


def titled(result: Mapping[str, Any]) -> str:
    title = f"**{result['name']}**, n = {result['rounds']}:"
    rows = ([label(case), *cells(case)] for case in result["cases"])
    return f"{title}\n\n{table(['', 'turns', 'calls', 'tokens read + written', *COLUMNS[3:]], rows)}"


def ratios_of(inside: Mapping[str, Mapping[str, Any]]) -> str:
    """Of seconds between micro-VMs; also as if the model had taken what its pace says."""

    def at_pace(case: Mapping[str, Any]) -> float:
        return case["wall"] - case["model"] + case["at pace"]

    rows = []
    for name, result in inside.items():
        for style in ("naive", "rates once"):
            ours, theirs = (case_of(result, (arm,), style) for arm in ("hyperlight", "reference"))
            if ours and theirs and ours["wall"] and theirs["wall"]:
                shares = [ours["wall"] / theirs["wall"], at_pace(ours) / at_pace(theirs)]
                rows.append([f"{name}, {style}", *map(number, shares)])
    return table(["seconds, ours / theirs", "as measured", "with the model at its pace"], rows)


def small_clocks(runs: Sequence[Mapping[str, Any]]) -> str:
    """From benchmarks/micro_vm.py: our costs as ratios to the reference's, in each of its runs."""
    rows = [
        ("one tool call, there and back", "call", 0.25),
        ("a trivial program after a pause of 1.5 s", "rested", 1.0),
        ("a trivial program right after another", "in_a_row", None),
        ("first start to the first result", "first_start", None),
        ("memory held", "memory_mb", None),
    ]
    ours = ("ours", "ours, 64Mi")
    lines = []
    for what, key, most in rows:
        cells = [what]
        for name in ours:
            shares = sorted(run["costs"][name][key] / run["costs"]["reference"][key] for run in runs)
            cells.append("–".join(dict.fromkeys((number(shares[0]), number(shares[-1])))))
        worst = max(run["costs"]["ours"][key] / run["costs"]["reference"][key] for run in runs)
        lines.append([*cells, verdict(worst, most) if most else ""])
    return table(["ours / theirs", "ours, 256Mi", "ours, 64Mi", "target"], lines)


def by_texts(result: Mapping[str, Any]) -> str:
    """The ratios of tokens by other rules."""
    rows = []
    for over in ("CodeAct", "direct"):
        for style in ("naive", "rates once"):
            ours = case_of(result, ("embedded", "hyperlight"), style)
            theirs = case_of(
                result,
                ("direct",) if over == "direct" else ("reference", "stand-in"),
                style if over != "direct" else None,
            )
            if ours is None or theirs is None:
                continue
            lean = ours["tokens"] / (theirs["tokens"] - theirs["schema"])
            shares = [ratio(result, figure, over, style) for figure in ("tokens", "text")]
            rows.append([f"tokens / {over}, {style}", *map(number, [*shares, lean])])
    return table(["ours / theirs", "by the rule", "by the texts alone", "theirs without the schema"], rows)
