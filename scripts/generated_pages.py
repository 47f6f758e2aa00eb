"""Write what the code knows into the pages: docs/modules.md, and the tables of docs/configuration.md.

python scripts/generated_pages.py
"""

from __future__ import annotations

import re
from pathlib import Path

from codeact_kernel.configuration import OPTIONS, PLACES, Option
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

Not to be had, because the guest has no operating system under it: threads and processes (`threading` imports, but no
thread can start), sockets, `ssl`, `ctypes`, `bz2`, `lzma`, `curses`, `tkinter`. `zoneinfo` imports but has no zone
data: use `datetime.timezone.utc`.
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


def _between(text: str, name: str, table: str) -> str:
    pattern = re.compile(rf"(<!-- {name}:[^>]*-->\n\n).*?(\n\n<!-- end of {name} -->)", re.DOTALL)
    assert len(pattern.findall(text)) == 1, name
    return pattern.sub(lambda found: found[1] + table + found[2], text)


if __name__ == "__main__":
    (DOCS / "modules.md").write_text(modules_page(), encoding="utf-8")
    page = DOCS / "configuration.md"
    page.write_text(configuration_page(page.read_text(encoding="utf-8")), encoding="utf-8")
