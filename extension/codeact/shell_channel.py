"""Deliver messages of the page to the kernel while a cell runs.

A running cell blocks the kernel's shell channel, so a click waits until the cell ends. During a turn this module takes
the messages that the card needs out of the channel: those of our own comm, those for widgets that a reloaded page asks
for, and the requests that a page sends before it shows anything. All other messages stay in ipykernel's queue, in
order, so queued cells run, or are aborted, as after a plain cell.

ipykernel 7 reads the channel in its own thread. There a filter runs before its callback and handles our messages at
once, even while a tool blocks the main thread. ipykernel 6 reads on the main thread. There the main thread reads the
channel whenever it waits, and hands the other messages back.

Only this module uses private names of ipykernel. If one is missing, it raises `ChannelUnsupported`; then there is no
card, and questions are asked with `input()`.
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

__all__ = ["ChannelUnsupported", "Listener", "MainThreadWaiter", "ShellChannelFilter"]

Listener = Callable[[Mapping[str, Any]], None]
"""Takes the data of a comm message as soon as it arrives, in any thread, so it has to be quick and thread-safe."""

_COMM_MESSAGES = {"comm_open", "comm_msg", "comm_close"}
_PAGE_REQUESTS = {"kernel_info_request", "comm_info_request"}  # a reloaded page sends these before it shows anything
_WIDGETS = "jupyter.widget.control"  # the comm on which a reloaded page asks for the existing widgets
_REPLACE_SECONDS = 2.0
"""Seconds for the channel's thread to replace its callback."""


class ChannelUnsupported(Exception):
    """There is no ipykernel, or this version has other private names."""


class MainThreadWaiter:
    """Makes the main thread sleep until another thread wakes it, or for a while. `with` opens and closes it."""

    def __enter__(self) -> MainThreadWaiter:
        self._awake, self._wakes = socket.socketpair()  # not a pipe, because Windows can poll only sockets
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
        """Wake the main thread. Called from any thread."""
        with suppress(OSError):  # if the buffer is full, the thread is awake; if the socket is closed, the turn is over
            self._wakes.send(b"x")

    def wait(self, seconds: float) -> None:
        """Sleep, and then handle the messages that arrived for the main thread."""
        self._poller.poll(int(seconds * 1e3))
        with suppress(BlockingIOError):
            while len(self._awake.recv(4096)) == 4096:
                pass


