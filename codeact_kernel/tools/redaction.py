"""Redact a tool's exception for the program: type and message, without traceback, absolute paths and secrets.

Secrets are recognized by their value if they are in the environment, otherwise by their form. This finds the usual
secrets, but not all: a tool should not put a secret into its errors.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from ..secrets import hide
from ..text import truncate
from ..types import JSONValue

__all__ = ["cleaned", "has_secret", "is_tools_own", "redact_error", "without_secrets"]

MAX_CHARACTERS_READ = 4_000
"""Characters of a message that are read; a program sees 500."""
MAX_CHARACTERS_SEARCHED = 1 << 18
"""Characters that are searched for known secrets before the message is cut."""
MAX_PARTIAL_CHARACTERS = 400
"""Maximum length of the beginning of a secret or path that is not recognized because its end was cut off."""
MAX_TYPE_CHARACTERS = 200
MIN_SECRET_CHARACTERS = 8
MIN_FOLDER_CHARACTERS = 4
_FOLDERS = frozenset({"PWD", "OLDPWD"})
"""Variables that every shell sets, which only look like the names of secrets."""
NAMED_SECRETS = re.compile(r"KEY|TOKEN|SECRET|PASS|.PWD|CREDENTIAL", re.IGNORECASE)
IN_A_URL = re.compile(r"(?<=://)[^\s/'\"<>]*@")

# A repetition is bounded, or ends where another match could start inside it. Otherwise "sk-sk-sk-..." is scanned to
# its end from each of its parts, and hostile text takes seconds (tests/architecture/test_patterns.py).
SECRETS = re.compile(
    r"""(?P<kept>\bauthorization["']?\s*[:=]\s*["']?)(?:[\w-]+\s+)?[^\s'",;}]+
    | (?P<name>(?:password|passwd|api[_-]?key|secret|access[_-]?token|auth[_-]?token)["']?\s*[:=]\s*)
      (?:"[^"\n]*"|'[^'\n]*'|[^\s'",;)}\]]+)
    | (?P<scheme>\bbearer\s+)(?=[\w.~+/=-]*\d)[\w.~+/=-]{8,}
    | (?P<basic>\bbasic\s+)(?=[A-Z]*[\d=+/])[\w+/]{8,}={0,2}
    | \b(?:sk|pk|rk)(?:-|_(?:live|test)_)(?=[\w*-]{0,100}?[\d*])[\w*-]{16,}+
    | \bgh[a-z]_\w{20,} | \bgithub_pat_\w{20,} | \bhf_\w{20,} | \bxox[a-z]-[\w-]{10,}
    | \bAKIA[0-9A-Z]{16} | \bAIza[\w-]{30,}
    | \beyJ(?=[\w-]{8})\w*+(?:-(?!eyJ)\w*+)*+\.[\w-]{8,}+\.[\w-]*+
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[\s\S]*""",
    re.VERBOSE | re.IGNORECASE,
)
ENVIRONMENT = re.compile(r"environ\(\{.*", re.DOTALL)
TRACEBACK = re.compile(r"Traceback \(most recent call last\)|^[ \t]+File \"[^\n]*\", line \d+", re.MULTILINE)
WORD = re.compile(r"\w{4,}")
ABOUT_INPUT = re.compile(r"\b(?:not found|unknown|invalid|unsupported|no such|not exist|must be|should be)\b")
MAX_VALUES = 200
"""Values in a call's arguments that are searched for in the tool's error."""
MAX_PATH_CHARACTERS = 300
MARK = re.compile(r"\x00(\d{1,6})\x00")
QUOTES = "'\"`‘’“”"
ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]{6,}")

# A quoted path may contain spaces and other quotes. Repetitions are bounded, as hostile text would take seconds.
PATHS = re.compile(
    r"""'(?:~|[A-Za-z]:|file:/)?[\\/](?:[^'\\\n]|\\.){0,300}+'
    | "(?:~|[A-Za-z]:|file:/)?[\\/](?:[^"\\\n]|\\.){0,300}+"
    | `(?:~|[A-Za-z]:|file:/)?[\\/][^`\n]{0,300}+`
    | [‘“](?:~|[A-Za-z]:|file:/)?[\\/][^’”\n]{0,300}+[’”]
    | file:/[^\s'"]+
    | /{3,}[^\s'"]+                                  # sqlite:////home/...
    | (?<![\w./:~])~[\w-]*/[^\s'"<>|,;)\]}]*
    | (?<![\w./])(?<!:/)/(?!/)[^\s'"<>|,;:)\]}]+      # not the slashes of https://host/path
    | (?<!\w)[A-Za-z]:[\\/][^\s'"<>|,;)\]}]*
    | (?<![\w\\])\\[A-Za-z][\w.-]+\\[^\s'"<>|,;)\]}]*
    | \\\\[\w?.][^\s'"<>|,;)\]}]*
    | (?:%2F[^\s'"<>|,;)\]}%]+){2,}""",
    re.VERBOSE,
)


def redact_error(name: str, error: BaseException, characters: int, arguments: str = "{}") -> str:
    """Describe `error`, raised by the tool `name`, for the program.

    Args:
        characters: The maximum length of the text.
        arguments: The arguments of the call, as JSON. Their paths are not masked, as the program knows them.
    """
    try:
        message = clean_beginning(str(error), _values(arguments))
    except BaseException:  # the exception's own __str__ may raise anything, even SystemExit
        message = ""
    text, kind = message.strip(), cleaned(without_secrets(type(error).__name__)[:MAX_TYPE_CHARACTERS])
    return truncate(f"{name} raised {kind}: {text}" if text else f"{name} raised {kind}", characters, "...")


def is_tools_own(error: BaseException, arguments: str) -> bool:
    """Whether the cause of `error` lies in the tool, so that no other program can avoid it.

    The cause lies in the arguments only if there are any, and if the exception is a ValueError, Python's error for
    wrong arguments. Otherwise its text has to contain the name, the value or a word of an argument, or a phrase such
    as "not found" in an exception that does not come from Python or the system.
    """
    values = _values(arguments)
    if not values:
        return True
    if isinstance(error, ValueError):
        return False
    try:
        message = str.__getitem__(str(error), slice(MAX_CHARACTERS_READ)).casefold()
    except BaseException:  # as in `redact_error`
        return True
    if not isinstance(error, OSError | ImportError | TypeError) and ABOUT_INPUT.search(message):
        return False
    said = set(re.findall(r"\w+", message))
    given = {value.casefold() for value in values}
    words = {word for value in given for word in WORD.findall(value)}
    return not (said & (given | words) or any(len(value) > 1 and value in message for value in given))


def _values(arguments: str) -> list[str]:
    """Return the first names, texts and numbers in the arguments of a call, as text."""
    todo: list[JSONValue] = [json.loads(arguments)]
    values: list[str] = []
    while todo and len(values) < MAX_VALUES:
        value = todo.pop()
        if isinstance(value, dict):
            todo += value.values()
            values += value
        elif isinstance(value, list):
            todo += value
        elif value is not None and not isinstance(value, bool):
            values.append(str(value))
    return values[:MAX_VALUES]


def clean_beginning(text: str, known: Collection[str] = ()) -> str:
    """Redact the first MAX_CHARACTERS_READ characters of a text of any length, and drop the rest.

    Args:
        known: Paths that stay, because the program knows them.
    """
    # A subclass of str could run its own code when it is sliced.
    searched = str.__getitem__(text, slice(MAX_CHARACTERS_SEARCHED))
    # Known secrets are removed before the cut, because a secret that is cut would not be recognized.
    whole = without_secrets(searched)
    message = cleaned(whole[:MAX_CHARACTERS_READ], known)
    if len(whole) <= MAX_CHARACTERS_READ and str.__len__(text) <= MAX_CHARACTERS_SEARCHED:
        return message
    # The end may be the beginning of a secret, too short to be recognized, unless it was replaced already.
    partial = max([MAX_PARTIAL_CHARACTERS, *map(len, _known_secrets())])
    marks = [mark for mark in ("<secret>", "<path>") if mark in message]
    replaced = max((message.rindex(mark) + len(mark) for mark in marks), default=0)
    return message[: max(replaced, len(message) - partial)]


def cleaned(message: str, known: Collection[str] = ()) -> str:
    """Return `message` without tracebacks, absolute paths, memory addresses and secrets.

    Args:
        known: Paths that stay if they occur as a whole.
    """
    # Known secrets go first: after a cut or a partial replacement, they would not be recognized.
    message = without_secrets(message)
    if (cut := TRACEBACK.search(message)) is not None:
        message = message[: cut.start()]
    message = IN_A_URL.sub("<secret>@", ENVIRONMENT.sub("<environment>", message))
    message, kept = _with_marks(message, known)
    for folder in _known_folders():  # they may contain spaces
        message = re.sub(rf"(?<![\w.]){re.escape(folder)}(?![\w-])", "/~", message)
    message = ADDRESS.sub("", PATHS.sub("<path>", message))
    message = SECRETS.sub(lambda found: f"{next(filter(None, found.groups()), '')}<secret>", message)
    return MARK.sub(lambda found: kept[int(found[1])], message) if kept else message


def _with_marks(message: str, known: Collection[str]) -> tuple[str, list[str]]:
    """Replace known paths by marks, so that they are not masked; return the text and the paths in order of the marks.

    A path that only begins like a known path is another path, and is masked.
    """
    paths = {path for path in _given_paths(known) if 1 < len(path) <= MAX_PATH_CHARACTERS and not SECRETS.search(path)}
    paths |= {repr(path)[1:-1] for path in paths}
    kept: list[str] = []
    if not paths or "\0" in message:
        return message, kept

    def mark(found: re.Match[str]) -> str:
        text = found[0]
        path = text.strip(QUOTES).rstrip(".!?").removeprefix("file://")
        if path not in paths:
            return text
        kept.append(text)
        return f"\0{len(kept) - 1}\0"

    for path in paths:
        if " " in path and PATHS.match(path):  # without quotes, PATHS would match only its first part
            message = re.sub(rf"(?<![\w./~]){re.escape(path)}(?![\w/\\-]|\.\w)", mark, message)
    return PATHS.sub(mark, message), kept


def _given_paths(values: Collection[str]) -> set[str]:
    """Return the values of a call, the paths inside them (as in SQL), and the normalized forms of these paths."""
    texts = [value[:MAX_CHARACTERS_READ] for value in values if not PATHS.match(value[:MAX_CHARACTERS_READ])]
    inside = {path.strip(QUOTES) for text in texts for path in PATHS.findall(text)}
    paths = {*values, *inside}
    return paths | {os.path.normpath(path) for path in paths if path.startswith("/")}


def without_secrets(message: str) -> str:
    """Hide every `Secret`, and the values of environment variables that are named like secrets, in all their forms."""
    message = hide(message)
    for secret in _known_secrets():
        message = message.replace(secret, "<secret>")
    return message


def has_secret(text: str) -> bool:
    """Return whether the text holds the value of a secret variable, or something with the form of a secret."""
    return without_secrets(text) != text or SECRETS.search(text) is not None


def _known_secrets() -> Sequence[str]:
    """Return the values of environment variables that are named like secrets, in all forms in which errors quote them.

    The longest come first, because a short value may be the beginning of another.
    """
    # To read every variable takes longer than to redact a call, and the journal redacts every call.
    unread: Mapping[Any, Any] = getattr(os.environ, "_data", os.environ)
    return _find_secrets(frozenset(unread.items()))


@lru_cache(maxsize=1)
def _find_secrets(environment: frozenset[object]) -> Sequence[str]:
    """Find the secrets in `os.environ`. `environment` changes whenever it does."""
    values = {value for name, value in os.environ.items() if NAMED_SECRETS.search(name) and name not in _FOLDERS}
    values |= {found[0].rpartition(":")[2][:-1] for value in os.environ.values() if (found := IN_A_URL.search(value))}
    forms = {form for value in values if len(value) >= MIN_SECRET_CHARACTERS for form in _forms(value)}
    return sorted(forms, key=len, reverse=True)


def _forms(value: str) -> Iterable[str]:
    yield from (value, repr(value)[1:-1], json.dumps(value)[1:-1])
    with suppress(UnicodeEncodeError):
        yield from (quote(value, safe=""), quote_plus(value), repr(value.encode())[2:-1])
        yield base64.b64encode(value.encode()).decode().rstrip("=")


def _known_folders() -> list[str]:
    folders: set[str] = set()
    for find in (Path.home, Path.cwd):
        with suppress(OSError, RuntimeError):  # either may not exist
            folders.add(str(find()))
    return sorted((folder for folder in folders if len(folder) >= MIN_FOLDER_CHARACTERS), key=len, reverse=True)
