"""What a project's folder says: `codeact.toml`, or `[tool.codeact]` in its `pyproject.toml`. Data; nothing executes.

A folder may come from anywhere, so it can narrow what is allowed, and widen nothing, until the person has trusted
exactly this text. The word is kept in a folder of the person's own, never in the project.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ..errors import UserError
from ..places import data_folder
from .layers import Layer, layer

__all__ = ["FolderFile", "find"]

NAMES = ("codeact.toml", "pyproject.toml")
BYTES = 256 << 10
"""More than any such file has: it is not read further."""


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
        """The person takes it back."""
        self._word().unlink(missing_ok=True)

    def layer(self) -> Layer:
        """What it says.

        Raises:
            UserError: it is no TOML, has an option that there is not, or a value that is not of its kind.
        """
        try:
            table = tomllib.loads(self.text.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UserError(f"{self.path} is not TOML: {error}.") from None
        given = _tool_table(table) if self.path.name == "pyproject.toml" else table
        if not isinstance(given, dict):
            raise UserError(f"{self.path}: [tool.codeact] is not a table of options.")
        said = layer(self.path.name, cast("dict[str, object]", given))
        return replace(said, place=str(self.path), narrows=not self.trusted)

    def _word(self) -> Path:
        exactly = hashlib.sha256(os.fsencode(self.path) + b"\0" + self.text).hexdigest()
        return data_folder() / "trusted" / exactly


def find(start: Path) -> FolderFile | None:
    """The nearest file, from `start` upwards to the root of the repository, but never of the home or above it.

    Raises:
        UserError: the nearest `pyproject.toml` cannot be read as TOML.
    """
    home = Path.home()
    for folder in (start, *start.parents):
        if folder == home or folder in home.parents:
            return None
        for name in NAMES:
            text = _read(folder / name)
            if text is not None and (name != "pyproject.toml" or b"tool.codeact" in text):
                return FolderFile(folder / name, text)
        if (folder / ".git").exists():
            return None
    return None


def _tool_table(table: dict[str, Any]) -> object:
    tool: Any = table.get("tool", {})
    return tool.get("codeact", {}) if isinstance(tool, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _read(path: Path) -> bytes | None:
    """What is in the file, if it is one, and the person's own."""
    try:
        # A FIFO would wait for a writer.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode) or (os.name == "posix" and state.st_uid not in (os.getuid(), 0)):
                return None
            text = file.read(BYTES + 1)
    except OSError:
        return None
    return text if len(text) <= BYTES else None
