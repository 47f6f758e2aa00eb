"""What a project's folder says: `codeact.toml`, or `[tool.codeact]` in its `pyproject.toml`. Data; nothing executes.

A folder may come from anywhere, so it can narrow what is allowed, and widen nothing, until the person has trusted
exactly this text. The word is kept in a folder of the person's own, never in the project.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ..errors import UserError
from ..paths import data_folder, home, is_private
from .layers import Layer, parse_layer
from .messages import truncate_for_error

__all__ = ["ProjectFile", "find", "find_project_file"]

BYTES = {"codeact.toml": 64 << 10, "pyproject.toml": 128 << 10}
"""Of the files that are looked for, in this order, the longest that is parsed.

A parsed file takes up to 700 times its size in memory, and the second one is shared with the project's other tools.
"""
PARTS = 32
"""Names that a key may have, with dots between them: tomllib needs time and memory for the square of their number."""
LOOKED_AT = 3
"""Files of other tools on the way up that have a key of our name, and have to be parsed to see if it is our table."""
_READ = 1 << 20
"""Bytes that are read: enough to find our table in a file that is too long to be parsed."""
_PART = rb"""(?:[\w-]++|"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+')"""
# A key begins a line, a header or an inline table, or follows a comma there. Strings and comments are not told apart:
# no sentence looks like this.
_LONG_KEY = re.compile(
    rb"(?:^|[\[{,])[ \t]*+" + _PART + rb"(?:[ \t]*+\.[ \t]*+" + _PART + rb"){%d}" % PARTS, re.MULTILINE
)
_US = rb"[ \t]*+[\"']?codeact[\"']?[ \t]*+"
_OUR_NAME = re.compile(rb"(?:^|[.\[{,])" + _US + rb"[.=]|\." + _US + rb"\]", re.MULTILINE)
_OUR_TABLE = re.compile(rb"^[ \t]*+\[[ \t]*+tool[ \t]*+\.[ \t]*+[\"']?codeact\b(?!-)", re.MULTILINE)
_PATH = 500
"""Characters that are shown of a path."""


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file that was found, as its bytes were then."""

    path: Path
    text: bytes

    @property
    def trusted(self) -> bool:
        """Whether the user has trusted exactly this text, in a file that only they can have written."""
        return is_private(self._trust_marker())

    def trust(self) -> None:
        """Keep the user's word that this text may come into force.

        Raises:
            UserError: if the word cannot be kept where nobody else can write it.
        """
        word = self._trust_marker()
        aside = word.with_name(f"{word.name}.{os.getpid()}")
        try:
            word.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(os.fsencode(self.path))
            os.replace(aside, word)
        except OSError as error:
            raise UserError(f"{word.parent} cannot be written ({error.strerror}): make it your own.") from None
        if not self.trusted:
            raise UserError(f"{word.parent} can be written by others: make it your own (chmod 700), then trust again.")

    def distrust(self) -> None:
        """The person takes it back.

        Raises:
            UserError: it cannot be taken back.
        """
        try:
            self._trust_marker().unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{self._trust_marker()} cannot be removed ({error.strerror}): remove it.") from None

    def layer(self) -> Layer:
        """What it says.

        Raises:
            UserError: it is no TOML, has an option that there is not, or a value that is not of its kind.
        """
        where = truncate_for_error(self.path, _PATH)
        try:
            given = _ours(self.path.name, self.text)
        except _TooCostly as error:
            raise UserError(f"{where} {error}.") from None
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where} is not TOML: {truncate_for_error(error, _PATH)}.") from None
        if not isinstance(given, dict):
            raise UserError(
                f"{where}: [tool.codeact] is not a table of options: write them below that line, each as name = value."
            )
        said = parse_layer(self.path.name, cast("dict[str, object]", given))
        return replace(said, place=where, narrows=not self.trusted)

    def _trust_marker(self) -> Path:
        exactly = hashlib.sha256(os.fsencode(self.path) + b"\0" + self.text).hexdigest()
        return data_folder() / "trusted" / exactly


def find(start: Path) -> ProjectFile | None:
    """The nearest file, from `start` upwards to the root of the repository, but never of the home or above it.

    Raises:
        UserError: if a file that is there cannot be read: what it narrows must not be ignored silently. Or if more
            files would have to be parsed than a project has.
    """
    start, own = Path(os.path.realpath(start)), Path(os.path.realpath(home()))
    looked_at = 0
    for folder in (start, *start.parents):
        if folder == own or folder in own.parents:
            return None
        for name in BYTES:
            text = _read(folder / name)
            if text is None:
                continue
            if _is_about_us(name, text):
                return ProjectFile(folder / name, text)
            looked_at += _OUR_NAME.search(text) is not None
            if looked_at > LOOKED_AT:
                raise UserError(
                    f"{truncate_for_error(start, _PATH)} and the folders above it have more than {LOOKED_AT} "
                    "pyproject.toml files with a key codeact that is not in [tool]: "
                    "put a codeact.toml beside the notebook."
                )
        if os.path.lexists(folder / ".git"):
            return None
    return None


def find_project_file() -> ProjectFile | None:
    """The file for the working folder; nothing where that folder was removed.

    Raises:
        UserError: one that is there cannot be read.
    """
    try:
        folder = Path.cwd()
    except OSError:
        return None
    return find(folder)


class _TooCostly(ValueError):
    """Says why a file is not parsed, in words that follow its name."""


def _is_about_us(name: str, text: bytes) -> bool:
    if name != "pyproject.toml":
        return True
    if len(text) > BYTES[name]:
        return _OUR_TABLE.search(text) is not None
    try:
        return _OUR_NAME.search(text) is not None and _ours(name, text) is not None
    except (ValueError, RecursionError):  # a file of the project's other tools, which tell it themselves
        return False


def _ours(name: str, text: bytes) -> object:
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
    """Refuse a file that tomllib would need too much time or memory for. What is left takes a second at most.

    Raises:
        _TooCostly: if the file is too long, or has a key of too many parts.
    """
    if len(text) > BYTES[name]:
        raise _TooCostly(f"has more than {BYTES[name]:,} bytes, so it is not read: shorten it")
    if found := _LONG_KEY.search(text):
        line = text.count(b"\n", 0, found.end()) + 1
        raise _TooCostly(f"has a key of more than {PARTS} parts in line {line:,}, so it is not read: shorten that key")


def _read(path: Path) -> bytes | None:
    """Read the beginning of the file, `_READ` bytes at most; return `None` if there is no file."""
    try:
        # A FIFO would wait for a writer.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            return file.read(_READ) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        if not os.path.lexists(path):  # nobody can tell: the folder is not for us to look into
            return None
        raise UserError(
            f"{truncate_for_error(path, _PATH)} cannot be read ({error.strerror}): make it readable, or move it away."
        ) from None
