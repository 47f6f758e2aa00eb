"""Write docs/modules.md: what a program can import, as it was tried when the standard-library pack was built.

python scripts/modules_page.py
"""

from __future__ import annotations

from pathlib import Path

from codeact_kernel.guest import modules

PAGE = Path(__file__).parents[1] / "docs" / "modules.md"
COLUMNS = 5


def page() -> str:
    """The page's text."""
    tops = [name for name in modules() if "." not in name]
    below = [name for name in modules() if "." in name and not name.startswith("encodings.")]
    rows = [tops[start : start + COLUMNS] for start in range(0, len(tops), COLUMNS)]
    table = "\n".join("| " + " | ".join([*row, *[""] * (COLUMNS - len(row))]) + " |" for row in rows)
    return f"""# What a program can import

The guest is CPython 3.14 for WASI. Its own modules and the standard library that we pack for it give **{len(tops)}**
top-level modules; each was imported in the real guest when the pack was built. Nothing else can be imported: there is
no pip, no numpy, no pandas. (This page is written by `scripts/modules_page.py`.)

|{" |" * COLUMNS}
|{" --- |" * COLUMNS}
{table}

Below them, {len(below)} submodules (and the encodings): {", ".join(f"`{name}`" for name in below)}.

Not to be had, because the guest has no operating system under it: threads and processes (`threading` imports, but no
thread can start), sockets, `ssl`, `ctypes`, `bz2`, `lzma`, `curses`, `tkinter`. `zoneinfo` imports but has no zone
data: use `datetime.timezone.utc`.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
