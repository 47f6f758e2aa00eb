"""Describe what a program depends on, and say in sentences what has changed since it was recorded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from ..capabilities.data import Input
from ..capabilities.data.tables import InputTable
from ..preflight import reads_earlier_names
from ..settings import Settings
from ..text import collapse_whitespace, format_list
from ..tools import Registry
from ..tools.shapes import shape_of_value
from .shape import describe_structure
from .thread import FollowUp

__all__ = ["Dependencies", "PromptKey", "ToolContract", "describe_dependencies", "list_changes"]

_MAX_TEXT = 2_000
_LIBRARIES = frozenset({"matplotlib", "numpy", "pandas", "scipy", "seaborn", "sklearn", "statsmodels"})
"""What only the science guest has."""
_RESULT = re.compile(r"\bresults\s*\[\s*(\d{1,9})\s*\]")
_RESULTS = re.compile(r"\bresults\b(?!\s*\[\s*\d{1,9}\s*\])")
"""Reads results whose numbers the text does not show."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptKey:
    """The identity of a prompt: a prompt with the same key has the same lock file.

    Attributes:
        ask: the prompt, with its white space collapsed.
        follows: the prompt before it in its thread; empty if it is the first.
        inputs, outputs: the names that the user gave.
    """

    ask: str
    follows: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @classmethod
    def create(cls, ask: str, follow_up: FollowUp, inputs: Sequence[Input], outputs: Sequence[str]) -> PromptKey:
        """Make the key of a prompt.

        Args:
            inputs: the variables that the user gave, without those of earlier prompts.
        """
        return cls(
            ask=collapse_whitespace(ask),
            follows=collapse_whitespace(follow_up.asks[-1]) if follow_up.asks else "",
            inputs=tuple(sorted(variable.name for variable in inputs)),
            outputs=tuple(sorted(outputs)),
        )

    @property
    def digest(self) -> str:
        """Eight characters that differ for different keys."""
        parts = [self.ask, self.follows, *self.inputs, "", *self.outputs]
        return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:8]


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolContract:
    """What the model was told about a tool, without what earlier results have shown.

    Attributes:
        parameters: the text of each parameter, by its name.
    """

    parameters: Mapping[str, str]
    returns: str
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependencies:
    """What the programs of a prompt depend on.

    Attributes:
        tools: the tools that they name.
        inputs: the schemas of the notebook's variables that they name.
        results: the shapes of the earlier results that they read: `"previous"`, or the number of a prompt.
        sources: the prompts that gave these results.
        before: a digest of the program before, which the model saw; empty if there was none.
        mounts: the folders and files that programs see, with their modes.
        domains: the hosts that programs may send requests to.
        guest: the kind of guest, if the programs use something that differs between guests; else empty.
    """

    tools: Mapping[str, ToolContract] = field(default_factory=dict[str, ToolContract])
    inputs: Mapping[str, str] = field(default_factory=dict[str, str])
    results: Mapping[str, str] = field(default_factory=dict[str, str])
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    before: str = ""
    mounts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    guest: str = ""


def describe_dependencies(
    programs: Sequence[str],
    called: Collection[str],
    tools: Registry,
    inputs: Sequence[Input],
    settings: Settings,
    follow_up: FollowUp,
) -> Dependencies:
    """Describe what these programs depend on, of what a prompt has now.

    Args:
        called: the tools that they called; a program can call a tool without naming it.
    """
    text = "\n".join(programs)
    words = {*re.findall(r"\w+", text), *called}
    if not programs:  # the model answered in words, and may have used anything that it saw
        words.update([*tools, *(variable.name for variable in inputs)])
    earlier = follow_up.results
    read = {str(number): number for number in _find_numbers(text, earlier) if number in earlier}
    if follow_up.previous is not None and _reads(text, "previous"):
        read["previous"] = follow_up.previous
    results = {name: _bounded(describe_structure(earlier[number], text)) for name, number in read.items()}
    has_network = "http" in text or "http_request" in called
    has_tables = any(tools.specs()[name].frame_stub for name in tools if name in words)
    has_tables = (
        has_tables or bool(read) or any(variable.source is not None for variable in inputs if variable.name in words)
    )
    return Dependencies(
        tools={name: _describe_tool(tools, name) for name in sorted(tools) if name in words},
        inputs={variable.name: _describe_input(variable) for variable in inputs if variable.name in words},
        results=dict(sorted(results.items())),
        sources={name: _bounded(follow_up.sources[number]) for name, number in sorted(read.items())},
        before=hashlib.sha256(follow_up.last_program.encode(errors="replace")).hexdigest()[:8]
        if follow_up.last_program
        else "",
        mounts=tuple(sorted(_describe_mounts(settings))) if "input" in words else (),
        domains=tuple(sorted(map(str, settings.allowed_domains))) if has_network else (),
        guest=settings.guest if has_tables or not _LIBRARIES.isdisjoint(words) else "",
    )


