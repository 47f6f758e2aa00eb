"""Execute a notebook without a front end: a progress bar meanwhile, and a table of its prompts at the end."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false
# pyright: reportUnknownArgumentType=false, reportUntypedBaseClass=false, reportMissingModuleSource=false
# nbclient, nbformat and nbconvert have next to no types.

from __future__ import annotations

import asyncio
import atexit
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..render.escaping import one_line
from ..text import truncate

try:
    import nbformat
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from nbconvert import HTMLExporter
    from tqdm import tqdm
    from traitlets.config import Config
except ImportError as error:
    raise UserError(
        f"Executing notebooks needs {error.name}, which is not installed: pip install 'codeact-kernel[run]'."
    ) from None

__all__ = ["demo", "run"]

_PROMPT = re.compile(r"\s*(?:%%codeact\b[^\n]*\n+|>(?: |\n|$))([^\n]*)")
_MAX_FOLDER_CHARACTERS = 70
"""Maximum length of the folder for temporary files: a socket's name can have about a hundred characters."""
_EXAMPLE = "01_first_prompt"


@dataclass(slots=True)
class _Prompt:
    """One prompt cell. The figures are only shown, because code of the notebook could forge them."""

    text: str
    state: str = "no answer"
    calls: int = 0
    denied: int = 0
    tokens: int = 0
    seconds: float = 0.0


class _Client(NotebookClient):
    """Executes the notebook, and reads the progress of its turns from metadata of their outputs."""

    def __init__(self, notebook: Any, bar: Any, **options: Any) -> None:
        super().__init__(notebook, **options)
        self.prompts: dict[int, _Prompt] = {}
        self.stopped = False
        self._bar = bar
        self._began = 0.0
        self._stop: Callable[[], object] = lambda: None

    async def execute_all(self, environment: Mapping[str, str]) -> None:
        """Execute all cells. The kernel is shut down in any case."""
        task = asyncio.current_task()
        assert task is not None
        self._stop = task.cancel
        try:
            await self.async_execute(env=dict(environment))
        finally:
            atexit.unregister(self._cleanup_kernel)  # it stays registered if the kernel did not start
            if self.km is not None:
                with suppress(Exception):
                    await self._async_cleanup_kernel()

    def begin(self, cell: Any, cell_index: int) -> None:
        self._began = time.monotonic()
        if sys.platform != "win32":  # nbclient's handler kills the kernel and continues
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupted)
        if cell.cell_type == "code" and (match := _PROMPT.match(cell.source)):
            self.prompts[cell_index] = _Prompt(_harmless(match[1]))
        self._show("")

    def _interrupted(self) -> None:
        self.stopped, self.shutdown_kernel = True, "immediate"
        self._stop()

    def end(self, cell: Any, cell_index: int, execute_reply: Any) -> None:
        if cell_index in self.prompts:
            self.prompts[cell_index].seconds = time.monotonic() - self._began
        self._bar.update(1)

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        transient = msg.get("content", {}).get("transient")
        progress = transient.get("codeact") if isinstance(transient, dict) else None
        if isinstance(progress, dict):
            self._on_progress(progress, cell_index)
        return super().process_message(msg, cell, cell_index)

    def _on_progress(self, progress: Mapping[str, Any], cell_index: int) -> None:
        prompt = self.prompts.setdefault(cell_index, _Prompt(f"cell {cell_index + 1}"))
        prompt.text = _harmless(progress.get("ask")) or prompt.text
        prompt.state = _harmless(progress.get("state"))[:40]
        prompt.calls, prompt.denied, prompt.tokens = (
            _number(progress.get(key)) for key in ("calls", "denied", "tokens")
        )
        self._show(_harmless(progress.get("call")) or prompt.state)

    def _show(self, doing: str) -> None:
        tokens = sum(prompt.tokens for prompt in self.prompts.values())
        self._bar.set_postfix_str(f"{tokens:,} tokens  {doing}", refresh=True)


