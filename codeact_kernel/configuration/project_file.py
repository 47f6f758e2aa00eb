"""The project's configuration: `codeact.toml`, or `[tool.codeact]` in its `pyproject.toml`. It is data, never code.

A project may come from a stranger, so its file can narrow what is allowed, but widen nothing until the user has
trusted exactly this text. The trust is stored in a folder of the user, never in the project.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from ..errors import UserError
from ..paths import data_folder, home, is_private
from .layers import Layer, parse_layer
from .messages import truncate_for_error

__all__ = ["ProjectFile", "find", "find_project_file"]

BYTES = {"codeact.toml": 64 << 10, "pyproject.toml": 128 << 10}
"""The files that are searched for, in this order, with the size up to which each is parsed.

A parsed file takes up to 700 times its size in memory, and `pyproject.toml` is shared with the project's other tools.
"""
MAX_KEY_PARTS = 32
"""Parts of a dotted key: the time and memory of tomllib grow with the square of their number."""
MAX_PARSED = 3
"""Files with a key of our name that are parsed on the way up to see if the key is our table."""
_READ = 1 << 20
"""Bytes that are read, which are enough to find our table in a file that is too long to be parsed."""
_PART = rb"""(?:[\w-]++|"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+')"""
# A key begins a line, a header or an inline table, or follows a comma there. Strings and comments are searched too: no
# sentence looks like this.
_LONG_KEY = re.compile(
    rb"(?:^|[\[{,])[ \t]*+" + _PART + rb"(?:[ \t]*+\.[ \t]*+" + _PART + rb"){%d}" % MAX_KEY_PARTS, re.MULTILINE
)
_US = rb"[ \t]*+[\"']?codeact[\"']?[ \t]*+"
_OUR_NAME = re.compile(rb"(?:^|[.\[{,])" + _US + rb"[.=]|\." + _US + rb"\]", re.MULTILINE)
_OUR_TABLE = re.compile(rb"^[ \t]*+\[[ \t]*+tool[ \t]*+\.[ \t]*+[\"']?codeact\b(?!-)", re.MULTILINE)
_PATH = 500
"""Characters of a path in a message."""


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A configuration file that was found, with its content at that time."""

    path: Path
    text: bytes

    @property
    def trusted(self) -> bool:
        """Whether the user has trusted exactly this text, in a file that only they can have written."""
        return is_private(self._trust_marker())

    def trust(self) -> None:
        """Store that the user trusts this text.

        Raises:
            UserError: if that cannot be stored where nobody else can write.
        """
        marker = self._trust_marker()
        temporary = marker.with_name(f"{marker.name}.{os.getpid()}")
        try:
            marker.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(os.fsencode(self.path))
            os.replace(temporary, marker)
        except OSError as error:
            raise UserError(f"{marker.parent} cannot be written ({error.strerror}): make yourself its owner.") from None
        if not self.trusted:
            raise UserError(
                f"{marker.parent} can be written by others: allow that only for yourself (chmod 700), then trust again."
            )

    def distrust(self) -> None:
        """Forget that the user trusts this text.

        Raises:
            UserError: if that cannot be removed.
        """
        try:
            self._trust_marker().unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{self._trust_marker()} cannot be removed ({error.strerror}): remove it.") from None

    def layer(self) -> Layer:
        """Parse the file.

        Raises:
            UserError: if it is not TOML, an option does not exist, or a value is not valid.
        """
        where = truncate_for_error(self.path, _PATH)
        try:
            given = _parse_our_table(self.path.name, self.text)
        except _TooCostly as error:
            raise UserError(f"{where} {error}.") from None
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where} is not TOML: {truncate_for_error(error, _PATH)}.") from None
        if not isinstance(given, dict):
            raise UserError(
                f"{where}: [tool.codeact] is not a table of options: write them below that line, each as name = value."
            )
        layer = parse_layer(self.path.name, cast("dict[str, object]", given))
        return replace(layer, place=where, narrows=not self.trusted)

    def _trust_marker(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self.path) + b"\0" + self.text).hexdigest()
        return data_folder() / "trusted" / digest


def find(start: Path) -> ProjectFile | None:
    """Find the nearest file from `start` upwards to the root of the repository, but not in the home or above it.

    Raises:
        UserError: if a file cannot be read, because its limits must not be ignored silently; or if too many files
            would have to be parsed.
    """
    start, own = Path(os.path.realpath(start)), Path(os.path.realpath(home()))
    parsed = 0
    for folder in (start, *start.parents):
        if folder == own or folder in own.parents:
            return None
        for name in BYTES:
            text = _read(folder / name)
            if text is None:
                continue
            if _is_about_us(name, text):
                return ProjectFile(folder / name, text)
            parsed += _OUR_NAME.search(text) is not None
            if parsed > MAX_PARSED:
                raise UserError(
                    f"{truncate_for_error(start, _PATH)} and the folders above it have more than {MAX_PARSED} "
                    "pyproject.toml files with a key codeact that is not in [tool]: "
                    "put a codeact.toml beside the notebook."
                )
        if os.path.lexists(folder / ".git"):
            return None
    return None


def find_project_file() -> ProjectFile | None:
    """Find the file for the working folder; return `None` if that folder was removed.

    Raises:
        UserError: if a file cannot be read.
    """
    try:
        folder = Path.cwd()
    except OSError:
        return None
    return find(folder)


class _TooCostly(ValueError):
    """A file is not parsed. The text gives the reason, and follows the name of the file."""


@lru_cache(maxsize=8)  # the files of other tools are looked at before every prompt, and hardly change
def _is_about_us(name: str, text: bytes) -> bool:
    if name != "pyproject.toml":
        return True
    if len(text) > BYTES[name]:
        return _OUR_TABLE.search(text) is not None
    try:
        return _OUR_NAME.search(text) is not None and _parse_our_table(name, text) is not None
    except (ValueError, RecursionError):  # the other tools of the project report the error themselves
        return False


def _parse_our_table(name: str, text: bytes) -> object:
    """Parse a file and return our table in it; `None` if a `pyproject.toml` has none.

    Raises:
        _TooCostly: if parsing it could take seconds, or hundreds of megabytes.
        ValueError: if it is not TOML. (tomllib also lets what `int` raises through.)
    """
    import tomllib  # most folders have no such file, and every start of the kernel would pay for it

    _refuse_costly(name, text)
    table: dict[str, Any] = tomllib.loads(text.decode())
    if name != "pyproject.toml":
        return table
    tool = table.get("tool")
    return cast("dict[str, object]", tool).get("codeact") if isinstance(tool, dict) else None


def _refuse_costly(name: str, text: bytes) -> None:
    """Refuse a file for which tomllib needs too much time or memory. Any other file takes a second at most.

    Raises:
        _TooCostly: if the file is too long, or has a key of too many parts.
    """
    if len(text) > BYTES[name]:
        raise _TooCostly(f"has more than {BYTES[name]:,} bytes, so it is not read: shorten it")
    if found := _LONG_KEY.search(text):
        line = text.count(b"\n", 0, found.end()) + 1
        raise _TooCostly(
            f"has a key of more than {MAX_KEY_PARTS} parts in line {line:,}, so it is not read: shorten that key"
        )


def _read(path: Path) -> bytes | None:
    """Read the beginning of the file, `_READ` bytes at most; return `None` if there is no file."""
    try:
        # A FIFO would wait for a writer.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            return file.read(_READ) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        if not os.path.lexists(path):  # the folder cannot be listed, so the file may not exist
            return None
        raise UserError(
            f"{truncate_for_error(path, _PATH)} cannot be read ({error.strerror}): make it readable, or move it away."
        ) from None
