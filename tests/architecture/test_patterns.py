"""Every regular expression takes time that grows with the length of the text, and no faster.

A text from outside (a tool's error, an answer of a model, a file of a project) is as long and as odd as its author
likes, and `re` holds the interpreter while it searches. The patterns are collected from the code, so that a new one
cannot be missed, and the hostile texts are made from the patterns themselves.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "codeact_kernel").rglob("*.py"), *(ROOT / "extension" / "codeact").rglob("*.py")])
GUEST = ROOT / "codeact_kernel" / "guest" / "inside"

ANCHORED = ("match", "fullmatch")
SEARCHING = ("search", "sub", "subn", "split", "findall", "finditer")
MAKING = ("compile", *ANCHORED, *SEARCHING)

SHORT, MIDDLE, LONG = 500, 8_000, 32_000
"""Characters of the texts: the first shows what is exponential, and the other two are compared."""
QUICK, JUDGED = 0.001, 0.02
"""Seconds: what MIDDLE takes is not looked at further below the first, and what LONG takes below the second."""
RATIO = 9
"""LONG is four times MIDDLE: a linear pattern takes four times as long, a quadratic one sixteen times."""
CAP = 1.0
"""Seconds of CPU after which a search is given up."""
LINE_END = "\n!"
"""The end of a text that a whole line must not match; for a search any other end does as well."""
EXAMPLES = 3
"""Of the characters that a class matches, so many are tried."""

FIXED = [
    "sk-", "sk_live_", "eyJ-", "eyJa.", "ghp_", "xoxb-", "AKIA", "a.", "a-", "a_", "-", "_", ".", "/", "//", "://", "/a",
    "'/", '"/', "`/", "~/", "~-", "\\", "\\a", "\\\\", '"\\', "'\\", "%2F", "%2Fa", "C:\\", "file:/", " ", "\t", "\n", "\r\n",
    " \n", "\0", "'", '"', "''", "'''", '"""', "`", "~", "0", "a", "A", "aA0", "é", "１", "😀", "\u200b", "password=",
    "password='", 'password="', "authorization: ", "authorization:", "bearer ", "basic ", "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----", "Traceback (most recent call last)", '    File "', '  File "x", line ', "environ({",
    " at 0x", "a@", "@", "#", "# ", "[", "]", "[a.", "{", "}", "(", ")", "<", ">", "&", "=", ":", ",", ";", "!", "?", "|",
    "\x1b[", "\x1b]", "\x1b[0 ", "```", "~~~", "def a", "type a", "except ", "> ", "%%codeact\n", "--a ", "--a=",
]  # fmt: skip
"""Repeated, each is a text for every pattern."""

COMPUTED: dict[tuple[str, str], tuple[str, Callable[[], Iterable[str]]]] = {}
"""Patterns that no literal in the call tells: why, and which ones are tried for them."""


def computed(file: str, expression: str, reason: str) -> Callable[[Callable[[], Iterable[str]]], None]:
    """Name the patterns that are tried for a call whose pattern is an expression."""

    def keep(patterns: Callable[[], Iterable[str]]) -> None:
        COMPUTED[file, expression] = (reason, patterns)

    return keep


@computed(
    "codeact_kernel/tools/redaction.py",
    "f'(?<![\\\\w.]){re.escape(folder)}(?![\\\\w-])'",
    "the home and the working folder are literals in it",
)
def of_the_known_places() -> Iterable[str]:
    return [
        rf"(?<![\w.]){re.escape(folder)}(?![\w-])" for folder in ("/root", "/home/me/my own project", "/a/a/a/a/a/a")
    ]


@computed(
    "codeact_kernel/tools/redaction.py",
    "f'(?<![\\\\w./~]){re.escape(path)}(?![\\\\w/\\\\\\\\-]|\\\\.\\\\w)'",
    "a path of the call is a literal in it",
)
def of_the_given_paths() -> Iterable[str]:
    return [rf"(?<![\w./~]){re.escape(path)}(?![\w/\\-]|\.\w)" for path in ("/srv/my x.csv", "/a/a /a/a /a")]


@computed(
    "codeact_kernel/capabilities/show/schema_check.py",
    "schema['pattern']",
    "it stands in the grammar of charts, which is ours",
)
def of_the_grammar() -> Iterable[str]:
    def inside(schema: Any) -> Iterator[str]:
        parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
        if isinstance(schema, dict) and isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for part in parts:
            yield from inside(part)

    return inside(json.loads((ROOT / "codeact_kernel" / "capabilities" / "show" / "vegalite.json").read_text()))