class ShellChannelFilter(MainThreadWaiter):
    """A waiter that also handles the page's messages.

    Args:
        kernel: the ipykernel whose cell is running.

    Attributes:
        on_run_again: called in any thread when the user runs the same cell again, which removes its output and so the
            card from the page.

    Raises:
        ChannelUnsupported: if the channel of this ipykernel cannot be filtered.
    """

    def __init__(self, kernel: Any) -> None:
        self.on_run_again: Callable[[], object] = lambda: None
        self._kernel = kernel
        self._listeners: dict[str, Listener] = {}
        self._widgets: set[str] = set()
        self._taken: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._not_ours: list[Any] = []
        self._is_open = False
        try:
            self._stream = kernel.shell_stream
            self._original: Callable[[Any], Any] = self._stream._recv_callback
            self._thread = getattr(kernel, "shell_channel_thread", None)
            # Check now every private name that is used later, when it would be too late to do without the filter.
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
            raise ChannelUnsupported(f"{type(error).__name__}: {error}") from error
        if not callable(self._original):
            raise ChannelUnsupported("no callback on the shell channel")

    @property
    def is_immediate(self) -> bool:
        """Whether our messages are handled while a tool blocks the main thread."""
        return self._thread is not None

    def listen(self, comm: str, listener: Listener) -> None:
        """Pass the messages of a comm to `listener`. Call this before the comm is shown, or messages are missed."""
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
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False  # a filter that cannot be removed lets every message through
        try:
            if self._thread is not None:
                with suppress(ChannelUnsupported):
                    self._replace_callback(self._original)
            else:
                self._hand_back()
            self._handle_taken()  # so that no message is lost
        finally:
            super().__exit__(kind, error, trace)

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        if self._thread is None:
            self._read_channel()
        self._handle_taken()

    def _replace_callback(self, callback: Callable[[Any], Any]) -> None:
        done = threading.Event()

        def replace() -> None:
            self._stream.on_recv(callback, copy=False)
            done.set()

        self._thread.io_loop.add_callback(replace)  # type: ignore[union-attr]  # only that thread can replace it
        if not done.wait(_REPLACE_SECONDS):
            raise ChannelUnsupported("the shell channel does not answer")

    async def _filter(self, message: Any) -> None:
        """Filter a message, in the channel's thread. If this fails, the message takes its usual way."""
        try:
            if self._is_open and self._on_message(message):
                return
        except Exception:
            self._kernel.log.debug("codeact: cannot read a message", exc_info=True)
        result = self._original(message)
        if inspect.isawaitable(result):
            await result

    def _read_channel(self) -> None:
        """Read every waiting message, on the main thread with ipykernel 6."""
        while True:
            try:
                message = self._stream.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            try:
                taken = self._on_message(message)
            except Exception:
                self._kernel.log.debug("codeact: cannot read a message", exc_info=True)
                taken = False
            if not taken:
                self._not_ours.append(message)

    def _hand_back(self) -> None:
        """Return the other messages to ipykernel 6, in order and before it aborts the queued cells."""
        self._read_channel()
        for message in self._not_ours:
            self._stream._run_callback(self._original, message)
        self._not_ours.clear()
        # The stream is notified only of new messages, and the filter has consumed that notification.
        self._stream.io_loop.add_callback(self._stream.flush, zmq.POLLIN)

    def _on_message(self, message: Any) -> bool:
        """Take a message if it is for us: pass it to its listener, queue it for the main thread, and return `True`."""
        session = self._kernel.session
        _, frames = session.feed_identities(message, copy=False)
        header = session.deserialize(frames, content=False, copy=False)
        kind, subshell = header["header"]["msg_type"], header["header"].get("subshell_id")
        if kind in _COMM_MESSAGES:
            content = session.unpack(header["content"])
            comm = content.get("comm_id")
            listener = self._listeners.get(comm)
            if listener is not None and kind == "comm_msg":
                listener(_data(content))
            elif kind == "comm_open" and content.get("target_name") == _WIDGETS:
                self._widgets.add(comm)  # its first message can arrive before the main thread has opened the comm
            elif not self._is_for_widgets(comm):
                return False  # messages of other widgets wait for the end of the cell, as in a plain cell
        elif kind == "execute_request":
            if self._cell is not None and header["metadata"].get("cellId") == self._cell:
                self.on_run_again()
            return False
        elif kind not in _PAGE_REQUESTS or subshell is not None:
            return False
        self._taken.put(message)
        self.wake()
        return True

    def _is_for_widgets(self, comm: str) -> bool:
        known = self._kernel.comm_manager.comms.get(comm)
        return comm in self._widgets or getattr(known, "target_name", None) == _WIDGETS

    def _handle_taken(self) -> None:
        """Let ipykernel handle the messages that were taken, on the main thread."""
        while True:
            try:
                message = self._taken.get_nowait()
            except queue.Empty:
                return
            try:
                self._handle(message)
            except Exception:
                self._kernel.log.exception("codeact: cannot handle a message")

    def _handle(self, message: Any) -> None:
        kernel, session = self._kernel, self._kernel.session
        identities, frames = session.feed_identities(message, copy=False)
        parent = session.deserialize(frames, content=True, copy=False)
        cell, cell_identities = kernel.get_parent("shell"), kernel._parent_ident["shell"]
        kernel.set_parent(identities, parent, channel="shell")
        kernel._publish_status("busy", "shell")
        try:
            with _without_events(kernel.shell.events.callbacks):
                result = kernel.shell_handlers[parent["msg_type"]](self._answers, identities, parent)
                if inspect.iscoroutine(result):
                    with suppress(StopIteration):
                        result.send(None)  # these handlers await nothing
                    result.close()
        finally:
            if self._thread is None:
                self._stream.flush(zmq.POLLOUT)  # the loop that would send the answer is not running
            sys.stdout.flush()
            sys.stderr.flush()
            kernel._publish_status("idle", "shell")  # the page sends its next message only after this
            kernel.set_parent(cell_identities, cell, channel="shell")
            kernel._publish_status("busy", "shell")  # because the cell is still running


def _data(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the content of a widget's `send`, or nothing for other messages of a widget."""
    data = content.get("data")
    inner = data.get("content") if isinstance(data, dict) and data.get("method") == "custom" else None
    return inner if isinstance(inner, dict) else {}


@contextmanager
def _without_events(callbacks: dict[str, list[Any]]) -> Generator[None]:
    """Disable IPython's events, which a comm fires and which make matplotlib flush the cell's open figure."""
    saved = {name: callbacks[name] for name in ("pre_execute", "post_execute")}
    callbacks.update({name: [] for name in saved})
    try:
        yield
    finally:
        callbacks.update(saved)