def list_changes(old: Dependencies, new: Dependencies) -> list[str]:
    """Say what has changed, in sentences without a full stop. The list is empty if an old program still fits.

    Args:
        new: what the same programs depend on now.
    """
    results = _without_empty(old.results, new.results)
    return [
        *chain.from_iterable(_compare_tools(name, tool, new.tools.get(name)) for name, tool in old.tools.items()),
        *_compare_texts(old.inputs, new.inputs, "the variable {}", "has another schema"),
        *(
            f"the earlier result {name} is that of another prompt"
            for name, source in old.sources.items()
            if new.sources.get(name, source) != source
        ),
        *(["the program before has changed"] if old.before and new.before and old.before != new.before else []),
        *_compare_texts(results, new.results, "the earlier result {}", "has another shape"),
        *_compare_sets(old.mounts, new.mounts, "mounted"),
        *_compare_sets(old.domains, new.domains, "allowed"),
        *([f"it was recorded for the {old.guest} guest"] if old.guest and new.guest and old.guest != new.guest else []),
    ]


def _without_empty(old: Mapping[str, str], new: Mapping[str, str]) -> Mapping[str, str]:
    """Leave out the results that were or are an empty list, whose rows have no keys that could differ."""

    def is_empty(name: str, text: str) -> bool:
        other = new.get(name, "")
        return text.startswith("list") and other.startswith("list") and "list" in (text, other)

    return {name: text for name, text in old.items() if not is_empty(name, text)}


def _find_numbers(text: str, results: Collection[int]) -> Sequence[int]:
    """Return the numbers of the earlier results that a program reads: all of them, if its text does not show which."""
    if not _reads(text, "results"):
        return []
    return list(results) if _RESULTS.search(text) else [int(number) for number in _RESULT.findall(text)]


def _reads(text: str, name: str) -> bool:
    """Return whether a program reads this name without having bound it itself."""
    return name in text and reads_earlier_names(text, [f"{name} = 0"])


def _describe_tool(tools: Registry, name: str) -> ToolContract:
    signature = tools.signature(name)
    return ToolContract(
        parameters={parameter.name: _bounded(parameter.full_text) for parameter in signature.parameters},
        returns=_bounded(str(signature.returns)),
        description=_bounded("\n".join([signature.description, *signature.notes])),
    )


def _describe_input(variable: Input) -> str:
    value = variable.value
    if isinstance(value, InputTable):
        return _bounded(f"table of {', '.join(f'{column.name}: {column.kind}' for column in value.columns)}")
    if isinstance(value, list | dict):  # keys can be data, which a lock must not hold
        return f"{type(value).__name__} of the shape {_digest(str(shape_of_value(value)))}"
    if isinstance(value, None | bool | int | float | str):
        return type(value).__name__
    return f"column of {value.kind}"


def _bounded(text: str) -> str:
    """Cut a long text, so that it still differs from every other."""
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}… {_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def _describe_mounts(settings: Settings) -> Iterator[str]:
    yield from (f"{mount.mount_path}:{mount.mode}" for mount in settings.file_mounts)
    if settings.workspace_root is not None:
        yield "/input:ro"


def _compare_tools(name: str, old: ToolContract, new: ToolContract | None) -> Iterator[str]:
    if new is None:
        yield f"{name} is not offered"
        return
    for parameter, text in new.parameters.items():
        if parameter not in old.parameters:
            yield f"{name} has a new parameter `{text}`"
        elif old.parameters[parameter] != text:
            yield f"the parameter `{old.parameters[parameter]}` of {name} is now `{text}`"
    for parameter in old.parameters:
        if parameter not in new.parameters:
            yield f"{name} no longer has the parameter `{parameter}`"
    if old.returns != new.returns:
        yield f"{name} returns `{new.returns or 'anything'}` instead of `{old.returns or 'anything'}`"
    if old.description != new.description:
        yield f"the description of {name} has changed"


def _compare_texts(old: Mapping[str, str], new: Mapping[str, str], what: str, how: str) -> Iterator[str]:
    for name, text in old.items():
        if name not in new:
            yield f"{what.format(name)} is missing"
        elif new[name] != text:
            yield f"{what.format(name)} {how}"


def _compare_sets(old: Sequence[str], new: Sequence[str], what: str) -> Iterator[str]:
    if missing := [item for item in old if item not in new]:
        yield f"{format_list(missing, 3)} {'is' if len(missing) == 1 else 'are'} not {what}"
    if added := [item for item in new if item not in old]:
        yield f"{format_list(added, 3)} {'is' if len(added) == 1 else 'are'} newly {what}"
