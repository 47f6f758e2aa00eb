"""What the programs of one turn can touch beside the tools: rooms, each with one half here and one in the guest.

A room's guest half is the module `codeact_<name>`: its `begin(told, namespace)` runs before the program, and what that
returns (if anything) is called with the program's value after it. What the guest half needs it asks of its services:
`files.read` is the service `read` of the room `files`. No policy is in the guest; a service decides by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from ..errors import ProgramError
from ..events import DataTransferred, Emit, ItemDisplayed, Notice
from ..settings import Limits, Settings
from ..time_zone import local_zone
from ..tools import BoundCall, ToolSpec
from ..types import (
    CallError,
    CallOutcome,
    CallResult,
    DisplayItem,
    Handler,
    JSONObject,
    JSONValue,
    OutputFile,
    StoredResult,
    ToolCall,
)
from .data import Data, Input
from .files import Files
from .network.capability import Network
from .show import Show

__all__ = ["OUTPUT_FOLDER", "BuiltinTool", "Capability", "CapabilitySet"]

OUTPUT_FOLDER = "codeact_output"
"""In the working folder: what programs write for the person, each turn in a folder of its own."""


class Capability(Protocol):
    """One thing that programs can touch.

    Attributes:
        name: of its services, and of its module in the guest.
        told: what `begin` of the guest half gets.
        prompt: what the model has to know of it: whole lines, or nothing.
        services: by their names without the room's.
    """

    @property
    def name(self) -> str: ...

    @property
    def guest_config(self) -> JSONObject: ...

    @property
    def instructions(self) -> str: ...

    @property
    def handlers(self) -> Mapping[str, Handler]: ...

    def start_run(self) -> None:
        """A run begins; what a run before has left open is closed."""
        ...


class BuiltinTool(Protocol):
    """A tool of ours, for which `bind` does what a registry's `validate` and `edited` do for the person's."""

    @property
    def spec(self) -> ToolSpec: ...

    def bind(self, arguments: Mapping[str, JSONValue], limits: Limits) -> BoundCall:
        """The call, ready to be decided and run.

        Raises:
            ToolCallError: there is no such call.
        """
        ...


_CHANGES = frozenset({"data.put", "files.mkdir", "files.remove", "files.rename", "files.rmdir", "files.write"})
"""Services that change files, or hand something back to the notebook."""


class CapabilitySet:
    """The rooms of one turn.

    Args:
        inputs: variables that its programs get.
        outputs: names that they have to assign.

    Raises:
        UserError: a mount is not there any more, or two are at one place.

    Attributes:
        shown: what the programs showed, without those that failed and had another after them.
        tools: those that are ours, by name.
        names: what is in the guest before a program runs.
        limits: what results of tools are kept by.
        has_changes: whether a program changed files, or began to hand something back.
    """

    def __init__(self, settings: Settings, inputs: Sequence[Input], outputs: Sequence[str], emit: Emit) -> None:
        def progress(name: str, done: int, total: int) -> None:
            emit(DataTransferred(name=name, done=done, total=total))

        def notify(text: str) -> None:
            emit(Notice(text=text))

        self._data = Data(inputs, outputs, settings.limits, progress, notify)
        self._files = Files(settings.file_mounts, settings.workspace_root, settings.limits)
        self._show = Show(self._shown_by_program, settings.limits.show)
        self._rooms: list[Capability] = [self._data, self._files, self._show]
        self.shown: list[DisplayItem] = []
        self.tools: Mapping[str, BuiltinTool] = {}
        self.names = frozenset(["show", *(one.name for one in inputs)])
        self._emit = emit
        if settings.allowed_domains:
            network = Network(settings.allowed_domains, settings.limits.http)
            self._rooms.append(network)
            self.tools = network.tools
            self.names |= frozenset(network.names)
        self._services = {f"{room.name}.{name}": serve for room in self._rooms for name, serve in room.handlers.items()}
        self.limits = settings.limits
        self.has_changes = False

    @property
    def outputs(self) -> Mapping[str, object]:
        """What the last program handed back."""
        return dict(self._data.received)

    def hold_changes(self) -> AbstractAsyncContextManager[None]:
        """While it is entered, no program changes a mounted file."""
        return self._files.hold.hold()

    def close(self) -> None:
        """Let go of what was mounted."""
        self._files.close()

    def save(self) -> Sequence[OutputFile]:
        """The turn is over: what the programs wrote to /output, now in the working folder.

        Raises:
            UserError: it cannot be written there.
        """
        self.close()
        saved, contents = self._files.save(Path(OUTPUT_FOLDER)), self._files.outputs
        for file in saved:
            if file.media_type in ("image/png", "image/jpeg"):
                self._show.show_image(file.name, contents[file.name])
        return saved

    def _shown_by_program(self, item: DisplayItem) -> None:
        self.shown.append(item)
        self._emit(ItemDisplayed(item=item))

    def result(self, value: object, limits: Limits) -> JSONValue | StoredResult:
        """A tool's result as JSON, or as what stays here.

        Raises:
            ProgramError: it cannot be sent.
        """
        return self._data.result(value, limits)

    @property
    def instructions(self) -> str:
        """What the model has to know."""
        return "".join(room.instructions for room in self._rooms)

    def start_run(self, *, mends: bool = False) -> JSONObject:
        """A run begins: what the guest is told of each room. One that `mends` another shows in its place."""
        if mends:
            self.shown.clear()
        for room in self._rooms:
            room.start_run()
        return {"local_time": local_zone(), **{room.name: room.guest_config for room in self._rooms}}

    def route_calls(
        self, answer: Callable[[ToolCall], Awaitable[CallOutcome]]
    ) -> Callable[[ToolCall], Awaitable[CallOutcome]]:
        """`answer` for tools, a service for what has a dot in its name.

        The run's clock goes on meanwhile: what a program reads is its own doing, and may be the same again and again.
        """

        async def answered(call: ToolCall) -> CallOutcome:
            if "." not in call.name:
                return await answer(call)
            serve = self._services.get(call.name)
            if serve is None:
                return CallError(kind="ToolFailed", message="there is no such service")
            self.has_changes = self.has_changes or call.name in _CHANGES
            try:
                return CallResult(value=await serve(dict(call.arguments)))
            except ProgramError as error:
                return CallError(kind="ToolFailed", message=str(error))

        return answered
