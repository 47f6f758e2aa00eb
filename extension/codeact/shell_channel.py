"""Messages of the page reach the kernel while a cell runs.

A running cell blocks the kernel's shell channel, so a click waits until the cell is over. For the time of a turn this
tap takes what the card needs out of that channel: the messages of our own comm, widgets that a reloaded page asks
for, and what the page asks before it shows anything. Everything else stays in ipykernel's queue, unread and in order,
so queued cells run, or are aborted, as after a plain cell.

ipykernel 7 reads the channel in a thread of its own; there a filter stands before its callback, and our own messages
are looked at at once, also while a tool blocks the main thread. ipykernel 6 reads on the main thread: there this
thread reads while it waits, and hands back what is not ours.

Names of ipykernel that are private are used here and nowhere else. Where one is gone, `TapUnsupported`: then there is
no card, and questions go to stdin.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# ipykernel and zmq have next to no types.

from __future__ import annotations

import inspect
import queue
import socket
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

import zmq

__all__ = ["Listener", "MainThreadWaiter", "ShellChannelFilter", "TapUnsupported"]

Listener = Callable[[Mapping[str, Any]], None]
"""Takes the data of a comm message, at once and in whatever thread: it has to be quick and safe."""

_COMM = {"comm_open", "comm_msg", "comm_close"}
_PAGE = {"kernel_info_request", "comm_info_request"}  # a reloaded page asks these before it shows anything
_WIDGETS = "jupyter.widget.control"  # and this comm for the widgets that there are
_ANSWER = 2.0
"""Seconds for the channel's thread to take the filter in."""


class TapUnsupported(Exception):
    """There is no ipykernel, or one that looks different inside."""


