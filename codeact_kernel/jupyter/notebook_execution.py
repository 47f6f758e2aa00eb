"""Execute the cells of a notebook in a kernel of its own, and follow the progress of its prompts."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false
# pyright: reportUnknownArgumentType=false, reportUntypedBaseClass=false, reportMissingModuleSource=false
# nbclient, nbformat and tqdm have next to no types.

from __future__ import annotations

import asyncio
import atexit
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..bridge.strict_json import loads
from ..errors import BridgeError, UserError
from ..render.escaping import escape_controls, one_line

try:
    import nbformat
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from tqdm import tqdm
    from traitlets.config import Config
except ImportError as error:
    raise UserError(
        f"Executing notebooks needs {error.name}, which is not installed: pip install 'codeact-kernel[run]'."
    ) from None

__all__ = ["Execution", "Mode", "PromptCell", "Report", "execute", "is_prompt", "read_notebook"]

Mode: TypeAlias = Literal["live", "locked", "test"]
"""Whether the model answers prompts, or only their records do, without the tools in a test."""

_PROMPT = re.compile(r"\s*(?:%%codeact\b[^\n]*\n+|>(?: |\n|$))([^\n]*)")
_MAX_FOLDER_CHARACTERS = 70
"""Maximum length of the folder for temporary files: a socket's name can have about a hundred characters."""
_MAX_REPORTS = 4 << 20
"""Bytes of the reports of one cell."""
_MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Report:
    """What the kernel says about one prompt: see `memory.locked_reuse.PromptReport`. The texts are safe to print."""

    ask: str
    state: str
    reason: str
    diff: Sequence[str]


@dataclass(slots=True)
class PromptCell:
    """One prompt cell. Everything here is only shown, because code of the notebook could forge it.

    Attributes:
        reports: the reports about its prompts, unless the model answers them.
    """

    text: str
    state: str = "no answer"
    calls: int = 0
    denied: int = 0
    tokens: int = 0
    seconds: float = 0.0
    reports: list[Report] = field(default_factory=list[Report])


@dataclass(frozen=True, slots=True)
class Execution:
    """What became of a notebook.

    Attributes:
        prompts: the prompt cells, in their order; also those that were not reached.
        failure: why a cell failed, or an empty text.
    """

    prompts: Sequence[PromptCell]
    failure: str


def is_prompt(source: str) -> bool:
    """Return whether a cell with this source is a prompt."""
    return _PROMPT.match(source) is not None


def execute(notebook: Any, folder: Path, environment: Mapping[str, str], mode: Mode = "live") -> Execution:
    """Execute a notebook up to a cell that fails, with a progress bar. Its cells get their outputs.

    A prompt that fails because of its record is not the end, unless the mode is `"live"`.

    Args:
        folder: the working folder.
        environment: the environment of the kernel.

    Raises:
        UserError: if the kernel of the notebook is not installed.
    """
    total = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
    shape = "{n_fmt}/{total_fmt} cells |{bar:20}| {elapsed} {postfix}"
    bar = tqdm(total=total, file=sys.stderr, disable=None, bar_format=shape, dynamic_ncols=True)
    with bar, _own_folder() as own:
        options: dict[str, Any] = {"timeout": None, "resources": {"metadata": {"path": str(folder)}}}
        reports = None
        if mode != "live":
            reports = Path(own, "reports")
            locked = {"CODEACT_LOCKED": mode, "CODEACT_LOCKED_REPORT": str(reports), "CODEACT_TRUST_LOCKS": "1"}
            environment = {**environment, **locked}
            options["allow_errors"] = True  # `_Client.fail` decides
        client = _Client(notebook, bar, reports, config=_private_transport(own), **options)
        client.on_cell_execute, client.on_cell_executed, client.on_cell_error = client.begin, client.end, client.fail
        failure = _execute(client, environment)
    if mode != "live":
        client.add_prompts_not_reached()
    return Execution([client.prompts[index] for index in sorted(client.prompts)], failure)


def read_notebook(file: Path) -> Any:
    """Read a notebook.

    Raises:
        UserError: if the file cannot be read, or is not a notebook.
    """
    try:
        return nbformat.read(file, as_version=4)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from None
    except Exception:  # nbformat raises many kinds
        raise UserError(f"{file} is not a notebook: name an .ipynb file that Jupyter opens.") from None


