"""From a click to the tool that it lets run, while the cell is running, on several versions of ipykernel.

    .venv/bin/python benchmarks/clicks.py [--clicks 100]

The click is the message that a page sends; the tool is a synchronous one, on the kernel's main thread. Beside it, in the
same kernel, an empty cell from its request to its end, to read the click as a ratio.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.notebook.page import VERSIONS, Page

TOOL = """
import time
from codeact import tool
ran = []
@tool(approval_mode="always_require")
def touch() -> None:
    "Touch."
    ran.append(time.time())
"""


def milliseconds(sent: list[float], ran: list[float]) -> list[float]:
    return sorted((after - before) * 1e3 for before, after in zip(sent, ran, strict=True))


def by_click(page: Page, clicks: int) -> list[float]:
    page.do("ran.clear()")
    page.says_hello = True
    page.script(f"```python\nfor _ in range({clicks}): touch()\n```")
    cell = page.send("%%codeact --timeout 600\nGo.", allow_stdin=True)
    sent, last = [], None
    for _ in range(clicks):
        page.wait(lambda shown=last: bool(page.questions) and page.questions[0]["digest"] != shown)
        last = page.questions[0]["digest"]
        sent.append(time.time())
        page.decide(page.questions[0], "allow_once")
    page.finished(cell)
    return milliseconds(sent, page.get("ran"))


def empty_cell(page: Page, times: int) -> list[float]:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        page.run("")
        took.append((time.perf_counter() - began) * 1e3)
    return sorted(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=100)
    clicks = parser.parse_args().clicks
    print(f"{'ipykernel':12}{'click p50':>12}{'click p99':>12}{'empty cell p50':>16}{'ratio of p50':>14}")
    for version in VERSIONS:
        page = Page(Path(tempfile.mkdtemp()), version)
        try:
            page.do("%load_ext codeact")
            page.do(TOOL)
            by_click(page, 5)
            took, empty = by_click(page, clicks), empty_cell(page, clicks)
        finally:
            page.close()
        p50, p99, base = statistics.median(took), took[int(len(took) * 0.99) - 1], statistics.median(empty)
        print(f"{version:12}{p50:9.1f} ms{p99:9.1f} ms{base:13.1f} ms{p50 / base:14.2f}")


if __name__ == "__main__":
    main()