@computed("extension/codeact/completion.py", "pattern", "it runs through the table just above it")
def of_the_completion() -> Iterable[str]:
    tables = [node for node in ast.walk(tree("extension/codeact/completion.py")) if isinstance(node, ast.For)]
    rows = [row for table in tables for row in getattr(table.iter, "elts", ()) if isinstance(row, ast.Tuple)]
    return [str(row.elts[0].value) for row in rows if isinstance(row.elts[0], ast.Constant)]


@dataclass
class Found:
    """A pattern, and the methods that it is used with."""

    where: str
    pattern: re.Pattern[Any]
    methods: frozenset[str]


@cache
def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_re(name: str) -> bool:
    return any(
        isinstance(node, ast.Import) and "re" in {one.name for one in node.names} for node in ast.walk(tree(name))
    )


WITH_PATTERNS = [name for name in map(name_of, FILES) if imports_re(name)]


def calls(name: str) -> Iterator[tuple[ast.Call, bool]]:
    """The calls of `re.compile`, `re.search` and so on in a file, and whether each stands in a function."""

    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

    def inside(node: ast.AST, in_function: bool) -> Iterator[tuple[ast.Call, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call) and is_of_re(child.func):
                yield child, in_function
            yield from inside(child, in_function or isinstance(child, functions))

    return inside(tree(name), False)


def is_of_re(function: ast.expr) -> bool:
    """Whether it is `re.compile`, `re.search` or another function of `re` that takes a pattern."""
    return isinstance(function, ast.Attribute) and function.attr in MAKING and ast.unparse(function.value) == "re"


def literal(call: ast.Call) -> re.Pattern[Any] | None:
    """The pattern of a call that has it as a literal."""
    if not call.args or not isinstance(call.args[0], ast.Constant):
        return None
    flags = 0
    for part in [*call.args[1:], *(keyword.value for keyword in call.keywords if keyword.arg == "flags")]:
        names = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
        if names == {"re"}:
            flags |= eval(compile(ast.Expression(part), "flags", "eval"), {"re": re})
    return re.compile(call.args[0].value, flags)


@cache
def uses() -> dict[str, set[str]]:
    """By a variable's name, the methods of patterns that are called on it anywhere."""
    found: dict[str, set[str]] = {}
    for path in FILES:
        for node in ast.walk(tree(name_of(path))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MAKING:
                owner = node.func.value
                name = (
                    owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
                )
                found.setdefault(name, set()).add(node.func.attr)
    return found


def methods_of(name: str) -> frozenset[str]:
    return frozenset(uses().get(name, ())) or frozenset(MAKING)


def module_of(name: str) -> ModuleType:
    path = Path(name.removeprefix("extension/")).with_suffix("")
    return importlib.import_module(".".join(path.parts).removesuffix(".__init__"))


def objects(module: ModuleType) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """The patterns in a module's variables, in its classes and in what they hold, with the variable's name."""

    def inside(name: str, value: object, depth: int) -> Iterator[tuple[str, re.Pattern[Any]]]:
        if isinstance(value, re.Pattern):
            yield name, value
        elif depth and isinstance(value, dict):
            for part in [*value, *value.values()]:
                yield from inside(name, part, depth - 1)
        elif depth and isinstance(value, list | tuple | set | frozenset):
            for part in value:
                yield from inside(name, part, depth - 1)
        elif depth and isinstance(value, type) and value.__module__ == module.__name__:
            for key, part in vars(value).items():
                yield from inside(key, part, depth - 1)

    for name, value in list(vars(module).items()):
        yield from inside(name, value, 4)


@cache
def collected() -> list[Found]:
    """Every pattern of the package, the extension and the guest's own modules."""
    found: dict[tuple[Any, int], Found] = {}

    def add(where: str, pattern: re.Pattern[Any], methods: frozenset[str]) -> None:
        one = found.setdefault((pattern.pattern, pattern.flags), Found(where, pattern, frozenset()))
        one.methods |= methods

    for name in WITH_PATTERNS:
        if GUEST not in (ROOT / name).parents:
            for variable, pattern in objects(module_of(name)):
                add(f"{name}: {variable}", pattern, methods_of(variable))
        for call, _ in calls(name):
            assert isinstance(call.func, ast.Attribute)
            if (pattern := literal(call)) is not None and call.func.attr != "compile":
                add(f"{name}:{call.lineno}", pattern, frozenset({call.func.attr}))
            elif pattern is not None:
                add(f"{name}:{call.lineno}", pattern, methods_of(variable_of(name, call)))
            elif (key := (name, ast.unparse(call.args[0]))) in COMPUTED:
                for text in COMPUTED[key][1]():
                    add(f"{name}:{call.lineno}", re.compile(text), frozenset({call.func.attr}))
    return list(found.values())


def variable_of(name: str, call: ast.Call) -> str:
    """The variable that a call's result is assigned to; empty if there is none."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Assign) and node.value is call and isinstance(node.targets[0], ast.Name):
            return node.targets[0].id
    return ""


# From here on: hostile texts, made from a pattern.


@dataclass
class Parts:
    """What the parsed form of a pattern gives for texts.

    Attributes:
        atoms: examples of single characters, in the order in which the pattern has them.
        repeats: what leads to a repetition, what it repeats, and what the one before it repeated.
    """

    atoms: list[str] = field(default_factory=list[str])
    repeats: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])


OPCODES: Any = importlib.import_module("re._constants")
PARSER: Any = importlib.import_module("re._parser")
COMPILER: Any = importlib.import_module("re._compiler")
COMMON = "a0 A-_.\n\t/\\'\":é!%=~*@"


class Reader:
    """Reads the parsed form of one pattern."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self.is_text = isinstance(pattern.pattern, str)
        self.parsed = PARSER.parse(pattern.pattern, pattern.flags)
        self.parts = Parts()
        self.characters: dict[str, list[str]] = {}
        self.literals = "".join(dict.fromkeys(self._literals(self.parsed)))
        for variant in range(EXAMPLES):
            self._walk(self.parsed, "", variant)

    def _literals(self, sequence: Any) -> Iterator[str]:
        for code, value in sequence:
            if code in (OPCODES.LITERAL, OPCODES.NOT_LITERAL):
                yield chr(value)
            elif code is OPCODES.IN:
                yield from (chr(part) for kind, part in value if kind is OPCODES.LITERAL)
            for inner in self._inner(code, value):
                yield from self._literals(inner)

    @staticmethod
    def _inner(code: Any, value: Any) -> list[Any]:
        """The sequences inside a node."""
        if code is OPCODES.BRANCH:
            return list(value[1])
        if code in (OPCODES.MAX_REPEAT, OPCODES.MIN_REPEAT, OPCODES.POSSESSIVE_REPEAT):
            return [value[2]]
        if code is OPCODES.SUBPATTERN:
            return [value[3]]
        if code in (OPCODES.ASSERT, OPCODES.ASSERT_NOT):
            return [value[1]]
        return [value] if code is OPCODES.ATOMIC_GROUP else []

    def _one(self, code: Any, value: Any, variant: int) -> str:
        """A character that such a node matches: one of the pattern's own literals, or a common one."""
        source = f"{code} {value}"
        if source not in self.characters:
            node = COMPILER.compile(PARSER.SubPattern(self.parsed.state, [(code, value)]))
            own, common = (
                [one for one in letters if node.fullmatch(one if self.is_text else one.encode("latin-1"))]
                for letters in (self.literals, COMMON)
            )
            self.characters[source] = list(dict.fromkeys([*common[:1], *own, *common[1:]]))[:EXAMPLES] or [""]
        return self.characters[source][variant % len(self.characters[source])]

    def _example(self, sequence: Any, variant: int) -> str:
        """A short text that the sequence matches, where what looks around is left out."""
        text = ""
        for code, value in sequence:
            if code is OPCODES.LITERAL:
                text += chr(value)
            elif code in (OPCODES.IN, OPCODES.ANY, OPCODES.NOT_LITERAL, OPCODES.CATEGORY):
                text += self._one(code, value, variant)
            elif code is OPCODES.BRANCH:
                text += self._example(value[1][variant % len(value[1])], variant)
            elif code in (OPCODES.MAX_REPEAT, OPCODES.MIN_REPEAT, OPCODES.POSSESSIVE_REPEAT):
                text += self._example(value[2], variant) * min(max(value[0], variant % 2 if value[0] == 0 else 1), 50)
            elif code in (OPCODES.SUBPATTERN, OPCODES.ATOMIC_GROUP):
                text += self._example(self._inner(code, value)[0], variant)
        return text

    def _walk(self, sequence: Any, before: str, variant: int, last: str = "") -> None:
        for code, value in sequence:
            if code is OPCODES.LITERAL:
                self.parts.atoms.append(chr(value))
            elif code in (OPCODES.IN, OPCODES.ANY, OPCODES.NOT_LITERAL, OPCODES.CATEGORY):
                self.parts.atoms.append(self._one(code, value, variant))
            elif code in (OPCODES.MAX_REPEAT, OPCODES.MIN_REPEAT, OPCODES.POSSESSIVE_REPEAT) and value[1] > 1:
                body = self._example(value[2], variant)
                self.parts.repeats.append((before, body, last))
                last = body
            for inner in self._inner(code, value):
                self._walk(inner, before, variant, last)
            before = before[-40:] + self._example([(code, value)], variant)


def units(pattern: re.Pattern[Any]) -> list[tuple[str, str, str]]:
    """Texts of any length, as what they begin with, what is repeated, and what they end with."""
    parts = Reader(pattern).parts
    endings = ("", "\0", LINE_END)
    found = [("", unit, "") for unit in FIXED]
    pairs = zip(parts.atoms, parts.atoms[1:], strict=False)
    found += [("", unit, "\0") for unit in dict.fromkeys([*parts.atoms, *(one + other for one, other in pairs)])]
    for before, body, last in parts.repeats:
        found += [(before, body, ending) for ending in endings]
        found += [("", before + body, "\0"), ("", before + body * 30, "\0"), ("", before, "\0")]
        if last:
            found += [(before, last + body, "\0"), (before + last * 2_000, body, "\0")]
    return [one for one in dict.fromkeys(found) if one[1]]


def text_of(unit: tuple[str, str, str], length: int, pattern: re.Pattern[Any]) -> Any:
    before, body, after = unit
    text = before + body * (length // len(body)) + after
    return text if isinstance(pattern.pattern, str) else text.encode("utf-8", "surrogatepass")


# From here on: what the texts take.


class TooSlow(Exception):
    pass


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """End a search after so many seconds of this process's own time, where the system can."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def run(pattern: re.Pattern[Any], method: str, text: Any) -> float:
    """Seconds of CPU for one text."""
    start = time.thread_time()
    with at_most(CAP):
        if method == "search":
            for _ in pattern.finditer(text):
                pass
        else:
            getattr(pattern, method)(text)
    return time.thread_time() - start


def runs(methods: frozenset[str]) -> list[str]:
    """What has to be tried: every search through a whole text is one."""
    return [*(one for one in ANCHORED if one in methods), *(["search"] if methods & {*SEARCHING} else [])]


def harmless_seconds(pattern: re.Pattern[Any], method: str) -> float:
    """What ordinary texts of MIDDLE take. Below one and a half of that, RATIO cannot be exceeded."""
    seconds = [CAP]
    for unit in ("a", " ", "a ", "0", "é"):
        with suppress(TooSlow):
            seconds.append(run(pattern, method, text_of(("", unit, ""), MIDDLE, pattern)))
    return 1.5 * min(seconds)


def is_slow(pattern: re.Pattern[Any], method: str, unit: tuple[str, str, str], quick: float) -> str:
    """What a text shows: empty where the time grows with its length and no faster.

    Args:
        quick: seconds; what a text of MIDDLE takes is not looked at further below that.
    """
    try:
        if run(pattern, method, text_of(unit, SHORT, pattern)) < CAP:
            middle, long = (text_of(unit, length, pattern) for length in (MIDDLE, LONG))
            first = run(pattern, method, middle)
            if first < quick:
                return ""
            second = run(pattern, method, long)
            for _ in range(1 if second > 10 * JUDGED else 3):  # a busy machine may have slowed one of the two
                if second < JUDGED or second <= RATIO * first:
                    return ""
                first = max(first, run(pattern, method, middle))
                second = min(second, run(pattern, method, long))
            if second <= RATIO * first:
                return ""
            return f"{first * 1000:.1f} ms for {MIDDLE:,} characters and {second * 1000:.1f} ms for {LONG:,}"
    except TooSlow:
        pass
    return f"more than {CAP} s of CPU for {LONG:,} characters or less"


def slow_texts(pattern: re.Pattern[Any], methods: frozenset[str], most: int = 3) -> list[str]:
    """The texts that take longer than they may, in words."""
    found: list[str] = []
    for method in runs(methods):
        quick = max(QUICK, harmless_seconds(pattern, method))
        for unit in units(pattern):
            if method == "search" and unit[2] == LINE_END:
                continue
            if finding := is_slow(pattern, method, unit, quick):
                found.append(f"{method} in {unit[0][-60:]!r} + {unit[1][:60]!r} * n + {unit[2]!r}: {finding}")
                if len(found) == most:
                    return found
    return found


@pytest.mark.parametrize("name", ["codeact_kernel", "extension"])
def test_the_collection_sees_every_pattern(name: str) -> None:
    """A pattern is a literal in the call, a variable of a module, or has its place in COMPUTED."""
    unseen: list[str] = []
    for file in (one for one in map(name_of, FILES) if one.startswith(name)):
        called = {id(call.func) for call, _ in calls(file)}
        of_re = {id(node.value): node for node in ast.walk(tree(file)) if isinstance(node, ast.Attribute)}
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Import | ast.ImportFrom) and is_hidden_import(node):
                unseen.append(f"{file}:{node.lineno}: write `import re`, so that its patterns are seen")
            if isinstance(node, ast.Name) and node.id == "re":
                attribute = of_re.get(id(node))
                if attribute is None or (attribute.attr in MAKING and id(attribute) not in called):
                    unseen.append(f"{file}:{node.lineno}: call re.compile, re.search and so on directly")
        module = None if GUEST in (ROOT / file).parents or file not in WITH_PATTERNS else module_of(file)
        for call, in_function in calls(file):
            if literal(call) is not None or (file, ast.unparse(call.args[0])) in COMPUTED:
                continue
            if in_function or not isinstance(getattr(module, variable_of(file, call), None), re.Pattern):
                unseen.append(f"{file}:{call.lineno}: {ast.unparse(call)}: use a literal or a variable of the module")
    assert unseen == []


def is_hidden_import(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether it brings patterns in that the collection does not see."""
    if isinstance(node, ast.ImportFrom):
        return node.module in {"re", "fnmatch", "regex"}
    return any(one.name in {"fnmatch", "regex"} or (one.name == "re" and one.asname) for one in node.names)


def test_no_computed_pattern_is_listed_that_is_gone() -> None:
    there = {(file, ast.unparse(call.args[0])) for file in WITH_PATTERNS for call, _ in calls(file)}
    assert [*COMPUTED.keys() - there] == []
    assert all(reason and list(patterns()) for reason, patterns in COMPUTED.values())


@pytest.mark.full
def test_every_pattern_takes_time_that_grows_no_faster_than_the_text() -> None:
    slow = [f"{one.where}: {text}" for one in collected() for text in slow_texts(one.pattern, one.methods)]
    assert len(collected()) > 50
    assert slow == []


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        pytest.param(r"\bsk-(?=[\w-]*\d)[\w-]{16,}", "sub", marks=pytest.mark.full),  # this one and the next were ours
        pytest.param(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", "sub", marks=pytest.mark.full),
        pytest.param(r"( {0,3})(`{3,}|~{3,})([^`\n]*)\n?", "fullmatch", marks=pytest.mark.full),
        (r"a*b", "search"),
        pytest.param(r"\s+$", "sub", marks=pytest.mark.full),
        pytest.param(r"<[^>]*>", "sub", marks=pytest.mark.full),
        pytest.param(r"/\*.*?\*/", "findall", marks=pytest.mark.full),
        (r"password[^\n]*!", "search"),
        pytest.param(r"\s*\n+\s*;", "match", marks=pytest.mark.full),
        pytest.param(r"(?:\w+\s?)*$", "fullmatch", marks=pytest.mark.full),
        pytest.param(r"(?:a|aa)*b", "match", marks=pytest.mark.full),
        pytest.param(rb"\d+x", "search", marks=pytest.mark.full),
    ],
)  # fmt: skip
def test_a_pattern_that_is_slow_is_found(pattern: str | bytes, method: str) -> None:
    assert slow_texts(re.compile(pattern), frozenset({method}), most=1)


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r"(?<![\w-])sk-[\w-]{16,}+", "sub"),
        (r"a*+b", "match"),
        (r"\s+", "sub"),
        (r"(?<!\w)\w*$", "search"),
        (r"<[^<>]*>", "sub"),
        (r"\bexcept\b[^:\n(]{0,200},", "search"),
        (r"a|b|c|d[ef]+", "search"),
    ],
)  # fmt: skip
def test_a_pattern_that_is_not_slow_is_not_accused(pattern: str, method: str) -> None:
    assert slow_texts(re.compile(pattern), frozenset({method})) == []
