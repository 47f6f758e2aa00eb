"""A tool's exception as a program may know it: type and message, no traceback, no absolute path, bounded."""

from __future__ import annotations

import re

__all__ = ["clipped", "told"]

LONGEST_READ = 20_000

PATHS = re.compile(
    r"""(?P<quote>['"])(?:~|[A-Za-z]:|file:/)?[\\/][^'"\n]*(?P=quote)  # between quotes a path may hold spaces
    | file:/[^\s'"]+
    | /{3,}[^\s'"]+                                  # sqlite:////home/...
    | (?<![\w./:~])~[\w-]*/[^\s'"<>|,;)\]}]*
    | (?<![\w./])(?<!:/)/(?!/)[^\s'"<>|,;:)\]}]+      # not the slashes of https://host/path
    | (?<!\w)[A-Za-z]:[\\/][^\s'"<>|,;)\]}]*
    | \\\\\w[^\s'"<>|,;)\]}]*""",
    re.VERBOSE,
)


def told(name: str, error: BaseException, characters: int) -> str:
    """What the program is told of `error`, raised by the tool `name`, in at most so many characters."""
    try:
        message = str(error)[:LONGEST_READ]
    except Exception:  # the exception's own __str__ is broken
        message = ""
    message = message.partition("Traceback (most recent call last)")[0]
    text = PATHS.sub("<path>", message).strip()
    kind = type(error).__name__
    return clipped(f"{name} raised {kind}: {text}" if text else f"{name} raised {kind}", characters)


def clipped(text: str, characters: int) -> str:
    """`text`, cut to so many characters."""
    return text if len(text) <= characters else text[: characters - 3] + "..."
