"""`codeact-kernel run --locked` and `codeact-kernel test`, on a notebook that was run with a model before.

Both run in processes of their own, in which every connection to the network raises and is noted.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..model.conftest import FakeEndpoint
from .test_headless import notebook, run

TOOLS = """
import codeact
from codeact import tool

def note(name):
    with open("ran.txt", "a") as file:
        file.write(name + "\\n")

@tool(read_only=True)
def get_orders(year: int) -> list[dict]:
    "Orders of a year, with region and revenue."
    note("get_orders")
    return [{"region": ("north", "east")[n % 2], "revenue": float(n + year)} for n in range(6)]

@tool(approval_mode="always_require")
def pay(amount: float) -> str:
    "Pay."
    note("pay")
    return f"paid {amount}"

@tool
def weather(city: str) -> str:
    "The weather."
    note("weather")
    return f"rain in {city}"
"""
REVENUE = """
totals = {}
for order in get_orders(2025):
    totals[order["region"]] = totals.get(order["region"], 0) + order["revenue"]
[{"region": region, "revenue": revenue} for region, revenue in totals.items()]
"""
PROMPTS = {
    "%%codeact\nRevenue per region in 2025": REVENUE,
    "%%codeact\nOnly the north": "[row for row in previous if row['region'] == 'north']",
    "%%codeact\nPay 3": "pay(amount=3.0)",
    "%%codeact --in prices --out total\nAdd up the prices": "total = sum(prices)",
    "%%codeact\nPlot the orders of 2024": "show(get_orders(2024), chart='bar', x='region', y='revenue')",
    "%%codeact\nThe weather in Oslo, with the hour": "import time\nweather('Oslo') + time.strftime(' at %F %H h')",
}
ASKS = [cell.partition("\n")[2] for cell in PROMPTS]
CELLS = ["%load_ext codeact", TOOLS, "prices = [1.5, 2.5]", *PROMPTS]
CELLS.insert(7, "assert total == 4.0\nprint('total', total)")
CELLS.append("""
import json
with open("values.json", "w") as file:
    json.dump([[result.value, result.outputs, [item.data for item in result.shown]] for result in codeact.results], file)
""")
NO_NETWORK = """
import sys

def refuse(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname") or (
        event == "socket.connect" and not isinstance(arguments[1], (str, bytes))
    ):
        with open({file!r}, "a") as out:
            out.write(f"{{event}} {{arguments[1:]}}\\n")
        raise OSError("no network in this test")