class _Client(NotebookClient):
    """Executes the notebook, and reads the progress of its turns from metadata of their outputs."""

    def __init__(self, notebook: Any, bar: Any, reports: Path | None, **options: Any) -> None:
        super().__init__(notebook, **options)
        self.prompts: dict[int, PromptCell] = {}
        self.stopped = False
        self._bar = bar
        self._reports = reports
        self._reports_read = 0
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
        if (prompt := _find_prompt(cell)) is not None:
            self.prompts[cell_index] = prompt
        self._show("")

    def _interrupted(self) -> None:
        self.stopped, self.shutdown_kernel = True, "immediate"
        self._stop()

    def end(self, cell: Any, cell_index: int, execute_reply: Any) -> None:
        if cell_index in self.prompts:
            self.prompts[cell_index].seconds = time.monotonic() - self._began
        for report in self._read_reports():
            self.prompts.setdefault(cell_index, PromptCell(report.ask)).reports.append(report)
        self._bar.update(1)

    def fail(self, cell: Any, cell_index: int, execute_reply: Any) -> None:
        """End the execution, unless the cell failed because of the record of its prompt."""
        prompt = self.prompts.get(cell_index)
        is_excused = prompt is not None and any(report.state not in ("ok", "failed") for report in prompt.reports)
        if self._reports is not None and not is_excused and "raises-exception" not in cell.metadata.get("tags", []):
            raise CellExecutionError.from_cell_and_msg(cell, execute_reply["content"])

    def add_prompts_not_reached(self) -> None:
        """Add the prompt cells after the end of the execution."""
        for index, cell in enumerate(self.nb.cells):
            if index not in self.prompts and (prompt := _find_prompt(cell)) is not None:
                prompt.state = "not reached"
                self.prompts[index] = prompt

    def _read_reports(self) -> Sequence[Report]:
        """Return the reports since the last time."""
        if self._reports is None or not self._reports.is_file():
            return []
        with self._reports.open("rb") as file:
            file.seek(self._reports_read)
            data = file.read(_MAX_REPORTS)
        self._reports_read += len(data)
        return [report for line in data.splitlines() if (report := _parse_report(line)) is not None]

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        transient = msg.get("content", {}).get("transient")
        progress = transient.get("codeact") if isinstance(transient, dict) else None
        if isinstance(progress, dict):
            self._on_progress(progress, cell_index)
        return super().process_message(msg, cell, cell_index)

    def _on_progress(self, progress: Mapping[str, Any], cell_index: int) -> None:
        prompt = self.prompts.setdefault(cell_index, PromptCell(f"cell {cell_index + 1}"))
        prompt.text = _harmless(progress.get("ask")) or prompt.text
        prompt.state = _harmless(progress.get("state"))[:40]
        prompt.calls, prompt.denied, prompt.tokens = (
            _number(progress.get(key)) for key in ("calls", "denied", "tokens")
        )
        self._show(_harmless(progress.get("call")) or prompt.state)

    def _show(self, doing: str) -> None:
        tokens = sum(prompt.tokens for prompt in self.prompts.values())
        self._bar.set_postfix_str(f"{tokens:,} tokens  {doing}", refresh=True)


def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder with a short name, for sockets."""
    is_long = len(tempfile.gettempdir()) > _MAX_FOLDER_CHARACTERS
    return tempfile.TemporaryDirectory(dir="/tmp" if is_long and Path("/tmp").is_dir() else None)


def _private_transport(folder: str) -> Config:
    """Use sockets in a private folder: all users of the machine can reach Jupyter's ports on the loopback device."""
    if sys.platform == "win32" or len(folder) > _MAX_FOLDER_CHARACTERS + 20:
        return Config()
    return Config(KernelManager={"transport": "ipc", "ip": str(Path(folder, "k"))})


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


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0


def _find_prompt(cell: Any) -> PromptCell | None:
    match = _PROMPT.match(cell.source) if cell.cell_type == "code" else None
    if match is None or "skip-execution" in cell.metadata.get("tags", []):
        return None
    first_line = cell.source.strip().partition("\n")[0]
    return None if "--dry-run" in first_line.split() else PromptCell(_harmless(match[1]))


def _parse_report(line: bytes) -> Report | None:
    try:
        content = loads(line, limit=_MAX_REPORTS, depth=3)
    except BridgeError:
        return None
    if not isinstance(content, dict):
        return None
    ask, state, reason = (_harmless(content.get(name), _MAX_REASON) for name in ("ask", "state", "reason"))
    diff = content.get("diff")
    lines = escape_controls(diff).split("\n") if isinstance(diff, str) and diff else []
    return Report(ask, state[:40], reason, lines)
