"""Options as arguments of a command line: those of `codeact-kernel mcp`, and those of a cell, which IPython parses."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from .layers import Layer, parse_layer
from .options import OPTIONS, Option

__all__ = ["add_program_options", "argument_of", "parse_program_options"]

_PROGRAM_OPTIONS = (
    "allow",
    "allowed_domains",
    "file_mounts",
    "workspace_root",
    "timeout",
    "memory",
    "limits",
    "backend",
    "guest",
    "approval_timeout",
)
"""The options about programs, without those about the model and the cell."""


def argument_of(option: Option) -> dict[str, Any]:
    """Return the keywords with which argparse adds the argument of an option."""
    text = option.help.replace("%", "%%")
    if option.default is False:
        return {"dest": option.name, "action": "store_true", "default": None, "help": text}
    default = "" if option.default in (None, frozenset(), ()) else f"; default {option.default}"
    text = f"{option.help} ({option.kind}{default})".replace("%", "%%")
    if option.adds:
        return {"dest": option.name, "action": "append", "help": f"{text}; can be repeated"}
    return {"dest": option.name, "help": text}


def add_program_options(parser: ArgumentParser) -> None:
    """Add the options for a command that runs programs without a model."""
    for name in _PROGRAM_OPTIONS:
        parser.add_argument(OPTIONS[name].flag, **argument_of(OPTIONS[name]))


def parse_program_options(arguments: Namespace) -> Layer:
    """Return the options that the command line sets.

    Raises:
        UserError: if an option has an invalid value.
    """
    values = {name: value for name in _PROGRAM_OPTIONS if (value := getattr(arguments, name)) is not None}
    return parse_layer("the command line", values, {name: OPTIONS[name].flag for name in values})
