"""What a project's folder says: `codeact.toml`, or `[tool.codeact]` in its `pyproject.toml`. Data; nothing executes.

A folder may come from anywhere, so it can narrow what is allowed, and widen nothing, until the person has trusted
exactly this text. The word is kept in a folder of the person's own, never in the project.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ..errors import UserError
from ..places import data_folder, home
from .layers import Layer, layer
from .words import shown

__all__ = ["FolderFile", "find", "here"]

NAMES = ("codeact.toml", "pyproject.toml")
BYTES = 256 << 10
"""More than any such file has: it is not read further."""
_PATH = 500
"""Characters that are shown of a path."""


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file that was found, as its bytes were then."""

    path: Path
    text: bytes

    @property
    def trusted(self) -> bool:
        """Whether the person has given their word for exactly this."""
        return self._word().is_file()

    def trust(self) -> None:
        """The person gives their word.

        Raises:
            UserError: it cannot be kept.
        """
        try:
            self._word().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._word().write_bytes(os.fsencode(self.path))
        except OSError as error:
            raise UserError(f"{self._word().parent} cannot be written ({error.strerror}): make it your own.") from None

    def distrust(self) -> None:
        """The person takes it back.

        Raises:
            UserError: it cannot be taken back.
        """
        try:
            self._word().unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{self._word()} cannot be removed ({error.strerror}): remove it.") from None

    def layer(self) -> Layer:
        """What it says.

        Raises:
            UserError: it is no TOML, has an option that there is not, or a value that is not of its kind.
        """
        where = shown(self.path, _PATH)
        if len(self.text) > BYTES:
            raise UserError(f"{where} has more than {BYTES:,} bytes, so it is not read: shorten it.")
        try:
            given = _ours(self.path.name, self.text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where} is not TOML: {shown(error, _PATH)}.") from None
        if not isinstance(given, dict):
            raise UserError(
                f"{where}: [tool.codeact] is not a table of options: write them below that line, each as name = value."
            )
        said = layer(self.path.name, cast("dict[str, object]", given))
        return replace(said, place=where, narrows=not self.trusted)

    def _word(self) -> Path:
        exactly = hashlib.sha256(os.fsencode(self.path) + b"\0" + self.text).hexdigest()
        return data_folder() / "trusted" / exactly


def find(start: Path) -> FolderFile | None:
    """The nearest file, from `start` upwards to the root of the repository, but never of the home or above it.

    Raises:
        UserError: one that is there cannot be read: what it narrows must not be lost in silence.
    """
    start, own = Path(os.path.realpath(start)), Path(os.path.realpath(home()))
    for folder in (start, *start.parents):
        if folder == own or folder in own.parents:
            return None
        for name in NAMES:
            text = _read(folder / name)
            if text is not None and _is_about_us(name, text):
                return FolderFile(folder / name, text)
        if os.path.lexists(folder / ".git"):
            return None
    return None


def here() -> FolderFile | None:
    """The file for the working folder; nothing where that folder was removed.

    Raises:
        UserError: one that is there cannot be read.
    """
    try:
        folder = Path.cwd()
    except OSError:
        return None
    return find(folder)


def _is_about_us(name: str, text: bytes) -> bool:
    if name != "pyproject.toml":
        return True
    try:
        return b"codeact" in text and _ours(name, text) is not None
    except (ValueError, RecursionError):  # a file of the project's other tools, which tell it themselves
        return False


def _ours(name: str, text: bytes) -> object:
    """Our table in the file; `None` if a `pyproject.toml` has none.

    Raises:
        ValueError: it is no TOML. (tomllib also lets what `int` raises through.)
    """
    import tomllib  # most folders have no such file, and every start of the kernel would pay for it

    table: dict[str, Any] = tomllib.loads(text.decode())
    if name != "pyproject.toml":
        return table
    tool = table.get("tool")
    return cast("dict[str, object]", tool).get("codeact") if isinstance(tool, dict) else None


def _read(path: Path) -> bytes | None:
    """What is in the file, up to a byte more than is taken; `None` where there is no file."""
    try:
        # A FIFO would wait for a writer.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            return file.read(BYTES + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        if not os.path.lexists(path):  # nobody can tell: the folder is not for us to look into
            return None
        raise UserError(
            f"{shown(path, _PATH)} cannot be read ({error.strerror}): make it readable, or move it away."
        ) from None
