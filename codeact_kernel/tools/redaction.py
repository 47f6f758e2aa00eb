"""A tool's exception as a program may know it: type and message, no traceback, no absolute path, no secret, bounded.

Secrets are known by their value, where the environment has them, and else by their form. That finds the usual ones and
cannot find all: a tool should not put a secret into its errors.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, quote_plus

from ..text import truncate
from ..types import JSONValue

__all__ = ["cleaned", "is_tools_own", "redact_error", "without_secrets"]

LONGEST_READ = 4_000
"""Characters of a message that are read: a program is told 500."""
LONGEST_SEARCHED = 1 << 18
"""Characters that are searched for known secrets before the message is cut."""
LONGEST_PARTIAL = 400
"""Characters that the beginning of a secret or path may have that is not recognized because the rest was cut off."""
LONGEST_TYPE = 200
SHORTEST_SECRET = 8
SHORTEST_PLACE = 4
NAMED_SECRETS = re.compile(r"KEY|TOKEN|SECRET|PASS|.PWD|CREDENTIAL", re.IGNORECASE)
IN_A_URL = re.compile(r"(?<=://)[^\s/'\"<>]*@")

# A repetition is bounded, or ends, where another match could start inside it. Otherwise "sk-sk-sk-..." is scanned to
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
MANY_GIVEN = 200
"""Values in a call's arguments that are looked for in the tool's error."""
LONGEST_GIVEN = 300
MARK = re.compile(r"\x00(\d{1,6})\x00")
QUOTES = "'\"`‘’“”"
ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]{6,}")

# Between quotes a path may hold spaces, and the other quotes; bounded, or hostile text takes seconds.
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
    """Say what `error`, raised by the tool `name`, may tell the program.

    Args:
        characters: the longest text that is returned.
        arguments: of the call, as JSON: the program knows the paths in it, so they are not masked.
    """
    try:
        message = clean_beginning(str(error), _values(arguments))
    except BaseException:  # the exception's own __str__ is broken, or wants to end the kernel
        message = ""
    text, kind = message.strip(), cleaned(without_secrets(type(error).__name__)[:LONGEST_TYPE])
    return truncate(f"{name} raised {kind}: {text}" if text else f"{name} raised {kind}", characters, "...")


def is_tools_own(error: BaseException, arguments: str) -> bool:
    """Whether a tool raised `error` for a reason of its own, so that no other program can avoid it.

    The arguments are the reason only where there are some, and the exception is a ValueError, which is how Python says
    that an argument is wrong, or its text names an argument, its value, or a word of it, or says "not found" or the
    like, and is not Python's or the system's own.
    """
    values = _values(arguments)
    if not values:
        return True
    if isinstance(error, ValueError):
        return False
    try:
        message = str.__getitem__(str(error), slice(LONGEST_READ)).casefold()
    except BaseException:  # as above
        return True
    if not isinstance(error, OSError | ImportError | TypeError) and ABOUT_INPUT.search(message):
        return False
    said = set(re.findall(r"\w+", message))
    given = {value.casefold() for value in values}
    words = {word for value in given for word in WORD.findall(value)}
    return not (said & (given | words) or any(len(value) > 1 and value in message for value in given))


def _values(arguments: str) -> list[str]:
    """The names, texts and numbers in the arguments of a call, as text: the first of them."""
    todo: list[JSONValue] = [json.loads(arguments)]
    values: list[str] = []
    while todo and len(values) < MANY_GIVEN:
        value = todo.pop()
        if isinstance(value, dict):
            todo += value.values()
            values += value
        elif isinstance(value, list):
            todo += value
        elif value is not None and not isinstance(value, bool):
            values.append(str(value))
    return values[:MANY_GIVEN]


def clean_beginning(text: str, known: Collection[str] = ()) -> str:
    """Clean the first LONGEST_READ characters of a text of any length, and leave the rest out.

    Args:
        known: paths that stay, since the program has them.
    """
    # A subclass of str may run its own code when it is sliced.
    searched = str.__getitem__(text, slice(LONGEST_SEARCHED))
    # Known secrets are removed before the cut: a secret that is cut is not recognized any more.
    whole = without_secrets(searched)
    message = cleaned(whole[:LONGEST_READ], known)
    if len(whole) <= LONGEST_READ and str.__len__(text) <= LONGEST_SEARCHED:
        return message
    # The end may be the beginning of a secret, too short to be recognized; not if it was replaced, though.
    partial = max([LONGEST_PARTIAL, *map(len, _known_secrets())])
    marks = [mark for mark in ("<secret>", "<path>") if mark in message]
    replaced = max((message.rindex(mark) + len(mark) for mark in marks), default=0)
    return message[: max(replaced, len(message) - partial)]


def cleaned(message: str, known: Collection[str] = ()) -> str:
    """`message` without tracebacks, absolute paths, addresses in memory and what is known or looks like a secret.

    Args:
        known: paths that stay, where they stand as a whole.
    """
    # What is known goes first, as it stands: cut or replaced in part, it would not be known any more.
    message = without_secrets(message)
    if (cut := TRACEBACK.search(message)) is not None:
        message = message[: cut.start()]
    message = IN_A_URL.sub("<secret>@", ENVIRONMENT.sub("<environment>", message))
    message, kept = _with_marks(message, known)
    for place in _known_places():  # they may hold spaces
        message = re.sub(rf"(?<![\w.]){re.escape(place)}(?![\w-])", "/~", message)
    message = ADDRESS.sub("", PATHS.sub("<path>", message))
    message = SECRETS.sub(lambda found: f"{next(filter(None, found.groups()), '')}<secret>", message)
    return MARK.sub(lambda found: kept[int(found[1])], message) if kept else message


def _with_marks(message: str, known: Collection[str]) -> tuple[str, list[str]]:
    """Put a mark in the place of each path that is known, so that it is not masked: the text, and what the marks mean.

    A path that only begins like a known one is another path, and is masked.
    """
    paths = {path for path in _given_paths(known) if 1 < len(path) <= LONGEST_GIVEN and not SECRETS.search(path)}
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
        if " " in path and PATHS.match(path):  # without quotes around it, it would be taken for a shorter one
            message = re.sub(rf"(?<![\w./~]){re.escape(path)}(?![\w/\\-]|\.\w)", mark, message)
    return PATHS.sub(mark, message), kept


def _given_paths(values: Collection[str]) -> set[str]:
    """The values of a call, the paths that stand in them, as in SQL, and these in the form that Python gives them."""
    texts = [value[:LONGEST_READ] for value in values if not PATHS.match(value[:LONGEST_READ])]
    inside = {path.strip(QUOTES) for text in texts for path in PATHS.findall(text)}
    paths = {*values, *inside}
    return paths | {os.path.normpath(path) for path in paths if path.startswith("/")}


def without_secrets(message: str) -> str:
    """Without the values of this process's environment variables that are named like a secret, however quoted."""
    for secret in _known_secrets():
        message = message.replace(secret, "<secret>")
    return message


def _known_secrets() -> list[str]:
    """The values of this process's environment variables that are named like a secret, as errors may quote them.

    The longest first: a short one may be the beginning of another.
    """
    values = {value for name, value in os.environ.items() if NAMED_SECRETS.search(name)}
    values |= {found[0].rpartition(":")[2][:-1] for value in os.environ.values() if (found := IN_A_URL.search(value))}
    forms = {form for value in values if len(value) >= SHORTEST_SECRET for form in _forms(value)}
    return sorted(forms, key=len, reverse=True)


def _forms(value: str) -> Iterable[str]:
    yield from (value, repr(value)[1:-1], json.dumps(value)[1:-1])
    with suppress(UnicodeEncodeError):
        yield from (quote(value, safe=""), quote_plus(value), repr(value.encode())[2:-1])
        yield base64.b64encode(value.encode()).decode().rstrip("=")


def _known_places() -> list[str]:
    places: set[str] = set()
    for place in (Path.home, Path.cwd):
        with suppress(OSError, RuntimeError):  # neither need be there
            places.add(str(place()))
    return sorted((place for place in places if len(place) >= SHORTEST_PLACE), key=len, reverse=True)
