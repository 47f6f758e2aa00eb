"""Write what the code knows into the pages: docs/modules.md, the tables of docs/configuration.md and docs/sandbox.md.

python scripts/generated_pages.py
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from codeact_kernel import limits
from codeact_kernel.configuration import OPTIONS, PLACES, Option
from codeact_kernel.configuration.limit_options import ELSEWHERE, NAMES
from codeact_kernel.guest import modules

DOCS = Path(__file__).parents[1] / "docs"
COLUMNS = 5


def modules_page() -> str:
    """All of docs/modules.md."""
    tops = [name for name in modules() if "." not in name]
    below = [name for name in modules() if "." in name and not name.startswith("encodings.")]
    rows = [tops[start : start + COLUMNS] for start in range(0, len(tops), COLUMNS)]
    table = "\n".join("| " + " | ".join([*row, *[""] * (COLUMNS - len(row))]) + " |" for row in rows)
    return f"""# What a program can import

The guest is CPython 3.14 for WASI. Its own modules and the standard library that we pack for it give **{len(tops)}**
top-level modules; each was imported in the real guest when the pack was built. Nothing else can be imported: there is
no pip, no numpy, no pandas. (This page is written by `scripts/generated_pages.py`.)

|{" |" * COLUMNS}
|{" --- |" * COLUMNS}
{table}

Below them, {len(below)} submodules (and the encodings): {", ".join(f"`{name}`" for name in below)}.

Not to be had, because the guest has no operating system under it: threads and processes, sockets, `ssl`, `ctypes`,
`bz2`, `lzma`, `curses`, `tkinter`. `ThreadPoolExecutor` and `threading.Thread` work without threads: calls of tools go
off together, and other functions run from beginning to end, one after another. What waits for another thread is an
error.
"""


def configuration_page(text: str) -> str:
    """docs/configuration.md, with its tables as they have to be."""
    rows = "\n".join(f"| {number} | {place} | {what} |" for number, (place, what) in enumerate(PLACES, 1))
    text = _between(text, "places", f"| | place | where |\n| --- | --- | --- |\n{rows}")
    rows = "\n".join(_row(option) for option in OPTIONS.values())
    head = "| key | what it is | a value is | default | in a cell |\n| --- | --- | --- | --- | --- |"
    return _between(text, "options", f"{head}\n{rows}")


def _row(option: Option) -> str:
    default = {None: "", True: "`true`", False: "`false`", frozenset(): "", (): ""}.get(
        option.default, f"`{option.default}`"
    )
    flag = f"`{option.flag}`" if option.in_cell else ""
    return f"| `{option.name}` | {option.help} | {option.kind} | {default} | {flag} |"


def sandbox_page(text: str) -> str:
    """docs/sandbox.md, with its table of limits as it has to be."""
    told = {"": _told(limits, "WorkerLimits") | _told(limits, "Limits")}
    told |= {"output.": _told(limits, "OutputLimits"), "show.": _told(limits, "ShowLimits")}
    told |= {"http.": _told(limits, "HttpLimits")}
    rows: list[str] = []
    for before, fields in told.items():
        for name, words in fields.items():
            if name in ELSEWHERE:
                default, name = "", f"{name}`: the option `{ELSEWHERE[name]}"
            elif f"{before}{name}" in NAMES:
                default = _number(name, NAMES[f"{before}{name}"])
            else:  # the rooms, which come next
                continue
            rows.append(f"| `{before}{name}` | {default} | {words} |")
    return _between(text, "limits", "| cap | default | of |\n| --- | --- | --- |\n" + "\n".join(rows))


def _told(module: object, name: str) -> dict[str, str]:
    """What stands below each field of a class."""
    (found,) = [node for node in ast.parse(inspect.getsource(module)).body if getattr(node, "name", "") == name]
    pairs = zip(found.body, [*found.body[1:], None], strict=True)
    return {
        node.target.id: " ".join(ast.literal_eval(after.value).split())
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        else ""
        for node, after in pairs
        if isinstance(node, ast.AnnAssign)
    }


def _number(name: str, value: float) -> str:
    if name.endswith("bytes"):
        return f"{value >> 20} MiB" if value >= 1 << 20 else f"{value >> 10} KiB"
    return f"{value:g} s" if name.endswith("seconds") else f"{value:,}"


def _between(text: str, name: str, table: str) -> str:
    pattern = re.compile(rf"(<!-- {name}:[^>]*-->\n\n).*?(\n\n<!-- end of {name} -->)", re.DOTALL)
    assert len(pattern.findall(text)) == 1, name
    return pattern.sub(lambda found: found[1] + table + found[2], text)


if __name__ == "__main__":
    (DOCS / "modules.md").write_text(modules_page(), encoding="utf-8")
    page = DOCS / "configuration.md"
    page.write_text(configuration_page(page.read_text(encoding="utf-8")), encoding="utf-8")
    page = DOCS / "sandbox.md"
    page.write_text(sandbox_page(page.read_text(encoding="utf-8")), encoding="utf-8")
