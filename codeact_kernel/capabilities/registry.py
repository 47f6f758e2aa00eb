"""Put together the capabilities of one turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from pathlib import Path

from ..capability import ACTING_NAMES, CHANGING_HANDLERS, DATA, READ_ONLY_HANDLERS
from ..errors import ProgramError
from ..events import DataTransferred, Emit, ItemDisplayed, Notice
from ..guest.kinds import STANDARD, GuestKind
from ..settings import Limits, Settings
from ..time_zone import local_zone
from ..tools import Convert, Registry, ToolSpec
from ..types import (
    CallError,
    CallOutcome,
    CallResult,
    DisplayItem,
    HostCall,
    JSONObject,
    JSONValue,
    OutputFile,
    StoredResult,
    ToolCall,
)
from .base import BuiltinTool, Capability
from .data import Data, Frame, Input
from .discovery import Discovery
from .files import Files
from .network import Network
from .show import Show

__all__ = ["OUTPUT_FOLDER", "CapabilitySet", "prefetch_config"]

OUTPUT_FOLDER = "codeact_output"
"""The folder in the working folder that gets the output files, in one subfolder for each turn."""


class CapabilitySet:
    """The capabilities that the programs of one turn have.

    Args:
        inputs: variables that the programs get.
        outputs: names that the programs have to assign.
        earlier: the values of earlier turns that programs can read, by their numbers.
        previous: the number of the value that programs read as `previous`.
        began: the moment at which the clock of programs begins; by default they have the real time.
        guest: the kind of guest that runs the programs.
        registry: the tools that programs can find; by default none.

    Raises:
        UserError: if a mount no longer exists, or two mounts have the same path.

    Attributes:
        shown: the items that programs showed, without the items of a program that failed and was replaced.
        tools: the built-in tools, by name.
        names: the names of functions and inputs in the namespace of programs.
        limits: the limits for results of tools.
        has_changes: whether a program changed files, or began to pass a value to the notebook.
    """

    def __init__(
        self,
        settings: Settings,
        inputs: Sequence[Input],
        outputs: Sequence[str],
        emit: Emit,
        *,
        earlier: Mapping[int, Frame | JSONValue] | None = None,
        previous: int | None = None,
        began: datetime | None = None,
        guest: GuestKind = STANDARD,
        registry: Registry | None = None,
    ) -> None:
        def progress(name: str, done: int, total: int) -> None:
            emit(DataTransferred(name=name, done=done, total=total))

        def notify(text: str) -> None:
            emit(Notice(text=text))

        self._data = Data(inputs, outputs, settings.limits, progress, notify, earlier, previous, guest)
        self._files = Files(settings.file_mounts, settings.workspace_root, settings.limits)
        self._show = Show(self._shown_by_program, settings.limits.show)
        find = Discovery(partial((registry or Registry()).specs, as_frames=guest.has_pandas))
        # A program that ends with `find_tools` has observed, so that it need not assign the outputs yet.
        self._capabilities: list[Capability] = [find, self._data, self._files, self._show]
        self.shown: list[DisplayItem] = []
        self.tools: Mapping[str, BuiltinTool] = {}
        self._emit = emit
        self._began = began
        if settings.allowed_domains:
            network = Network(settings.allowed_domains, settings.limits.http)
            self._capabilities.append(network)
            self.tools = network.tools
        self.names = frozenset[str]().union(*(capability.names for capability in self._capabilities))
        self._handlers = {
            (capability.name, method): handler
            for capability in self._capabilities
            for method, handler in capability.handlers.items()
        }
        self._byte_handlers = {(DATA.name, method): handler for method, handler in self._data.byte_handlers.items()}
        self._guest = guest
        self.limits = settings.limits
        self.has_changes = False

    @property
    def outputs(self) -> Mapping[str, object]:
        """The values that the last program passed to the notebook."""
        return dict(self._data.received)

    @property
    def instructions(self) -> str:
        """The instructions of all capabilities for the model."""
        return "".join(capability.instructions for capability in self._capabilities)

    def hold_changes(self) -> AbstractAsyncContextManager[None]:
        """Return a context in which no program changes a mounted file."""
        return self._files.hold.hold()

    def close(self) -> None:
        """Close the mounted folders."""
        self._files.close()

    def save(self) -> Sequence[OutputFile]:
        """Close the mounts, and save the files of /output in the working folder.

        Raises:
            UserError: if the folder cannot be written.
        """
        self.close()
        saved, contents = self._files.save(Path(OUTPUT_FOLDER)), self._files.outputs
        for file in saved:
            if file.media_type in ("image/png", "image/jpeg"):
                self._show.show_image(file.name, contents[file.name])
        return saved

    def result(self, value: object, limits: Limits) -> JSONValue | StoredResult:
        """Return a tool's result as JSON, or as a reference to a large result that stays on the host.

        Raises:
            ProgramError: if the result cannot be sent.
        """
        return self._data.result(self._show.replace_figures(value), limits)

    def converter(self, tool: ToolSpec) -> Convert:
        """Return `result`, or the function that takes its place for a tool whose DataFrames arrive as such."""
        return self._data.frame_result if self._guest.has_pandas and tool.frame_stub else self.result

    def start_run(self, *, is_retry: bool = False) -> JSONObject:
        """Prepare for a run, and return the configuration of the guest halves, by their names.

        Args:
            is_retry: whether the run replaces a failed run and its displayed items.
        """
        if is_retry:
            self.shown.clear()
        for capability in self._capabilities:
            capability.start_run()
        configs = {capability.name: capability.guest_config for capability in self._capabilities}
        return {"local_time": local_zone(self._began), **configs}

    def route_calls(
        self, answer: Callable[[ToolCall], Awaitable[CallOutcome]]
    ) -> Callable[[ToolCall | HostCall], Awaitable[CallOutcome]]:
        """Return a function that answers calls of the guest halves by their handlers, and tool calls by `answer`."""

        async def route(call: ToolCall | HostCall) -> CallOutcome:
            return await (self._handle(call) if isinstance(call, HostCall) else answer(call))

        return route

    async def _handle(self, call: HostCall) -> CallOutcome:
        """Answer a call by its handler.

        The clock of the run goes on meanwhile, so that a program cannot escape its limit by reading files.
        """
        name = (call.capability, call.method)
        handler, byte_handler = self._handlers.get(name), self._byte_handlers.get(name)
        if handler is None and byte_handler is None:
            return CallError(kind="ToolFailed", message="the capability or its handler does not exist")
        self.has_changes = self.has_changes or name in CHANGING_HANDLERS
        try:
            if handler is None:
                assert byte_handler is not None
                return CallResult(value=None, data=await byte_handler(call.arguments, call.data))
            return CallResult(value=await handler(call.arguments))
        except ProgramError as error:
            return CallError(kind="ToolFailed", message=str(error))

    def _shown_by_program(self, item: DisplayItem) -> None:
        self.shown.append(item)
        self._emit(ItemDisplayed(item=item))


def prefetch_config(read_only: Collection[str], tools: Collection[str]) -> JSONObject:
    """Return the configuration of the guest's prefetch.

    Args:
        read_only: the tools whose calls may be made before the program reaches them.
        tools: all tools that the program can call.
    """
    return {
        "read_only_tools": list(read_only),
        "tools": list(tools),
        "acting_names": list(ACTING_NAMES),
        "read_only_handlers": [list(handler) for handler in READ_ONLY_HANDLERS],
    }