class MainThreadWaiter:
    """The main thread's sleep: until somebody wakes it, or for a while. `with` opens and closes it."""

    def __enter__(self) -> MainThreadWaiter:
        self._awake, self._wakes = socket.socketpair()  # not a pipe: Windows polls sockets alone
        self._awake.setblocking(False)
        self._wakes.setblocking(False)
        self._poller = zmq.Poller()
        self._poller.register(self._awake, zmq.POLLIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._awake.close()
        self._wakes.close()

    def wake(self) -> None:
        """From any thread."""
        with suppress(OSError):  # full: it is awake already; closed: the turn is over
            self._wakes.send(b"x")

    def wait(self, seconds: float) -> None:
        """Sleep, and serve what came for the main thread meanwhile."""
        self._poller.poll(int(seconds * 1e3))
        with suppress(BlockingIOError):
            while len(self._awake.recv(4096)) == 4096:
                pass


class ShellChannelFilter(MainThreadWaiter):
    """A waiter that also serves the page's messages.

    Args:
        kernel: the ipykernel whose cell is running.

    Attributes:
        on_run_again: called, in whatever thread, when the person runs this very cell once more: its output is gone
            from the page then, and with it all that could be clicked.

    Raises:
        TapUnsupported: this ipykernel cannot be tapped.
    """

    def __init__(self, kernel: Any) -> None:
        self.on_run_again: Callable[[], object] = lambda: None
        self._kernel = kernel
        self._listeners: dict[str, Listener] = {}
        self._widgets: set[str] = set()
        self._taken: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._left: list[Any] = []
        self._tapped = False
        try:
            self._stream = kernel.shell_stream
            self._original: Callable[[Any], Any] = self._stream._recv_callback
            self._thread = getattr(kernel, "shell_channel_thread", None)
            # The names that serving takes, asked for now: later would be too late to do without.
            _ = kernel.shell_handlers, kernel._publish_status, kernel.set_parent, kernel._parent_ident["shell"]
            _ = kernel.session.deserialize, kernel.comm_manager.comms
            self._cell: str | None = kernel.get_parent("shell").get("metadata", {}).get("cellId")
            _ = kernel.shell.events.callbacks["pre_execute"], kernel.shell.events.callbacks["post_execute"]
            if self._thread is None:
                _ = self._stream._run_callback, self._stream.flush, self._stream.socket, self._stream.io_loop
                self._answers = self._stream
            else:
                _ = self._thread.io_loop
                self._answers = self._thread.manager.get_subshell_to_shell_channel_socket(None)
        except (AttributeError, KeyError, TypeError) as error:
            raise TapUnsupported(f"{type(error).__name__}: {error}") from error
        if not callable(self._original):
            raise TapUnsupported("no callback on the shell channel")

    @property
    def at_once(self) -> bool:
        """Whether our messages are seen while a tool blocks the main thread."""
        return self._thread is not None

    def listen(self, comm: str, listener: Listener) -> None:
        """Before the comm is shown: its first message must not be missed."""
        self._listeners[comm] = listener

    def __enter__(self) -> ShellChannelFilter:
        super().__enter__()
        try:
            if self._thread is None:
                self._poller.register(self._stream.socket, zmq.POLLIN)
            else:
                self._replace_callback(self._filter)
        except BaseException:
            super().__exit__(None, None, None)
            raise
        self._tapped = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tapped = False  # a filter that could not be removed lets everything through
        try:
            if self._thread is not None:
                with suppress(TapUnsupported):
                    self._replace_callback(self._original)
            else:
                self._hand_back()
            self._serve()  # what was taken is not lost
        finally:
            super().__exit__(kind, error, trace)

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        if self._thread is None:
            self._read()
        self._serve()

    def _replace_callback(self, callback: Callable[[Any], Any]) -> None:
        done = threading.Event()

        def replace() -> None:
            self._stream.on_recv(callback, copy=False)
            done.set()

        self._thread.io_loop.add_callback(replace)  # type: ignore[union-attr]  # the callback belongs to that thread
        if not done.wait(_ANSWER):
            raise TapUnsupported("the shell channel does not answer")

    async def _filter(self, message: Any) -> None:
        """In the channel's thread. Whatever goes wrong, the message goes its usual way."""
        try:
            if self._tapped and self._on_message(message):
                return
        except Exception:
            self._kernel.log.debug("codeact: a message was not understood", exc_info=True)
        result = self._original(message)
        if inspect.isawaitable(result):
            await result

    def _read(self) -> None:
        """On the main thread, ipykernel 6: all that waits in the socket."""
        while True:
            try:
                message = self._stream.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            try:
                taken = self._on_message(message)
            except Exception:
                self._kernel.log.debug("codeact: a message was not understood", exc_info=True)
                taken = False
            if not taken:
                self._left.append(message)

    def _hand_back(self) -> None:
        """ipykernel 6: in order and now, else the abort of queued cells comes before the cells."""
        self._read()
        for message in self._left:
            self._stream._run_callback(self._original, message)
        self._left.clear()
        # The socket tells of new messages only at an edge, and we have read past it.
        self._stream.io_loop.add_callback(self._stream.flush, zmq.POLLIN)

    def _on_message(self, message: Any) -> bool:
        """Whether the message is one for us; then it waits for the main thread, and a listener has seen it."""
        session = self._kernel.session
        _, frames = session.feed_identities(message, copy=False)
        header = session.deserialize(frames, content=False, copy=False)
        kind, subshell = header["header"]["msg_type"], header["header"].get("subshell_id")
        if kind in _COMM:
            content = session.unpack(header["content"])
            comm = content.get("comm_id")
            listener = self._listeners.get(comm)
            if listener is not None and kind == "comm_msg":
                listener(_data(content))
            elif kind == "comm_open" and content.get("target_name") == _WIDGETS:
                self._widgets.add(comm)  # noted now: its first message can come before the main thread has opened it
            elif not self._is_for_widgets(comm):
                return False  # another widget's: it waits for the end of the cell, as ever
        elif kind == "execute_request":
            if self._cell is not None and header["metadata"].get("cellId") == self._cell:
                self.on_run_again()
            return False
        elif kind not in _PAGE or subshell is not None:
            return False
        self._taken.put(message)
        self.wake()
        return True

    def _is_for_widgets(self, comm: str) -> bool:
        known = self._kernel.comm_manager.comms.get(comm)
        return comm in self._widgets or getattr(known, "target_name", None) == _WIDGETS

    def _serve(self) -> None:
        """On the main thread: let ipykernel handle what was taken."""
        while True:
            try:
                message = self._taken.get_nowait()
            except queue.Empty:
                return
            try:
                self._handle(message)
            except Exception:
                self._kernel.log.exception("codeact: a message was not handled")

    def _handle(self, message: Any) -> None:
        kernel, session = self._kernel, self._kernel.session
        identities, frames = session.feed_identities(message, copy=False)
        parent = session.deserialize(frames, content=True, copy=False)
        cell, cell_identities = kernel.get_parent("shell"), kernel._parent_ident["shell"]
        kernel.set_parent(identities, parent, channel="shell")
        kernel._publish_status("busy", "shell")
        try:
            with _quiet(kernel.shell.events.callbacks):
                result = kernel.shell_handlers[parent["msg_type"]](self._answers, identities, parent)
                if inspect.iscoroutine(result):
                    with suppress(StopIteration):
                        result.send(None)  # these handlers do not wait for anything
                    result.close()
        finally:
            if self._thread is None:
                self._stream.flush(zmq.POLLOUT)  # nobody turns the loop that would send the answer
            sys.stdout.flush()
            sys.stderr.flush()
            kernel._publish_status("idle", "shell")  # the page holds its next message until it sees this
            kernel.set_parent(cell_identities, cell, channel="shell")
            kernel._publish_status("busy", "shell")  # and the cell is still running


def _data(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a widget's `send` sent; empty for its other messages."""
    data = content.get("data")
    inner = data.get("content") if isinstance(data, dict) and data.get("method") == "custom" else None
    return inner if isinstance(inner, dict) else {}


@contextmanager
def _quiet(callbacks: dict[str, list[Any]]) -> Generator[None]:
    """Without IPython's events: a comm fires them, and matplotlib would flush the cell's open figure."""
    saved = {name: callbacks[name] for name in ("pre_execute", "post_execute")}
    callbacks.update({name: [] for name in saved})
    try:
        yield
    finally:
        callbacks.update(saved)
