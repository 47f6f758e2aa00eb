"""A real kernel with the extension in it, and a front end that reads every message by the cell that caused it."""

from __future__ import annotations

import ast
import os
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from jupyter_client.manager import KernelManager

PATIENCE = 600 if os.environ.get("TEST_CODEACT_EMULATED") else 60
"""Seconds after which a kernel that says nothing has hung."""

EXTENSION = "get_ipython()._codeact"
SESSION = f"{EXTENSION}.frontend.session"
"""Expressions for the kernel: the loaded extension, and the engine's session behind it."""

OUTPUTS = {"stream", "display_data", "update_display_data", "execute_result", "error"}


def bare_environment(folder: Path) -> dict[str, str]:
    """No model configured, none to be found, and no profile of the user who runs the suite."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "AZURE_", "JUPYTER_", "IPYTHON")) and not name.startswith("CODEACT_")
    }
    # The discard port: nothing listens there, so no Ollama of this machine is found. The backend that every machine has.
    # The guest that needs no compilation of a minute. Tests share folders, and each wants the answers of its own script.
    # They read in the text of a cell what its program called.
    fixed = {
        "OLLAMA_HOST": "http://127.0.0.1:9",
        "CODEACT_BACKEND": "embedded",
        "CODEACT_GUEST": "standard",
        "CODEACT_REUSE": "never",
        "CODEACT_CARD": "full",
    }
    return (
        environment
        | fixed
        | {
            "IPYTHONDIR": str(folder / "ipython"),
            "XDG_DATA_HOME": str(folder / "data"),  # what is allowed for always
        }
    )


@dataclass
class Cell:
    """What one executed cell showed."""

    reply: dict[str, Any]
    outputs: list[tuple[str, dict[str, Any]]]
    questions: list[str] = field(default_factory=list[str])

    @property
    def status(self) -> str:
        return self.reply["status"]

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [content for kind, content in self.outputs if kind in kinds]

    def stream(self, name: str) -> str:
        return "".join(content["text"] for content in self.of("stream") if content["name"] == name)

    @property
    def stdout(self) -> str:
        return self.stream("stdout")

    @property
    def errors(self) -> list[str]:
        """Everything that looks like an error to a reader: usage errors go to stderr, all others are messages."""
        return [text for text in [self.stream("stderr").strip()] if text] + [
            "\n".join(content["traceback"]) for content in self.of("error")
        ]

    @property
    def shown(self) -> dict[str, str]:
        """The cell's card as it stands at the end."""
        cards = [
            content for content in self.of("display_data", "update_display_data") if "text/html" in content["data"]
        ]
        return cards[-1]["data"] if cards else {}

    @property
    def text(self) -> str:
        return self.shown.get("text/plain", "")

    @property
    def everything(self) -> str:
        """All that a user could read anywhere in the cell."""
        cards = self.of("display_data", "update_display_data", "execute_result")
        data = [text for content in cards for text in content["data"].values() if isinstance(text, str)]
        return "\n".join([self.stdout, *self.errors, *data])


