"""Execute a notebook without a front end: a table of its prompts at the end, and in CI only recorded programs."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false
# pyright: reportUnknownArgumentType=false, reportMissingModuleSource=false
# nbformat and nbconvert have next to no types.

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..text import truncate
from .notebook_execution import PromptCell, execute, is_prompt, read_notebook

try:
    import nbformat
    from nbconvert import HTMLExporter
except ImportError as error:
    raise UserError(
        f"Executing notebooks needs {error.name}, which is not installed: pip install 'codeact-kernel[run]'."
    ) from None

__all__ = ["demo", "run"]

_EXAMPLE = "01_first_prompt"


def run(
    notebook: Path, *, allow: str = "", html: Path | None = None, output: Path | None = None, locked: bool = False
) -> int:
    """Execute a notebook in its folder, up to a cell that fails, and print a table of its prompts.

    Args:
        allow: Names of tools that may run without asking, separated by commas.
        html: Write the result as an HTML page to this file, even if a cell failed.
        output: Write the result as a notebook to this file, even if a cell failed.
        locked: Never ask a model. A prompt whose recorded program does not fit fails, and the next cells run.

    Returns:
        The exit code: 0 if every cell ran.

    Raises:
        UserError: The notebook cannot be read, written, or executed.
    """
    node = read_notebook(notebook)
    for file in (html, output):
        if file is not None and file.is_dir():  # check before the long run
            raise UserError(f"{file} cannot be written: it is a folder.")
        if file is not None and not file.parent.is_dir():
            raise UserError(f"{file} cannot be written: there is no folder {file.parent}.")
    environment = dict(os.environ)
    if allow:
        environment["CODEACT_ALLOW"] = ",".join(filter(None, [allow, environment.get("CODEACT_ALLOW", "")]))
    execution = execute(node, notebook.resolve().parent, environment, "locked" if locked else "live")
    for file, text in (
        (output, lambda: nbformat.writes(node)),
        (html, lambda: HTMLExporter().from_notebook_node(node)[0]),
    ):
        if file is not None:
            _write(file, text())
    _summarise(execution.prompts)
    if execution.failure:
        print(f"\nA cell failed: {execution.failure}")
    has_stale = _list_stale(execution.prompts)
    return int(bool(execution.failure) or has_stale)


def demo(*, html: Path | None = None) -> int:
    """Run the first example, which ships with the package, and print the results of its prompts.

    Raises:
        UserError: The example is missing.
    """
    folder = _examples()
    with tempfile.TemporaryDirectory() as own:
        for suffix in (".ipynb", ".answers.json"):
            shutil.copy(folder / f"{_EXAMPLE}{suffix}", own)
        executed = Path(own, "executed.ipynb")
        code = run(Path(own, f"{_EXAMPLE}.ipynb"), html=html, output=executed)
        for cell in read_notebook(executed).cells:
            if cell.cell_type == "code" and is_prompt(cell.source):
                print(f"\n{cell.source}\n")
                print(
                    *(item.get("data", {}).get("text/plain", item.get("text", "")) for item in cell.outputs), sep="\n"
                )
    return code


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from None


def _summarise(prompts: Sequence[PromptCell]) -> None:
    if not prompts:
        print("The notebook has no prompt cells.")
        return
    print(f"\n{'prompt':42} {'state':12} {'calls':>6} {'denied':>6} {'tokens':>8} {'seconds':>8}")
    for prompt in prompts:
        text = truncate(prompt.text, 42)
        state = next((report.state for report in prompt.reports if report.state not in ("ok", "failed")), prompt.state)
        print(f"{text:42} {state:12} {prompt.calls:6,} {prompt.denied:6,} {prompt.tokens:8,} {prompt.seconds:8.1f}")


def _list_stale(prompts: Sequence[PromptCell]) -> bool:
    """Print why prompts could not be answered by their records, and return whether there are any."""
    stale = [report for prompt in prompts for report in prompt.reports if report.state not in ("ok", "failed")]
    if stale:
        print("\nNo recorded program fits these prompts:")
    for report in stale:
        print(f"- {truncate(report.ask, 60)}: {report.reason}")
    if stale:
        print("Run the notebook with a model to record them again.")
    return bool(stale)


def _examples() -> Path:
    """Return the folder of the examples, which differs between a wheel and a clone."""
    packaged = Path(__file__).parent / "examples"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "examples"
    if not (folder / f"{_EXAMPLE}.ipynb").exists():
        raise UserError("The example is missing: install codeact-kernel again.")
    return folder
