"""What can be chosen, as IPython has it: traits of the magics, options of a cell. Made from the engine's one table."""

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

from codeact_kernel.configuration import OPTIONS, Layer, Option, parse_layer, require_known, truncate_for_error
from codeact_kernel.errors import UserError

__all__ = ["ConfigTraits", "cell_layer", "cell_options", "configured", "flags_of", "parsed"]


class OptionTrait(traitlets.TraitType[Any, Any]):
    """One option as a trait: `c.CodeAct.…` and `%config CodeAct.…`."""

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
        obj.said[name] = getattr(obj, name)
        if value is None:  # chosen no longer
            del obj.said[name]


ConfigTraits: Any = type(Magics)("Magics", (Magics,), {name: OptionTrait(option) for name, option in OPTIONS.items()})


def cell_options(function: Any) -> Any:
    """Give a magic an argument for all that a cell can choose."""

    def about(option: Option) -> str:
        default = "" if option.default in (None, False, frozenset(), ()) else f"; default {option.default}"
        return f"{option.help} ({option.kind}{default})".replace("%", "%%")

    decorators = [
        argument(option.flag, dest=option.name, action="store_true", default=None, help=option.help.replace("%", "%%"))
        if option.default is False
        else argument(option.flag, dest=option.name, action="append", help=about(option) + "; may be repeated")
        if option.adds
        else argument(option.flag, dest=option.name, help=about(option))
        for option in OPTIONS.values()
        if option.in_cell
    ]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def flags_of(parser: ArgumentParser, *, switches: bool = False) -> Sequence[str]:
    """The options that start with two dashes; with `switches` those that take no value."""
    flags = [flag for action in parser._actions for flag in action.option_strings if not switches or action.nargs == 0]
    return [flag for flag in flags if flag.startswith("--")]


def parsed(parser: ArgumentParser, line: str) -> Namespace:
    """The options in a cell's first line.

    Raises:
        UsageError: one that there is not, with the nearest; one without its value; or words that are none.
    """
    words = shlex.shlex(line, posix=True)  # quotation marks group, and are no part of the value
    words.whitespace_split, words.commenters = True, ""
    words.escape = ""  # a path may have backslashes
    try:
        argv = _join_lists(list(words))
    except ValueError:
        raise UsageError("A quotation mark in the options has no other one: add that, or remove this one.") from None
    try:
        options, left = parser.parse_known_args(argv)
        if left and not left[0].startswith("--"):
            raise UsageError(
                f"The first line has {truncate_for_error(left[0])!r} among the options, where it is none of them: "
                "options come first, and the prompt after them. Put the name of an option that belongs to the prompt "
                "in quotes."
            )
        return parser.parse_args(argv) if left else options
    except UsageError:
        flags = flags_of(parser)
        for word in argv:
            flag = word.partition("=")[0]
            if flag.startswith("--") and not any(one.startswith(flag) for one in flags):
                try:
                    require_known(flag, flags, "The option")
                except UserError as error:
                    raise UsageError(str(error)) from None
        raise


def _join_lists(words: Sequence[str]) -> list[str]:
    """The words of the options with every list as one word: a list goes on after a comma, also after a blank."""
    argv: list[str] = []
    for word in words:
        if argv and not word.startswith("--") and (argv[-1].endswith(",") or word.startswith(",")):
            argv[-1] += word
        else:
            argv.append(word)
    return argv


def cell_layer(options: Namespace) -> Layer:
    """What the cell chooses.

    Raises:
        UserError: a value that is not of its kind.
    """
    given = {
        name: value
        for name, option in OPTIONS.items()
        if option.in_cell and (value := getattr(options, name)) is not None
    }
    return parse_layer("the cell", given, {name: option.flag for name, option in OPTIONS.items()})


def configured(section: Mapping[str, Any]) -> tuple[dict[str, Any], UserError | None]:
    """What `c.CodeAct` says and is right, and the first that is wrong: the magics must be there to tell it."""
    right: dict[str, Any] = {}
    mistake: UserError | None = None
    for name, value in section.items():
        try:
            option = OPTIONS[require_known(name, OPTIONS, "In your configuration, c.CodeAct:")]
            if isinstance(value, LazyConfigValue):  # what `c.CodeAct.allow.append(…)` or `.add(…)` makes
                value = value.get_value([]) or value.get_value(set())
            if value is not None:
                right[name] = option.value(value, f"c.CodeAct.{name}")
        except UserError as error:
            mistake = mistake or error
    return right, mistake