class Notebook:
    """A front end of one kernel."""

    def __init__(self, folder: Path, *, kernel_name: str = "python3", **environment: str) -> None:
        self.manager = KernelManager(kernel_name=kernel_name)
        self.manager.start_kernel(env=bare_environment(folder) | environment, cwd=str(folder))
        self.client = self.manager.blocking_client()
        self.client.start_channels(hb=False)
        self.client.wait_for_ready(timeout=PATIENCE)
        self._outputs: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        self._questions: dict[str, list[str]] = defaultdict(list)
        self._replies: dict[str, dict[str, Any]] = {}
        self._idle: set[str] = set()
        self._channels = {
            channel.socket: channel
            for channel in (self.client.iopub_channel, self.client.shell_channel, self.client.stdin_channel)
        }
        self._poller = zmq.Poller()
        for socket in self._channels:
            self._poller.register(socket, zmq.POLLIN)
        self.answers: list[str] = []

    # What a user does

    def run(self, code: str, *, answers: list[str] | None = None, cell: str = "") -> Cell:
        """Run a cell, which is a new one unless it is named; `answers` are typed when it asks. Without them nobody is
        there.
        """
        self.answers = list(answers or [])
        return self.finished(self.send(code, allow_stdin=answers is not None, cell=cell))

    def send(self, code: str, *, allow_stdin: bool = False, cell: str = "") -> str:
        """As a page does it, which names its cell."""
        content = {
            "code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": allow_stdin,
            "stop_on_error": True,
        }  # fmt: skip
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell or uuid.uuid4().hex})
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def ask(self, *programs: str, options: str = "", answers: list[str] | None = None, prompt: str = "Go.") -> Cell:
        """A `%%codeact` cell whose model writes `programs`."""
        self.script(*(f"```python\n{program}\n```" for program in programs))
        return self.run(f"%%codeact {options}\n{prompt}", answers=answers)

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def complete(self, code: str) -> list[str]:
        self.client.complete(code, len(code))
        return self.reply("complete")["matches"]

    def reply(self, kind: str) -> dict[str, Any]:
        """The answer to what was asked last, which was no cell."""
        message = self.client.get_shell_msg(timeout=PATIENCE)
        assert message["msg_type"] == f"{kind}_reply"
        return message["content"]

    # What a test wants to know

    def script(self, *answers: str) -> None:
        """From now on a scripted model gives these answers."""
        self.do(f"import codeact as _c\n_c.use(_c.ScriptedModel({list(answers)!r}))\n")

    def forget_everything(self) -> None:
        """Drop the tools, the permissions, the model, the record and the options of the cells so far."""
        self.do(
            "%load_ext codeact\n"
            "from codeact_kernel.tools import default_registry as _registry\n"
            "_registry.clear()\n"
            f"_x = {EXTENSION}\n_s = {SESSION}\n"
            "_s.grants.revoke(); _s.model = None; _s._clients.clear(); _x.frontend.record = None\n"
            "_x.notebook_values.clear()\n"
        )

    def forget_options(self) -> None:
        """Drop what was chosen in the notebook."""
        self.do(f"{EXTENSION}.notebook_values.clear()")

    @property
    def options(self) -> dict[str, Any]:
        """What was chosen in the notebook."""
        return self.get(f"{EXTENSION}.notebook_values")

    def allow_for_session(self, tool: str, version: str) -> None:
        self.do(f"{SESSION}.grants.session.add(({tool!r}, {version!r}))")

    def revoke_all(self) -> None:
        self.do(f"{SESSION}.grants.revoke()")

    @property
    def allowed_for_session(self) -> list[tuple[str, str]]:
        """Names and versions of the tools that are allowed for the session."""
        return self.get(f"sorted({SESSION}.grants.session)")

    @property
    def tools(self) -> list[str]:
        """Names of the tools that are offered."""
        return self.get(f"list({SESSION}.tools)")

    def do(self, code: str) -> Cell:
        """Run a cell that has to work."""
        cell = self.run(code)
        assert cell.status == "ok", cell.errors
        return cell

    def get(self, expression: str) -> Any:
        """The value of an expression in the kernel, where it is a literal."""
        sent = self.client.execute("", silent=True, user_expressions={"it": expression}, allow_stdin=False)
        found = self.finished(sent).reply["user_expressions"]["it"]
        assert found["status"] == "ok", found
        return ast.literal_eval(found["data"]["text/plain"])

    @property
    def asked(self) -> list[list[str]]:
        """The texts of the messages of each question that the scripted model was asked."""
        return self.get(f"[[m.content for m in ms] for ms in {SESSION}.model.asked]")

    def workers(self) -> set[int]:
        """The process ids of the kernel's sandboxes, without the copies of themselves in which programs run."""
        children = psutil.Process(self.manager.provisioner.process.pid).children(recursive=True)
        found = {child.pid: child.ppid() for child in children if _is_worker(child)}
        return {worker for worker, parent in found.items() if parent not in found}

    # Messages

    def finished(self, sent: str) -> Cell:
        """The cell, once the kernel has answered and is idle again."""
        self.wait(lambda: sent in self._replies and sent in self._idle)
        return Cell(self._replies[sent], self._outputs[sent], self._questions[sent])

    def ended(self, sent: str) -> Cell:
        """What a message has shown that is not replied to, once the kernel is idle again."""
        self.wait(lambda: sent in self._idle)
        return Cell({}, self._outputs[sent], self._questions[sent])

    def wait_for(self, sent: str, text: str) -> None:
        """Until the cell has shown `text`: a print, a line of its card, or a question."""

        def seen() -> bool:
            cell = Cell({}, self._outputs[sent])
            return text in cell.stdout or text in cell.text or any(text in one for one in self._questions[sent])

        self.wait(seen)

    def do_nothing_for(self, seconds: float) -> None:
        """Be as slow as a user."""
        time.sleep(seconds)

    def wait(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not until():
            ready = self._poller.poll(max(0, (deadline - time.monotonic()) * 1000))
            assert ready, "the kernel has hung"
            for socket, _ in ready:
                self._take(self._channels[socket].get_msg(timeout=0))

    def _take(self, message: dict[str, Any]) -> None:
        parent, kind, content = message["parent_header"].get("msg_id", ""), message["msg_type"], message["content"]
        if kind in OUTPUTS:
            self._outputs[parent].append((kind, content))
        elif kind == "status" and content["execution_state"] == "idle":
            self._idle.add(parent)
        elif kind == "execute_reply":
            self._replies[parent] = content
        elif kind == "input_request":
            self._questions[parent].append(content["prompt"])
            if self.answers:
                self.client.input(self.answers.pop(0))

    def close(self) -> None:
        """End the kernel; its sandboxes have to end with it."""
        workers = [psutil.Process(pid) for pid in self.workers()]
        self.client.shutdown()
        self.manager.finish_shutdown()
        self.manager.cleanup_resources()
        self.client.stop_channels()
        _, alive = psutil.wait_procs(workers, timeout=10)
        assert not alive, "a sandbox outlived its kernel"


@contextmanager
def console(folder: Path, kernel_name: str, **environment: str) -> Iterator[Any]:
    """Jupyter's console in a pseudo-terminal, at its first prompt, as pexpect has it."""
    import pexpect  # there is none on Windows

    plain = {"TERM": "dumb", "PROMPT_TOOLKIT_NO_CPR": "1"}
    spawned = pexpect.spawn(
        sys.executable, ["-m", "jupyter_console", "--simple-prompt", "--kernel", kernel_name],
        env=bare_environment(folder) | plain | environment, cwd=str(folder), encoding="utf-8", timeout=60,
        dimensions=(50, 200),
    )  # fmt: skip
    try:
        spawned.expect(r"In \[1\]:")
        yield spawned
    finally:
        spawned.close(force=True)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "codeact_kernel.sandbox.worker_main" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    notebook = Notebook(tmp_path_factory.mktemp("notebook"))
    try:
        notebook.do("%load_ext codeact\nfrom codeact import tool")
        yield notebook
    finally:
        notebook.close()


@pytest.fixture
def nb(kernel: Notebook) -> Notebook:
    """The module's kernel, without the tools, the permissions and the answers of the test before."""
    kernel.forget_everything()
    kernel.do("%config CodeAct.approval_ui = 'stdin'")
    return kernel
