"""The engine's table of options, as IPython needs it: traits of the magics, and arguments of the cell magic."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# IPython has next to no types.

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets
from IPython.core.error import UsageError
from IPython.core.magic import Magics
from IPython.core.magic_arguments import argument
from traitlets.config.loader import LazyConfigValue

from codeact_kernel.configuration import (
    OPTIONS,
    Layer,
    Option,
    argument_of,
    parse_layer,
    require_known,
    truncate_for_error,
)
from codeact_kernel.errors import UserError

__all__ = ["ConfigTraits", "add_cell_options", "list_flags", "make_cell_layer", "parse_options", "read_configuration"]


class OptionTrait(traitlets.TraitType[Any, Any]):
    """One option as a trait, for `c.CodeAct.…` and `%config CodeAct.…`."""

    def __init__(self, option: Option) -> None:
        super().__init__(option.default, help=f"{option.help}: {option.kind}.", config=True)
        self._option = option
        self.info_text = option.kind

    def validate(self, obj: Any, value: Any) -> Any:
        if value is self.default_value:
            return value
        try:
            return self._option.value(value, f"CodeAct.{self._option.name}")
        except UserError as error:
            raise traitlets.TraitError(str(error)) from None

    def set(self, obj: Any, value: Any) -> None:
        name = self._option.name
        super().set(obj, self.default_value if value is None else value)
        obj.notebook_values[name] = getattr(obj, name)
        if value is None:  # unset by the user
            del obj.notebook_values[name]


ConfigTraits: Any = type(Magics)("Magics", (Magics,), {name: OptionTrait(option) for name, option in OPTIONS.items()})


def add_cell_options(function: Any) -> Any:
    """Give a magic one argument for each option that a cell can choose."""
    decorators = [argument(option.flag, **argument_of(option)) for option in OPTIONS.values() if option.in_cell]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def list_flags(parser: ArgumentParser, *, switches: bool = False) -> Sequence[str]:
    """Return the options that start with two dashes; with `switches`, only those that take no value."""
    flags = [flag for action in parser._actions for flag in action.option_strings if not switches or action.nargs == 0]
    return [flag for flag in flags if flag.startswith("--")]


def parse_options(parser: ArgumentParser, line: str) -> Namespace:
    """Parse the options in a cell's first line.

    Raises:
        UsageError: if an option is unknown (the error names the nearest one) or lacks its value, or if the line has
            words that are not options.
    """
    words = shlex.shlex(line, posix=True)  # quotation marks group words, and are not part of the value
    words.whitespace_split, words.commenters = True, ""
    words.escape = ""  # Windows paths have backslashes
    try:
        argv = _join_lists(list(words))
    except ValueError:
        raise UsageError("Unclosed quotation mark in the options: close it, or remove it.") from None
    try:
        options, left = parser.parse_known_args(argv)
        if left and not left[0].startswith("--"):
            raise UsageError(
                f"The first line has {truncate_for_error(left[0])!r} among the options, but it is not an option: "
                "options come first, and the prompt after them. If the name of an option belongs to the prompt, put "
                "it in quotes."
            )
        return parser.parse_args(argv) if left else options
    except UsageError:
        flags = list_flags(parser)
        for word in argv:
            flag = word.partition("=")[0]
            if flag.startswith("--") and not any(known.startswith(flag) for known in flags):
                try:
                    require_known(flag, flags, "The option")
                except UserError as error:
                    raise UsageError(str(error)) from None
        raise


def _join_lists(words: Sequence[str]) -> list[str]:
    """Make each list one word: a comma continues a list, with or without spaces around it."""
    argv: list[str] = []
    for word in words:
        if argv and not word.startswith("--") and (argv[-1].endswith(",") or word.startswith(",")):
            argv[-1] += word
        else:
            argv.append(word)
    return argv


def make_cell_layer(options: Namespace) -> Layer:
    """Collect the options that the cell sets.

    Raises:
        UserError: if an option has an invalid value.
    """
    values = {
        name: value
        for name, option in OPTIONS.items()
        if option.in_cell and (value := getattr(options, name)) is not None
    }
    return parse_layer("the cell", values, {name: option.flag for name, option in OPTIONS.items()})


def read_configuration(section: Mapping[str, Any]) -> tuple[dict[str, Any], UserError | None]:
    """Split `c.CodeAct` into its valid options and the first error.

    The error is returned, because the magics have to be registered before a cell can report it.
    """
    valid: dict[str, Any] = {}
    first_error: UserError | None = None
    for name, value in section.items():
        try:
            option = OPTIONS[require_known(name, OPTIONS, "In your configuration, c.CodeAct:")]
            if isinstance(value, LazyConfigValue):  # from `c.CodeAct.allow.append(…)` or `.add(…)`
                value = value.get_value([]) or value.get_value(set())
            if value is not None:
                valid[name] = option.value(value, f"c.CodeAct.{name}")
        except UserError as error:
            first_error = first_error or error
    return valid, first_error