def run(notebook: Path, *, allow: str = "", html: Path | None = None, output: Path | None = None) -> int:
    """Execute a notebook in its folder, up to a cell that fails, and print a table of its prompts.

    Args:
        allow: Names of tools that may run without asking, separated by commas.
        html: Write the result as an HTML page to this file, even if a cell failed.
        output: Write the result as a notebook to this file, even if a cell failed.

    Returns:
        The exit code: 0 if every cell ran.

    Raises:
        UserError: The notebook cannot be read, written, or executed.
    """
    node = _read(notebook)
    for file in (html, output):
        if file is not None and file.is_dir():  # check before the long run
            raise UserError(f"{file} cannot be written: it is a folder.")
        if file is not None and not file.parent.is_dir():
            raise UserError(f"{file} cannot be written: there is no folder {file.parent}.")
    total = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in node.cells)
    shape = "{n_fmt}/{total_fmt} cells |{bar:20}| {elapsed} {postfix}"
    bar = tqdm(total=total, file=sys.stderr, disable=None, bar_format=shape, dynamic_ncols=True)
    with bar, _own_folder() as own:
        resources = {"metadata": {"path": str(notebook.resolve().parent)}}
        client = _Client(node, bar, timeout=None, resources=resources, config=_private_transport(own))
        client.on_cell_execute, client.on_cell_executed = client.begin, client.end
        environment = dict(os.environ)
        if allow:
            environment["CODEACT_ALLOW"] = ",".join(filter(None, [allow, environment.get("CODEACT_ALLOW", "")]))
        failed = _execute(client, environment)
    for file, text in (
        (output, lambda: nbformat.writes(node)),
        (html, lambda: HTMLExporter().from_notebook_node(node)[0]),
    ):
        if file is not None:
            _write(file, text())
    _summarise(client.prompts)
    if failed:
        print(f"\nA cell failed: {failed}")
    return int(bool(failed))


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
        for cell in _read(executed).cells:
            if cell.cell_type == "code" and _PROMPT.match(cell.source):
                print(f"\n{cell.source}\n")
                print(
                    *(item.get("data", {}).get("text/plain", item.get("text", "")) for item in cell.outputs), sep="\n"
                )
    return code


def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder with a short name, for sockets."""
    is_long = len(tempfile.gettempdir()) > _MAX_FOLDER_CHARACTERS
    return tempfile.TemporaryDirectory(dir="/tmp" if is_long and Path("/tmp").is_dir() else None)


def _private_transport(folder: str) -> Config:
    """Use sockets in a private folder: all users of the machine can reach Jupyter's ports on the loopback device."""
    if sys.platform == "win32" or len(folder) > _MAX_FOLDER_CHARACTERS + 20:
        return Config()
    return Config(KernelManager={"transport": "ipc", "ip": str(Path(folder, "k"))})


def _read(file: Path) -> Any:
    try:
        return nbformat.read(file, as_version=4)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from None
    except Exception:  # nbformat raises many kinds
        raise UserError(f"{file} is not a notebook: name an .ipynb file that Jupyter opens.") from None


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from None


def _execute(client: _Client, environment: Mapping[str, str]) -> str:
    """Execute the notebook; return why a cell failed, or ""."""
    try:
        asyncio.run(client.execute_all(environment))
    except CellExecutionError as error:
        return _harmless(str(error).strip().splitlines()[-1], 500)
    except NoSuchKernel as error:
        raise UserError(
            f"The notebook's kernel {error.name!r} is not installed here: codeact-kernel list shows ours, "
            "and codeact-kernel install adds it."
        ) from None
    except DeadKernelError:  # nbclient also raises this after a stop
        return "you stopped it" if client.stopped else "the kernel died"
    except (KeyboardInterrupt, asyncio.CancelledError):
        return "you stopped it"
    except Exception as error:  # the kernel does not start, or sends invalid messages
        return _harmless(f"it cannot be executed: {type(error).__name__}: {error}", 500)
    return ""


def _harmless(text: object, max_characters: int = 80) -> str:
    """Return text of a notebook or its kernel in a form that is safe for a terminal."""
    return one_line(text)[:max_characters] if isinstance(text, str) else ""


def _summarise(prompts: Mapping[int, _Prompt]) -> None:
    if not prompts:
        print("The notebook has no prompt cells.")
        return
    print(f"\n{'prompt':42} {'state':10} {'calls':>6} {'denied':>6} {'tokens':>8} {'seconds':>8}")
    for prompt in prompts.values():
        text = truncate(prompt.text, 42)
        print(
            f"{text:42} {prompt.state:10} {prompt.calls:6,} {prompt.denied:6,} {prompt.tokens:8,} {prompt.seconds:8.1f}"
        )


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0


def _examples() -> Path:
    """Return the folder of the examples, which differs between a wheel and a clone."""
    packaged = Path(__file__).parent / "examples"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "examples"
    if not (folder / f"{_EXAMPLE}.ipynb").exists():
        raise UserError("The example is missing: install codeact-kernel again.")
    return folder
