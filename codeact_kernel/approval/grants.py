"""What a person allowed for longer than one call. Each grant is for one tool, as it was when it was allowed.

Those for the session live as long as this object. Those for always are for exact arguments, and are kept in a file of
the person's own: never in a notebook, and nothing that a notebook brings along can add one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from ..errors import UserError
from ..paths import data_folder, is_private
from ..types import Decision, JSONValue
from .request import ApprovalRequest

__all__ = ["Grant", "Grants", "own_file"]

_MOST = 1_000
"""Grants that are kept; the oldest goes first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """One permission for always.

    Attributes:
        version: of the tool's code; another version is another tool.
        arguments: canonical JSON; no other arguments are allowed by it.
        folder: the working folder of the kernel: the same function elsewhere may mean another database.
        since: when it was given, in seconds since 1970.
    """

    name: str
    version: str
    arguments: str
    folder: str
    since: float

    def covers(self, question: ApprovalRequest) -> bool:
        folder = _folder()
        exact = (*question.tool, canonical(question.call.arguments), folder)
        return folder != "" and (self.name, self.version, self.arguments, self.folder) == exact


class Grants:
    """What is remembered.

    Args:
        file: where grants for always are kept; without it they end with this object.

    Attributes:
        session: names and versions of the tools allowed for the session.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.session: set[tuple[str, str]] = set()
        self._file = file
        self._unwritten: list[Grant] = []

    @property
    def always(self) -> Sequence[Grant]:
        """The grants for always, oldest first."""
        # The file is read each time: another kernel may have revoked one.
        return (*(_read(self._file) if self._file is not None else ()), *self._unwritten)

    def find(self, question: ApprovalRequest) -> Decision | None:
        """The decision that was made before and holds for this call, too."""
        if question.tool in self.session:
            return Decision(choice="allow_session", by="memory")
        if any(grant.covers(question) for grant in self.always):
            return Decision(choice="allow_always", by="memory")
        return None

    def remember(self, question: ApprovalRequest, decision: Decision) -> None:
        """Keep what the person said, if it was meant for longer."""
        if decision.choice == "allow_session":
            self.session.add(question.tool)
        elif decision.choice == "allow_always":
            arguments = question.call.arguments if decision.arguments is None else decision.arguments
            name, version = question.tool
            grant = Grant(
                name=name, version=version, arguments=canonical(arguments), folder=_folder(), since=round(time.time())
            )
            with self._alone():
                self._keep([*self.always, grant])

    def revoke(self, name: str | None = None) -> int:
        """Forget what was allowed of the tool `name`, or of all tools; how many permissions that were.

        Raises:
            UserError: the file cannot be written, so what is allowed for always stays.
        """
        before = len(self.session)
        self.session = {tool for tool in self.session if name not in (None, tool[0])}
        with self._alone():
            before += len(kept := list(self.always))
            left = [grant for grant in kept if name not in (None, grant.name)]
            if len(left) != len(kept):
                self._keep(left)
        if len(left) != len(kept) and len(self.always) != len(left):
            raise UserError(f"{self._file} cannot be written, so what is allowed for always stays: remove the file.")
        return before - len(self.session) - len(left)

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Let no other kernel change the file between our reading and writing it: it could bring back what was revoked.

        Without a lock (on Windows, or in a home that cannot be written) the last writer wins.
        """
        try:
            if self._file is None or sys.platform == "win32":
                raise OSError
            import fcntl

            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(f"{self._file}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError:
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)  # which gives the lock back

    def _keep(self, grants: list[Grant]) -> None:
        grants = grants[-_MOST:]
        if self._file is None:
            self._unwritten = grants
            return
        try:
            _write(self._file, grants)
            self._unwritten = []
        except OSError:  # a home that cannot be written: what is new holds until the kernel ends
            self._unwritten = [one for one in grants if one not in _read(self._file)]


def canonical(arguments: Mapping[str, JSONValue]) -> str:
    """Write arguments as text that is equal exactly when a tool would get the same.

    `1`, `1.0` and `true` differ, and so do two orders of the keys inside an argument: a tool may go through them in
    order. The order of the arguments themselves means nothing to a call.
    """
    ordered = {name: arguments[name] for name in sorted(arguments)}
    return json.dumps(ordered, ensure_ascii=True, separators=(",", ":"), default=dict)


def own_file() -> Path:
    """Where the person's grants for always lie."""
    return data_folder() / "approvals.json"


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed, and no folder is the same as that
        return ""


def _read(file: Path) -> list[Grant]:
    """What is in the file; nothing where it is not the person's own, or not what was written."""
    try:
        if not is_private(file):
            return []
        entries: Any = json.loads(file.read_text(encoding="utf-8"))
        grants = [Grant(**entry) for entry in entries]
        return grants if all(_is_sound(grant) for grant in grants) else []
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def _is_sound(grant: Grant) -> bool:
    texts = (grant.name, grant.version, grant.arguments, grant.folder)
    return all(type(text) is str for text in texts) and type(cast("object", grant.since)) in (int, float)


def _write(file: Path, grants: Sequence[Grant]) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump([asdict(grant) for grant in grants], out, indent=1)
    os.replace(aside, file)
