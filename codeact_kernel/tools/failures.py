"""A tool's exception as a program may know it: type and message, no traceback, no absolute path, bounded."""

from __future__ import annotations

import os
import re

__all__ = ["clipped", "told", "without_secrets"]

LONGEST_READ = 20_000
SHORTEST_SECRET = 8
SECRETS = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)

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
    text = PATHS.sub("<path>", without_secrets(message)).strip()
    kind = type(error).__name__
    return clipped(f"{name} raised {kind}: {text}" if text else f"{name} raised {kind}", characters)


def without_secrets(message: str) -> str:
    """Without the values of this process's environment variables that are named like a secret."""
    for name, value in os.environ.items():
        if len(value) >= SHORTEST_SECRET and SECRETS.search(name):
            message = message.replace(value, "<secret>")
    return message


def clipped(text: str, characters: int) -> str:
    """`text`, cut to so many characters."""
    return text if len(text) <= characters else text[: characters - 3] + "..."
