"""A front end that shows the card without drawing it: it keeps the widget's state, and clicks by sending messages."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .conftest import Notebook

ROOT = Path(__file__).parents[2]
NEWEST = "installed"
VERSIONS = ("6.29.5", "6.31.0", "7.3.0", NEWEST)


def ipykernel(version: str) -> dict[str, str]:
    """What the environment needs to run that version of ipykernel; fetched once. Nothing for the one installed."""
    if version == NEWEST:
        return {}
    folder = ROOT / "build" / "ipykernel" / version
    if not (folder / "ipykernel" / "__init__.py").exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--target", str(folder), f"ipykernel=={version}"],
            check=True,
        )  # fmt: skip
    return {"PYTHONPATH": str(folder)}


class Page(Notebook):
    """One page.

    Attributes:
        cards: the state of each card, by comm.
        says_hello: whether it does so when a card is shown, as a page that can draw it.
        subshell: what its clicks name, as JupyterLab's do.
    """

    def __init__(self, folder: Path, version: str = NEWEST, **environment: str) -> None:
        self.cards: dict[str, dict[str, Any]] = {}
        self.says_hello = True
        self.subshell: str | None = None
        super().__init__(folder, **ipykernel(version), **environment)

    def with_subshell(self) -> None:
        message = self.client.session.msg("create_subshell_request")
        self.client.control_channel.send(message)
        reply = self.client.control_channel.get_msg(timeout=10)
        self.subshell = reply["content"]["subshell_id"]

    def _take(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "comm_open" and "_anywidget_id" in content["data"].get("state", {}):
            self.cards[content["comm_id"]] = dict(content["data"]["state"])
        elif kind == "comm_msg" and content["comm_id"] in self.cards and content["data"].get("method") == "update":
            self.cards[content["comm_id"]].update(content["data"]["state"])
        elif kind == "comm_close":
            self.cards.pop(content["comm_id"], None)
        elif kind == "display_data" and self.says_hello:
            view = content["data"].get("application/vnd.jupyter.widget-view+json", {})
            if view.get("model_id") in self.cards:  # and no other widget's
                self.send_up({"kind": "hello"}, view["model_id"])
        super()._take(message)

    @property
    def card(self) -> dict[str, Any]:
        """The state of the card that is there."""
        return next(reversed(self.cards.values()), {})

    @property
    def questions(self) -> list[dict[str, Any]]:
        return self.card.get("forms", [])

    def send_up(self, data: dict[str, Any], comm: str | None = None) -> None:
        """A message of the card's to the kernel."""
        comm = comm or next(reversed(self.cards))
        content = {"comm_id": comm, "data": {"method": "custom", "content": data}}
        message = self.client.session.msg("comm_msg", content)
        if self.subshell:
            message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)

    def wait_for_questions(self, number: int = 1) -> list[dict[str, Any]]:
        self.wait(lambda: len(self.questions) == number)
        return self.questions

    def decide(self, question: dict[str, Any], choice: str, **more: Any) -> None:
        named = {name: question[name] for name in ("run", "call", "digest")}
        self.send_up({"kind": "decide", **named, "choice": choice, "reason": "", "edits": {}} | more)

    def look_for(self, seconds: float) -> None:
        """Go on reading for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for socket, _ in self._poller.poll(left * 1000):
                self._take(self._channels[socket].get_msg(timeout=0))
