"""Hide secrets in what the kernel sends to the notebook: prints, warnings, pictures, values and errors.

A notebook is saved with its outputs, and a tool prints where it likes. So every output is searched where it leaves the
kernel, those of ordinary cells included.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from codeact_kernel.secrets import StreamHider, hide_in

__all__ = ["hide_output", "show_output"]

_OUTPUTS = frozenset({"display_data", "error", "execute_reply", "execute_result", "update_display_data"})


class _HidingSend:
    """Takes the place of the `send` of a kernel's session. ipykernel calls it from several threads."""

    def __init__(self, session: Any) -> None:
        self.original = session.send
        self._session = session
        self._lock = threading.RLock()
        self._streams: dict[str, tuple[StreamHider, Any, Mapping[str, Any], Any]] = {}

    def __call__(self, stream: Any, msg_or_type: Any, content: Any = None, *args: Any, **options: Any) -> Any:
        """Send a message, which is a dict, or the type of one that has this content."""
        message: Any = {} if isinstance(msg_or_type, str) else msg_or_type
        kind: str = message["header"]["msg_type"] if message else msg_or_type
        with self._lock:
            if kind == "stream" and message:
                text = self._take(stream, message, options.get("ident"))
                if not text:
                    return msg_or_type
                msg_or_type = {**message, "content": {**message["content"], "text": text}}
            elif kind in _OUTPUTS or kind == "status":
                self._send_rest()
        if kind in _OUTPUTS:
            content = hide_in(content)
            msg_or_type = {**message, "content": hide_in(message["content"])} if message else msg_or_type
        return self.original(stream, msg_or_type, content, *args, **options)

    def _take(self, stream: Any, message: Mapping[str, Any], ident: Any) -> str:
        """Take a piece of a text that was printed, and return what can be sent now."""
        name = message["content"]["name"]
        hider = self._streams[name][0] if name in self._streams else StreamHider()
        self._streams[name] = hider, stream, message, ident
        return hider.feed(message["content"]["text"])

    def _send_rest(self) -> None:
        """Send what was held back of the texts, because something else follows."""
        for name in list(self._streams):
            hider, stream, message, ident = self._streams.pop(name)
            if text := hider.flush():
                rest = self._session.msg("stream", {"name": name, "text": text}, parent=message["parent_header"])
                self.original(stream, rest, ident=ident)


def hide_output(shell: Any) -> None:
    """Hide secrets in the output of this shell's kernel from now on. A shell without a kernel saves no output."""
    session = getattr(getattr(shell, "kernel", None), "session", None)
    if session is not None and not isinstance(session.send, _HidingSend):
        session.send = _HidingSend(session)


def show_output(shell: Any) -> None:
    """Undo `hide_output`."""
    session = getattr(getattr(shell, "kernel", None), "session", None)
    if session is not None and isinstance(session.send, _HidingSend):
        del session.send
