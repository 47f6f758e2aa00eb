"""Find the tools that fit a text best, ranked by BM25.

BM25 counts the words that a text and a tool have in common. A word that few tools have counts more, and a word of a
long description counts less, so that a tool does not come first because its description has every word.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import log
from statistics import median

from .spec import ToolSpec

__all__ = ["ToolIndex"]

MAX_WORDS_COUNTED = 400
"""Words of one tool; the name, the parameters and the description come first."""
MAX_WORDS_ASKED = 200
"""Different words of a query."""
MAX_CHARACTERS_READ = 20_000
"""Characters of a query, and of one tool."""
SATURATION, LENGTH_WEIGHT = 1.2, 0.75
"""The usual values of `k1` and `b`: how much a repeated word counts, and how much a long description costs."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")


@dataclass(slots=True)
class ToolIndex:
    """The words of some tools."""

    specs: Sequence[ToolSpec]
    _holders: dict[str, list[tuple[int, int]]] = field(init=False)
    """The tools that have a word: their places, and how often they have it."""
    _lengths: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._holders, self._lengths = {}, []
        for place, spec in enumerate(self.specs):
            counts = Counter(islice(_words_of(spec), MAX_WORDS_COUNTED))
            self._lengths.append(counts.total())
            for word, count in counts.items():
                self._holders.setdefault(word, []).append((place, count))

    def rank(self, query: str) -> list[ToolSpec]:
        """Return the tools that have a word of the query, the best first. Equal ones keep their order."""
        # Unlike the mean, the median does not follow a few endless descriptions.
        usual_length = max(1, median(self._lengths or [1]))
        scores = defaultdict[int, float](float)
        for word in islice(dict.fromkeys(_split(query)), MAX_WORDS_ASKED):
            holders = self._holders.get(word, ())
            rarity = log(1 + (len(self.specs) - len(holders) + 0.5) / (len(holders) + 0.5))
            for place, count in holders:
                length = 1 - LENGTH_WEIGHT + LENGTH_WEIGHT * self._lengths[place] / usual_length
                scores[place] += rarity * count * (SATURATION + 1) / (count + SATURATION * length)
        return [self.specs[place] for place in sorted(scores, key=lambda place: (-scores[place], place))]


def _words_of(spec: ToolSpec) -> Iterator[str]:
    """Return the words of the names, and those of the stub: the parameters, the description and the notes."""
    for text in (spec.name, spec.own_name, spec.stub):
        yield from _split(text)


def _split(text: str) -> Iterable[str]:
    """Split a text into words, also at underscores and humps, without the `s` of a plural."""
    text = _HUMP.sub(" ", text[:MAX_CHARACTERS_READ])
    return (word.removesuffix("s") if len(word) > 3 else word for word in _WORD.findall(text.lower()))
