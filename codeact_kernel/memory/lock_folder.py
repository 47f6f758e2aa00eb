"""The folder `.codeact/prompts` beside a notebook, with one lock file for each prompt.

A folder may come from a stranger. A lock counts only if this user's kernel wrote exactly this content, or the user
trusts it; both are stored in a folder of the user, never in the project.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from ..errors import UserError
from ..paths import data_folder, is_private
from ..text import truncate
from .dependencies import PromptKey
from .lock import MAX_BYTES, Lock, parse_lock, write_lock

__all__ = ["LockFolder", "TrustedLocks"]

_FOLDER = Path(".codeact", "prompts")
_MAX_FILES = 2_000
"""Lock files of a folder that are listed or searched."""
_MAX_TRUSTED = 50_000
_SLUG = 40
_DIGEST = 64


class TrustedLocks:
    """The digests of the locks that this user's kernels wrote, or that the user trusts.

    Args:
        file: stores the digests; without it they end with this object.
        trusts_all: whether every lock is trusted, because the user said so for this process.
    """

    def __init__(self, file: Path | None = None, *, trusts_all: bool = False) -> None:
        self._file = file
        self._trusts_all = trusts_all
        self._own: set[str] = set()

    @classmethod
    def of_user(cls, *, trusts_all: bool = False) -> TrustedLocks:
        """Return those that are stored for this user."""
        return cls(data_folder() / "locks" / "trusted", trusts_all=trusts_all)

    def __contains__(self, lock: object) -> bool:
        if not isinstance(lock, Lock):
            return False
        return self._trusts_all or lock.digest in self._own or lock.digest in self._read()

    def add(self, *locks: Lock) -> None:
        """Trust locks.

        Raises:
            UserError: if that cannot be stored where nobody else can write. They are trusted in this process then.
        """
        digests = [lock.digest for lock in locks]
        self._own.update(digests)
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
            with os.fdopen(os.open(self._file, flags, 0o600), "ab") as file:
                file.write("".join(f"{digest}\n" for digest in digests).encode())
        except OSError as error:
            raise UserError(f"{self._file} cannot be written ({error.strerror}): make yourself its owner.") from None
        if not is_private(self._file):
            raise UserError(f"{self._file.parent} can be written by others: allow that only for yourself (chmod 700).")

    def _read(self) -> set[str]:
        if self._file is None or not is_private(self._file):
            return set()
        with suppress(OSError):
            lines = self._file.read_bytes()[-_MAX_TRUSTED * (_DIGEST + 1) :].decode(errors="replace").splitlines()
            return {line for line in lines if len(line) == _DIGEST}
        return set()


class LockFolder:
    """The lock files beside one notebook.

    Args:
        folder: the folder of the notebook.
        trusted: the locks that may be used.
    """

    def __init__(self, folder: Path, trusted: TrustedLocks) -> None:
        self.path = folder / _FOLDER
        self.trusted = trusted

    def read(self, key: PromptKey) -> Lock | None:
        """Read the lock of a prompt; return `None` if there is none.

        Raises:
            UserError: if the file is not a lock.
        """
        lock = self._read(self._file(key))
        # A digest of eight characters can be that of another prompt, too.
        return lock if lock is None or lock.key == key else None

    def locks(self) -> Iterator[tuple[str, Lock | UserError]]:
        """Yield every file by its name, with its lock or with the reason why it is not a lock."""
        for name in self._names():
            try:
                lock = self._read(self.path / name)
            except UserError as error:
                yield name, error
            else:
                if lock is not None:
                    yield name, lock

    def with_ask(self, ask: str) -> Sequence[Lock]:
        """Return the locks of the same prompt elsewhere in the notebook. Files that are not locks are left out."""
        slug = _slug(ask)
        names = [name for name in self._names() if name.startswith(f"{slug}-") and len(name) == len(slug) + 14]
        found: list[Lock] = []
        for name in names[:20]:
            with suppress(UserError):
                lock = self._read(self.path / name)
                found += [lock] if lock is not None and lock.ask == ask else []
        return found

    def write(self, lock: Lock) -> None:
        """Write a lock, and trust it.

        Raises:
            UserError: if the folder cannot be written.
        """
        file = self._file(lock.key)
        temporary = file.with_name(f".{file.name}.{uuid4().hex[:8]}")
        try:
            for folder in (self.path.parent, self.path):
                folder.mkdir(exist_ok=True)
                if stat.S_ISLNK(os.lstat(folder).st_mode):
                    raise UserError(f"{folder} is a link, so no program is recorded there: make it a folder.")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(temporary, flags, 0o666), "wb") as out:
                out.write(write_lock(lock))
            os.replace(temporary, file)
        except OSError as error:
            raise UserError(
                f"Programs are not recorded, because {truncate(str(self.path), 300)} cannot be written "
                f"({error.strerror})."
            ) from None
        finally:
            with suppress(OSError):
                temporary.unlink()
        self.trusted.add(lock)

    def _file(self, key: PromptKey) -> Path:
        return self.path / f"{_slug(key.ask)}-{key.digest}.json"

    def _names(self) -> Sequence[str]:
        try:
            with os.scandir(self.path) as entries:
                names = [entry.name for _, entry in zip(range(_MAX_FILES), entries, strict=False)]
        except OSError:
            return []
        return sorted(name for name in names if name.endswith(".json") and not name.startswith("."))

    def _read(self, file: Path) -> Lock | None:
        try:
            # A FIFO would wait for a writer.
            flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            with open(os.open(file, flags), "rb") as opened:
                is_regular = stat.S_ISREG(os.fstat(opened.fileno()).st_mode)
                data = opened.read(MAX_BYTES + 1) if is_regular else b""
            return parse_lock(data)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"{_display(file)} cannot be read ({error.strerror}).") from None
        except UserError as error:
            raise UserError(f"{_display(file)} {error}.") from None


def _slug(ask: str) -> str:
    words = re.findall(r"[a-z0-9]+", ask.lower())
    return "-".join(words)[:_SLUG].strip("-") or "prompt"


def _display(file: Path) -> str:
    return str(Path(*file.parts[-3:]))
