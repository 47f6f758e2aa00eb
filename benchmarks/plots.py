"""What docs/speed.md shows, from the figures in docs/results: its tables, and the plots in docs/_static.

    python benchmarks/plots.py

The tables stand between comments in the page, which a test compares with the figures; each plot names the figures that it was
drawn from. Lines and text are of a middle grey on no ground, so that a plot can be read on white and on near black.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).with_name("headline")))

from report import case_of, tables

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "speed.md"
RESULTS = ROOT / "docs" / "results"
STATIC = ROOT / "docs" / "_static"
PLOTS = ("speed-latency.svg", "speed-split.svg", "speed-users.svg")
GREY = "#758195"
SERIES = (
    # arms, style, marked, name, colour, line
    (("direct",), "", False, "direct calls", "#d06a1c", "-"),
    (("stand-in",), "naive", False, "CodeAct of Agent Framework", "#3f8fd2", "-"),
    (("embedded",), "naive", False, "codeact-kernel", "#12a07a", "--"),
    (("embedded",), "naive", True, "codeact-kernel, read_only tools", "#12a07a", "-"),
)
PARTS = {"model": "#8b7fc7", "tools": "#d9a441", "rest": GREY}


def figures(name: str) -> dict[str, Any]:
    """A file of results; empty where it is not there."""
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def page(text: str) -> str:
    """The page, with its tables as the figures have them."""
    clocks = [figures(path.name) for path in sorted(RESULTS.glob("micro_vm*.json"))]
    made = [*tables(figures("headline.json"), figures("headline_micro_vm.json"), clocks), *small_tables()]
    for name, table in made:
        pattern = re.compile(rf"(<!-- {name}:[^>]*-->\n).*?(\n<!-- end of {name} -->)", re.DOTALL)
        assert len(pattern.findall(text)) == 1, name
        text = pattern.sub(lambda found, table=table: f"{found[1]}\n{table}\n{found[2]}", text)
    return text


def small_tables() -> Iterable[tuple[str, str]]:
    """The tables of single costs: name and text."""
    calls = [row for row in figures("round_trip.json")["rows"] if row["calls"] == 1_000]
    yield (
        "calls",
        _table(
            ["", "p50, µs", "of the best round", "p99, µs"],
            [[row["arm"], *(f"{row[one] * 1e6:,.0f}" for one in ("p50", "best_p50", "p99"))] for row in calls],
        ),
    )
    computing = figures("guest_cpu.json")["rows"]
    yield (
        "computing",
        _table(
            ["setting of wasmtime", "times native", "least", "most"],
            [
                [
                    row["setting"],
                    f"{row['mean']:.2f}",
                    f"{min(row['ratios'].values()):.1f}",
                    f"{max(row['ratios'].values()):.1f}",
                ]
                for row in computing
            ],
        ),
    )
    yield (
        "early",
        _table(
            ["model, tokens/s", "tools, ms", "s", "s with `--wait`", "ratio"],
            [
                [
                    str(row["tokens_per_second"]),
                    f"{row['latency'] * 1000:.0f}",
                    f"{row['early']:.2f}",
                    f"{row['wait']:.2f}",
                    f"{row['early'] / row['wait']:.2f}",
                ]
                for row in figures("early.json")["rows"]
            ],
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def digest() -> str:
    """Of the figures that the plots are drawn from."""
    return hashlib.sha256((RESULTS / "headline.json").read_bytes()).hexdigest()


def points(results: Iterable[Mapping[str, Any]], arms: Sequence[str], style: str, marked: bool) -> list[Any]:
    """The scenarios that have such a case, each with it."""
    found = []
    for result in results:
        cases = [
            case
            for case in result["cases"]
            if case["arm"] in arms and (case["style"], case["marked"]) == (style, marked)
        ]
        found += [(result, cases[0])] if cases and cases[0]["wall"] is not None else []
    return found


def draw() -> None:
    """All plots."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams |= {
        "svg.fonttype": "none", "svg.hashsalt": "codeact", "font.family": "sans-serif", "font.sans-serif": ["system-ui", "DejaVu Sans"],
        "font.size": 10, "text.color": GREY, "axes.labelcolor": GREY, "axes.edgecolor": GREY, "xtick.color": GREY, "ytick.color": GREY,
        "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "legend.frameon": False, "legend.handlelength": 3.2, "legend.labelcolor": GREY,
        "grid.color": GREY, "grid.alpha": 0.25, "axes.grid": True, "lines.linewidth": 2, "lines.markersize": 5,
    }  # fmt: skip
    named = {result["name"]: result for result in figures("headline.json")["scenarios"]}
    by_latency = [named[name] for name in ("0 ms", "50 ms", "100 ms", "200 ms") if name in named]
    by_users = [named[name] for name in ("50 ms", "80 users, 50 ms", "800 users, 50 ms") if name in named]
    for name, (figure, axes) in zip(
        PLOTS, (latency(plt, by_latency), split(plt, named["100 ms"]), users(plt, by_users)), strict=True
    ):
        for axis in axes:
            axis.tick_params(length=0)
            axis.set_axisbelow(True)
        about = {"Description": f"drawn from the figures {digest()}", "Date": None, "Creator": "benchmarks/plots.py"}
        figure.savefig(STATIC / name, transparent=True, bbox_inches="tight", metadata=about)
        plt.close(figure)


def latency(plt: Any, results: Sequence[Mapping[str, Any]]) -> Any:
    """Seconds over what a tool call takes."""
    figure, axis = plt.subplots(figsize=(7, 3.4))
    for arms, style, marked, name, colour, line in SERIES:
        if not (found := points(results, arms, style, marked)):
            continue
        axis.plot(
            [r["latency"] * 1000 for r, _ in found],
            [c["wall"] for _, c in found],
            line,
            marker="o",
            color=colour,
            label=name,
        )
    axis.set(xlabel="milliseconds that each tool call takes", ylabel="seconds to the answer", ylim=(0, None))
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure, [axis]


def split(plt: Any, result: Mapping[str, Any]) -> Any:
    """Where the seconds go, with tools of 100 ms."""
    figure, axis = plt.subplots(figsize=(7, 2.2))
    rows = [(name, case_of(result, arms, style or None, marked)) for arms, style, marked, name, *_ in SERIES]
    rows = [(name, case) for name, case in reversed(rows) if case is not None]
    left = [0.0] * len(rows)
    for part, colour in PARTS.items():
        # What tools and model did at once counts as the model's.
        widths = [case[part] - (case["both"] if part == "tools" else 0) for _, case in rows]
        axis.barh([name for name, _ in rows], widths, left=left, color=colour, label=part, height=0.6)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axis.set(xlabel="seconds, tools of 100 ms")
    axis.grid(visible=False, axis="y")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure, [axis]


def users(plt: Any, results: Sequence[Mapping[str, Any]]) -> Any:
    """Seconds and tokens over the number of users."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), gridspec_kw={"wspace": 0.35})
    for axis, what in zip(axes, ("wall", "tokens"), strict=True):
        for arms, style, marked, name, colour, line in SERIES:
            if not (found := points(results, arms, style, marked)):
                continue
            axis.plot(
                [r["users"] for r, _ in found], [c[what] for _, c in found], line, marker="o", color=colour, label=name
            )
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="users",
            title={"wall": "seconds, tools of 50 ms", "tokens": "tokens"}[what],
        )
        axis.set_xticks([8, 80, 800], ["8", "80", "800"])
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.minorticks_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=2)
    return figure, axes


if __name__ == "__main__":
    STATIC.mkdir(exist_ok=True)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw()
