"""The capability `discovery`: the stubs of tools that fit a text, for programs whose prompt does not have all stubs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...capability import DISCOVERY
from ...errors import ProgramError
from ...text import quote
from ...tools import ToolIndex, ToolSpec, join_stubs, take_fitting
from ...types import JSONObject, JSONValue
from ..base import Handler

__all__ = ["Discovery"]

_MAX_TOOLS = 8
_MAX_CHARACTERS = 6_000
"""Characters of the stubs of one answer; `observe` shows a few more."""


class Discovery:
    """The tools that the programs of one turn can find.

    Args:
        specs: returns the tools on offer, by name. A tool can come or go during the turn.
    """

    declaration = DISCOVERY
    name = DISCOVERY.name
    names = frozenset(DISCOVERY.guest_names)
    instructions = ""  # the list of the tools without stubs explains `find_tools`
    guest_config: JSONObject = {}  # noqa: RUF012  # the protocol of capabilities has it as a property

    def __init__(self, specs: Callable[[], Mapping[str, ToolSpec]]) -> None:
        self.handlers: Mapping[str, Handler] = {"find": self._find}
        self._specs = specs

    def start_run(self) -> None:
        """Keep nothing: each search reads the tools as they are then."""

    async def _find(self, arguments: JSONObject) -> JSONValue:
        query = arguments.get("query")
        if not isinstance(query, str):
            raise ProgramError('find_tools takes words as one text: find_tools("refund an order")')
        specs = [spec for spec in self._specs().values() if not spec.direct]
        fitting = take_fitting(ToolIndex(specs).rank(query)[:_MAX_TOOLS], _MAX_CHARACTERS)
        return join_stubs(fitting) or f"No tool has any of the words {quote(query)}: try other words."
