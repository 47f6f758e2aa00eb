"""Describe calls in a few words, for users who decide about them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..preflight import Site
from ..types import ToolCall

__all__ = ["describe_call", "describe_upcoming"]

_MAX_CHARACTERS = 100


def describe_call(call: ToolCall) -> str:
    """Return the call as code, shortened, with its line."""
    arguments = ", ".join(f"{name}={json.dumps(value)}" for name, value in call.arguments.items())
    text = f"{call.title}({arguments})"
    line = f" in line {call.line}" if call.line else ""
    return (text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…") + line


def describe_upcoming(call: ToolCall, sites: Sequence[Site]) -> str:
    """Say how many more calls the program will need approval for, as far as its text shows.

    Args:
        sites: the places of the program that name a tool whose calls need approval.
    """
    later = [site for site in sites if site.line > (call.line or 0)]
    if not later and not any(site.repeated for site in sites):
        return ""
    places = f"{len(later)} more place{'' if len(later) == 1 else 's'} below will ask" if later else ""
    is_in_loop = any(site.repeated and (site.name, site.line) == (call.name, call.line) for site in sites)
    loop = "this line may ask again" if is_in_loop else ""
    return " and ".join(part for part in (loop, places) if part) or "others may ask again"
