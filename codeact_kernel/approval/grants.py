"""Permissions that a user gave for more than one call. Each covers one version of one tool.

Permissions for the session end with the `Grants` object. Permanent permissions cover exact arguments and are stored in
a private file of the user: never in a notebook, and nothing that comes with a notebook can add one.
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

_MAX_GRANTS = 1_000
"""If there are more, the oldest is dropped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """One permanent permission.

    Attributes:
        version: The version of the tool; another version counts as another tool.
        arguments: The exact arguments, as canonical JSON.
        folder: The working folder of the kernel: elsewhere, the same function may use another database.
        since: The time at which it was given, in seconds since 1970.
    """

    name: str
    version: str
    arguments: str
    folder: str
    since: float

    def covers(self, request: ApprovalRequest) -> bool:
        folder = _folder()
        exact = (*request.tool, canonical(request.call.arguments), folder)
        return folder != "" and (self.name, self.version, self.arguments, self.folder) == exact


class Grants:
    """The permissions of one session, and the permanent ones.

    Args:
        file: Stores the permanent permissions; without it, they end with this object.

    Attributes:
        session: The names and versions of the tools that are allowed for the session.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.session: set[tuple[str, str]] = set()
        self._file = file
        self._unwritten: list[Grant] = []

    @property
    def always(self) -> Sequence[Grant]:
        """The permanent permissions, oldest first."""
        # The file is read each time: another kernel may have revoked one.
        return (*(_read(self._file) if self._file is not None else ()), *self._unwritten)

    def find(self, request: ApprovalRequest) -> Decision | None:
        """Return the earlier decision that also covers this call, if there is one."""
        if request.tool in self.session:
            return Decision(choice="allow_session", by="memory")
        if any(grant.covers(request) for grant in self.always):
            return Decision(choice="allow_always", by="memory")
        return None

    def remember(self, request: ApprovalRequest, decision: Decision) -> None:
        """Keep the decision if it covers more than one call."""
        if decision.choice == "allow_session":
            self.session.add(request.tool)
        elif decision.choice == "allow_always":
            arguments = request.call.arguments if decision.arguments is None else decision.arguments
            name, version = request.tool
            grant = Grant(
                name=name, version=version, arguments=canonical(arguments), folder=_folder(), since=round(time.time())
            )
            with self._locked():
                self._store([*self.always, grant])

    def revoke(self, name: str | None = None) -> int:
        """Forget the permissions for the tool `name`, or for all tools, and return how many there were.

        Raises:
            UserError: The file cannot be written, so the permanent permissions remain.
        """
        before = len(self.session)
        self.session = {tool for tool in self.session if name not in (None, tool[0])}
        with self._locked():
            before += len(stored := list(self.always))
            left = [grant for grant in stored if name not in (None, grant.name)]
            if len(left) != len(stored):
                self._store(left)
        if len(left) != len(stored) and len(self.always) != len(left):
            raise UserError(f"{self._file} cannot be written, so permanent permissions remain: delete the file.")
        return before - len(self.session) - len(left)

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Lock the file between reading and writing it: another kernel could bring back a revoked permission.

        Without a lock (on Windows, or if the home folder is not writable) the last writer wins.
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
            os.close(lock)  # this also releases the lock

    def _store(self, grants: list[Grant]) -> None:
        grants = grants[-_MAX_GRANTS:]
        if self._file is None:
            self._unwritten = grants
            return
        try:
            _write(self._file, grants)
            self._unwritten = []
        except OSError:  # the home folder is not writable: new permissions hold until the kernel ends
            self._unwritten = [grant for grant in grants if grant not in _read(self._file)]


def canonical(arguments: Mapping[str, JSONValue]) -> str:
    """Write arguments as text, so that two texts are equal exactly if the tool would get the same arguments.

    `1`, `1.0` and `true` differ, and so do two orders of the keys inside an argument, because a tool may iterate over
    them. The order of the arguments themselves does not matter to a call.
    """
    ordered = {name: arguments[name] for name in sorted(arguments)}
    return json.dumps(ordered, ensure_ascii=True, separators=(",", ":"), default=dict)


def own_file() -> Path:
    """Return the file that holds the user's permanent permissions."""
    return data_folder() / "approvals.json"


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was deleted, so it equals no other folder
        return ""


def _read(file: Path) -> list[Grant]:
    """Read the permissions in the file; none if other users could have written to it, or if it is damaged."""
    try:
        if not is_private(file):
            return []
        entries: Any = json.loads(file.read_text(encoding="utf-8"))
        grants = [Grant(**entry) for entry in entries]
        return grants if all(_is_well_formed(grant) for grant in grants) else []
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def _is_well_formed(grant: Grant) -> bool:
    texts = (grant.name, grant.version, grant.arguments, grant.folder)
    return all(type(text) is str for text in texts) and type(cast("object", grant.since)) in (int, float)


def _write(file: Path, grants: Sequence[Grant]) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump([asdict(grant) for grant in grants], out, indent=1)
    os.replace(temporary, file)
