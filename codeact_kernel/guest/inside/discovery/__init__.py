"""Give programs `find_tools(...)`, which returns the stubs of tools that fit a text."""

from collections.abc import Callable, Mapping
from typing import Any

from ..tool_calls import call_host

_texts: list[str] = []


def find_tools(query: str) -> str:
    """Return the signatures and descriptions of the tools that fit the words best, as text."""
    _texts.append(call_host("discovery", "find", query=query))
    return _texts[-1]


def start_run(config: Mapping[str, Any], namespace: dict[str, Any]) -> Callable[[Any, bool], None]:
    """Add the function to the program's namespace."""
    _texts.clear()
    namespace["find_tools"] = find_tools
    observe = namespace["observe"]

    def end_run(value: Any, has_observed: bool) -> None:
        # The stubs are for the model, and never the answer to a prompt.
        if not has_observed and type(value) is str and value in _texts:
            observe(value)

    return end_run