sys.addaudithook(refuse)
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a notebook that was run with a model, and the endpoint's number of requests in `requests`."""
    folder = tmp_path_factory.mktemp("recorded")
    endpoint = FakeEndpoint()
    for program in PROMPTS.values():
        chunk, end = endpoint.chunk(f"```python\n{program.strip()}\n```"), endpoint.chunk(finish="stop")
        endpoint.answers(endpoint.stream(chunk, end, endpoint.usage(100, 50)))
    thread = threading.Thread(target=endpoint.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        file = notebook(folder, *CELLS)
        model = {
            "OPENAI_BASE_URL": endpoint.url,
            "OPENAI_API_KEY": "none",
            "CODEACT_MODEL": "m",
            "CODEACT_REUSE": "auto",
        }
        done = run(folder, "run", str(file), "--allow", "pay", "--output", "first.ipynb", **model)
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(endpoint.prompts) == len(PROMPTS)
        (folder / "values.json").rename(folder / "first.json")
        again = run(folder, "run", str(file), "--allow", "pay", "--output", "again.ipynb", "--locked", **model)
        assert again.returncode == 0, again.stdout + again.stderr
        assert len(endpoint.requests) == len(PROMPTS), "the endpoint was asked although every prompt is recorded"
        yield folder
    finally:
        endpoint.server.shutdown()
        thread.join()
        endpoint.server.server_close()


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """A copy, in which a test may change things."""
    prompts = tmp_path / ".codeact" / "prompts"
    prompts.mkdir(parents=True)
    for file in (recorded / ".codeact" / "prompts").iterdir():
        (prompts / file.name).write_bytes(file.read_bytes())
    notebook(tmp_path, *CELLS)
    return tmp_path


def offline(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line where no connection is possible, and nobody even tries."""
    hook = folder / "hook"
    hook.mkdir(exist_ok=True)
    tried = folder / "tried.txt"
    (hook / "sitecustomize.py").write_text(NO_NETWORK.format(file=str(tried)))
    path = os.pathsep.join(filter(None, [str(hook), os.environ.get("PYTHONPATH", "")]))
    done = run(folder, *arguments, PYTHONPATH=path, **environment)
    assert not tried.exists(), tried.read_text()
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_a_notebook_runs_again_without_model_and_network_and_gives_the_same(recorded, folder):
    done = offline(folder, "run", "report.ipynb", "--locked", "--allow", "pay", "--output", "locked.ipynb")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[-2] for line in done.stdout.strip().splitlines()[1:]] == ["0"] * len(PROMPTS)
    assert (folder / "ran.txt").read_text().split() == ["get_orders", "pay", "get_orders", "weather"]
    first, again = (json.loads(file.read_text()) for file in (recorded / "first.json", folder / "values.json"))
    assert first[0][0][0] == {"region": "north", "revenue": 6081.0}
    assert first[-1][0].startswith("rain in Oslo at ")
    assert again[:-1] == first[:-1], "the last one says the hour"
    assert "The recorded program of" in (folder / "locked.ipynb").read_text()


def test_a_notebook_is_tested_without_model_network_and_tools(recorded, folder):
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    done = offline(folder, "test", "report.ipynb")
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, summary = done.stdout.strip().splitlines()
    assert [line.split(maxsplit=1) for line in lines if line] == [["ok", ask] for ask in ASKS]
    assert summary == "6 prompts: 6 ok."
    assert not (folder / "ran.txt").exists()
    assert (folder / "values.json").read_text() == (recorded / "first.json").read_text()
    assert {file: file.read_bytes() for file in before} == before
    assert not (folder / "codeact_output").exists()
    history = Path("data", "codeact-kernel", "history.sqlite")
    assert (recorded / history).exists()
    assert not (folder / history).exists(), "calls that are only repeated are in the history"


@pytest.mark.parametrize("command", [["run", "--locked", "--allow", "pay"], ["test"]])
def test_a_changed_tool_makes_exactly_the_prompts_stale_that_use_it(folder, command):
    notebook(
        folder, *[cell.replace("get_orders(year: int)", "get_orders(year: int, region: str = '')") for cell in CELLS]
    )
    done = offline(folder, *command, "report.ipynb")
    assert done.returncode == 1
    assert "get_orders has a new parameter `region: str = ''`" in done.stdout
    states = {}
    for line in done.stdout.splitlines():
        for ask in ASKS:
            if ask in line and ask not in states:
                states[ask] = line
    stale = [ask for ask, line in states.items() if "stale" in line]
    assert stale == ["Revenue per region in 2025", "Plot the orders of 2024"]
    assert "not run" in states["Only the north"]
    assert "it needs the result of `Revenue per region in 2025`, which has none" in done.stdout
    assert "not reached" not in done.stdout
    assert "A cell failed" not in done.stdout


def test_what_differs_is_shown_as_a_diff_that_is_harmless_in_a_terminal(folder):
    cells = [cell.replace("[1.5, 2.5]", "[1.5, 2.5, 10]").replace("assert total == 4.0\n", "") for cell in CELLS]
    notebook(folder, *cells)
    (lock,) = (folder / ".codeact" / "prompts").glob("the-weather*")
    start, _, value = lock.read_text().rpartition("rain in Oslo")
    lock.write_text(f"{start}\\u001b[2J\\u202eevil{value}")
    done = offline(folder, "test", "report.ipynb")
    assert done.returncode == 1
    assert "--- recorded value\n+++ value now\n" in done.stdout
    assert '-  "total": 4.0\n' in done.stdout
    assert '+  "total": 14.0\n' in done.stdout
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert done.stdout.strip().splitlines()[-1] == "6 prompts: 4 ok, 2 differs."


def test_records_that_are_missing_damaged_or_incomplete_are_reported_each(folder):
    prompts = folder / ".codeact" / "prompts"
    (missing,), (damaged,), (partial,) = (list(prompts.glob(f"{name}*")) for name in ("pay", "add-up", "the-weather"))
    missing.unlink()
    damaged.write_text("{")
    content = json.loads(partial.read_text())
    content["calls"][0]["result"] = {"digest": "0" * 64}
    partial.write_text(json.dumps(content))
    cells = [cell for cell in CELLS if "assert total" not in cell]
    notebook(folder, *cells)
    done = offline(folder, "test", "report.ipynb")
    assert done.returncode == 1
    assert "not recorded       Pay 3\n" in done.stdout
    assert "is not a recorded program" in done.stdout
    assert "cannot be replayed The weather in Oslo, with the hour\n" in done.stdout
    assert 'The result of call 1, weather(city="Oslo"), is not recorded' in done.stdout
    assert done.stdout.strip().splitlines()[-1] == ("6 prompts: 3 ok, 1 not recorded, 1 stale, 1 cannot be replayed.")
    assert not (folder / "ran.txt").exists()


@pytest.mark.full
def test_a_cell_that_fails_ends_the_test_and_the_prompts_after_it_are_not_reached(folder):
    notebook(folder, *CELLS[:5], "raise ValueError('mine')", *CELLS[5:])
    done = offline(folder, "test", "report.ipynb")
    assert done.returncode == 1
    assert "A cell failed: ValueError: mine" in done.stdout
    assert "not reached        Pay 3" in done.stdout
    assert "6 prompts: 2 ok, 4 not reached." in done.stdout


def test_a_cell_cannot_ask_the_model_although_the_run_is_locked(folder):
    cells = ["%load_ext codeact", "%config CodeAct.reuse = 'never'", "%%codeact --reuse never --record new.json\nNew."]
    notebook(folder, *cells)
    done = offline(
        folder, "run", "--locked", "report.ipynb", OPENAI_BASE_URL="http://127.0.0.1:9/v1", CODEACT_MODEL="m"
    )
    assert done.returncode == 1
    assert "- New.: it was never recorded" in done.stdout
    assert not (folder / "new.json").exists()
