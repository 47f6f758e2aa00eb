"""Write the generated pages: docs/modules.md, and the tables of docs/configuration.md and docs/sandbox.md.

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
from codeact_kernel.text import format_bytes

DOCS = Path(__file__).parents[1] / "docs"
COLUMNS = 5


def modules_page() -> str:
    """Return the text of docs/modules.md."""
    tops = [name for name in modules() if "." not in name]
    below = [name for name in modules() if "." in name and not name.startswith("encodings.")]
    rows = [tops[start : start + COLUMNS] for start in range(0, len(tops), COLUMNS)]
    table = "\n".join("| " + " | ".join([*row, *[""] * (COLUMNS - len(row))]) + " |" for row in rows)
    return f"""# What a program can import

The guest is CPython 3.14 for WASI. Its own modules and the packed standard library are **{len(tops)}** top-level
modules; each was imported in the real guest when the pack was built. Nothing else can be imported: the guest has no
pip, no numpy and no pandas, unless it is [the science guest](science.md). (`scripts/generated_pages.py` writes this
page.)

|{" |" * COLUMNS}
|{" --- |" * COLUMNS}
{table}

Below them, {len(below)} submodules (and the encodings): {", ".join(f"`{name}`" for name in below)}.

The guest has no operating system, so these are missing: threads, processes, sockets, `ssl`, `ctypes`, `bz2`, `lzma`,
`curses`, `tkinter`. `ThreadPoolExecutor` and `threading.Thread` work without threads: calls of tools run in parallel,
and other functions run from beginning to end, one after another. Waiting for another thread is an error.
"""


def configuration_page(text: str) -> str:
    """Return docs/configuration.md with up-to-date tables."""
    rows = "\n".join(f"| {number} | {place} | {what} |" for number, (place, what) in enumerate(PLACES, 1))
    text = _between(text, "places", f"| | place | where to set it |\n| --- | --- | --- |\n{rows}")
    rows = "\n".join(_row(option) for option in OPTIONS.values())
    head = "| key | meaning | value | default | in a cell |\n| --- | --- | --- | --- | --- |"
    return _between(text, "options", f"{head}\n{rows}")


def _row(option: Option) -> str:
    default = {None: "", True: "`true`", False: "`false`", frozenset(): "", (): ""}.get(
        option.default, f"`{option.default}`"
    )
    flag = f"`{option.flag}`" if option.in_cell else ""
    return f"| `{option.name}` | {option.help} | {option.kind} | {default} | {flag} |"


def sandbox_page(text: str) -> str:
    """Return docs/sandbox.md with an up-to-date table of limits."""
    docstrings = {"": _field_docstrings(limits, "WorkerLimits") | _field_docstrings(limits, "Limits")}
    docstrings |= {
        "output.": _field_docstrings(limits, "OutputLimits"),
        "show.": _field_docstrings(limits, "ShowLimits"),
    }
    docstrings |= {"http.": _field_docstrings(limits, "HttpLimits")}
    rows: list[str] = []
    for before, fields in docstrings.items():
        for name, words in fields.items():
            if name in ELSEWHERE:
                default, name = "", f"{name}`: the option `{ELSEWHERE[name]}"
            elif f"{before}{name}" in NAMES:
                default = _number(name, NAMES[f"{before}{name}"])
            else:  # a nested group, which comes next
                continue
            rows.append(f"| `{before}{name}` | {default} | {words} |")
    return _between(text, "limits", "| limit | default | meaning |\n| --- | --- | --- |\n" + "\n".join(rows))


def _field_docstrings(module: object, name: str) -> dict[str, str]:
    """Return the docstrings below the fields of a class, by the names of the fields."""
    (definition,) = [node for node in ast.parse(inspect.getsource(module)).body if getattr(node, "name", "") == name]
    pairs = zip(definition.body, [*definition.body[1:], None], strict=True)
    return {
        node.target.id: " ".join(ast.literal_eval(after.value).split())
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        else ""
        for node, after in pairs
        if isinstance(node, ast.AnnAssign)
    }


def _number(name: str, value: float) -> str:
    if name.endswith("bytes"):
        return format_bytes(value)
    return f"{value:g} s" if name.endswith("seconds") else f"{value:,}"


def _between(text: str, name: str, table: str) -> str:
    pattern = re.compile(rf"(<!-- {name}:[^>]*-->\n\n).*?(\n\n<!-- end of {name} -->)", re.DOTALL)
    assert len(pattern.findall(text)) == 1, name
    return pattern.sub(lambda match: match[1] + table + match[2], text)


if __name__ == "__main__":
    (DOCS / "modules.md").write_text(modules_page(), encoding="utf-8")
    page = DOCS / "configuration.md"
    page.write_text(configuration_page(page.read_text(encoding="utf-8")), encoding="utf-8")
    page = DOCS / "sandbox.md"
    page.write_text(sandbox_page(page.read_text(encoding="utf-8")), encoding="utf-8")
