"""Join the stubs of tools, and write notes that several of them share only once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from .notes import make_printable
from .spec import ToolSpec

__all__ = ["join_stubs", "take_fitting"]

INDENT = "    "
PARAMETERS = "Parameters of several tools:"
HEADER = re.compile(r"\w[\w ]{0,30}:?")


@dataclass(frozen=True, slots=True)
class _Note:
    """Lines of a stub that belong together.

    Attributes:
        header: The heading above the note, if there is one.
        places: The parameters, or fields inside them, that the note is about, if any.
    """

    lines: tuple[str, ...]
    header: str = ""
    places: tuple[str, ...] = ()
    is_movable: bool = True

    @property
    def text(self) -> tuple[str, ...]:
        """The lines, indented as if they stood alone."""
        indent = _indent(self.lines[0])
        return tuple(INDENT + line[indent:] for line in self.lines)


def join_stubs(specs: Iterable[ToolSpec]) -> str:
    """Join the stubs of tools, followed by the notes that several of them would repeat."""
    offered = list(specs)
    notes = [list(_notes_of(spec)) for spec in offered]
    moved = set[tuple[str, ...]]()
    below: list[str] = []
    if texts := _shared_on_parameters(offered, notes):
        moved |= texts.keys()
        below += [PARAMETERS, *(line for text in texts for line in text)]
    for names, texts in _shared_paragraphs(offered, notes).items():
        moved |= set(texts)
        below += ["All tools:" if len(names) == len(offered) else f"{', '.join(names)}:"]
        below += [line for text in texts for line in text]
    stubs = [_without(spec, own, moved) if moved else spec.stub for spec, own in zip(offered, notes, strict=True)]
    return "\n".join([*stubs, *below])


def take_fitting(specs: Iterable[ToolSpec], max_characters: int) -> list[ToolSpec]:
    """Return the tools whose stubs fit into a text of this length, the first ones first."""
    fitting: list[ToolSpec] = []
    for spec in specs:
        if (size := len(spec.stub) + 1) <= max_characters:
            fitting.append(spec)
            max_characters -= size
    return fitting


def _shared_on_parameters(specs: Sequence[ToolSpec], notes: Sequence[Sequence[_Note]]) -> dict[tuple[str, ...], int]:
    """Return the notes that can be written once for all tools with a parameter of that name, and how often each occurs.

    Each of these tools must have a note on the parameter. Otherwise a note would also apply to a tool without one.
    """
    documented = [{place for note in own for place in note.places} for own in notes]
    counts = Counter(text for own in notes for text in {note.text: None for note in own if note.places})
    most_common: dict[str, tuple[str, ...]] = {}
    places = {note.text: note.places for own in notes for note in own if note.places}
    for text, _ in counts.most_common():
        for place in places[text]:
            most_common.setdefault(place, text)

    def is_for_all(place: str) -> bool:
        return all(place in own for spec, own in zip(specs, documented, strict=True) if _root(place) in spec.parameters)

    shared = {
        text: counts[text]
        for text, about in places.items()
        if counts[text] > 1 and all(most_common[place] == text and is_for_all(place) for place in about)
    }
    saved = sum((count - 1) * _size(text) for text, count in shared.items())
    return shared if saved > len(PARAMETERS) else {}


def _shared_paragraphs(
    specs: Sequence[ToolSpec], notes: Sequence[Sequence[_Note]]
) -> dict[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the other notes that several tools share, by the names of these tools."""
    owners: dict[tuple[str, ...], dict[str, None]] = {}
    for spec, own in zip(specs, notes, strict=True):
        for note in own:
            if note.is_movable and not note.places:
                owners.setdefault(note.text, {})[spec.name] = None
    groups: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for text, names in owners.items():
        if len(names) > 1:
            groups.setdefault(tuple(names), []).append(text)
    return {
        names: texts
        for names, texts in groups.items()
        if (len(names) - 1) * sum(map(_size, texts)) > sum(len(name) + 2 for name in names)
    }


def _without(spec: ToolSpec, notes: Iterable[_Note], moved: Set[tuple[str, ...]]) -> str:
    lines = [spec.stub.partition("\n")[0]]
    header = ""
    for note in notes:
        if note.is_movable and note.text in moved:
            continue
        if note.header not in ("", header):
            lines.append(note.header)
        header = note.header
        lines += note.lines
    return "\n".join(lines)


def _notes_of(spec: ToolSpec) -> Iterator[_Note]:
    lines = spec.stub.split("\n")[1:]
    paragraphs = _paragraphs_of(spec.description)
    if [line for paragraph in paragraphs for line in paragraph] != lines[: sum(map(len, paragraphs))]:
        paragraphs = [list[str]()]
    if paragraphs[0]:  # it continues the first line of the stub
        yield _Note(tuple(paragraphs[0]), is_movable=False)
    for paragraph in paragraphs[1:]:
        yield from _notes_in(paragraph, spec.parameters)
    for line in lines[sum(map(len, paragraphs)) :]:
        yield _note([line], spec.parameters)


def _paragraphs_of(description: str) -> list[list[str]]:
    """Return the lines of a docstring as they are in a stub, without the first, which follows the signature."""
    paragraphs = [list[str]()]
    is_first = True
    for line in make_printable(description).splitlines():
        if not line.strip():
            paragraphs.append([])
        elif is_first:
            is_first, paragraphs = False, [list[str]()]
        else:
            paragraphs[-1].append(INDENT + line.rstrip())
    return [paragraphs[0], *filter(None, paragraphs[1:])]


def _notes_in(paragraph: Sequence[str], parameters: Sequence[str]) -> Iterator[_Note]:
    plain: list[str] = []
    for head, *inner in _blocks_of(paragraph):
        below = [_note(block, parameters, head) for block in _blocks_of(inner)]
        alone = _note([head, *inner], parameters)
        if not inner and not alone.places:
            plain.append(head)
            continue
        if plain:
            yield _Note(tuple(plain))
            plain = []
        if HEADER.fullmatch(head.strip()) and any(note.places for note in below):
            yield from below
        else:
            yield alone
    if plain:
        yield _Note(tuple(plain))


def _blocks_of(lines: Sequence[str]) -> Iterator[list[str]]:
    """Split lines before each line with the smallest indentation."""
    least = min(map(_indent, lines), default=0)
    block: list[str] = []
    for line in lines:
        if block and _indent(line) == least:
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _note(lines: Sequence[str], parameters: Sequence[str], header: str = "") -> _Note:
    return _Note(tuple(lines), header, _places_of(lines[0].strip(), parameters))


def _places_of(line: str, parameters: Sequence[str]) -> tuple[str, ...]:
    """Read the beginning of a note on parameters, in the form of our notes and of most docstring styles."""
    head, colon, _ = line.removeprefix(":param ").partition(":")
    if line.startswith(":param "):
        head = head.rpartition(" ")[2]  # a type may precede the name
    places = tuple(place.strip() for place in head.partition(" (")[0].split(", "))
    return places if colon and all(_root(place) in parameters for place in places) else ()


def _root(place: str) -> str:
    return place.partition(".")[0]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _size(text: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in text)
