"""Where a choice comes from, and which one holds: the last layer that names an option decides."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..limits import Limits
from ..settings import Settings
from .limit_options import ELSEWHERE, apply_limits
from .messages import format_value, require_known
from .options import NOT_OPTIONS, OPTIONS, PREFIX

__all__ = ["PLACES", "Layer", "Resolved", "environment", "from_environment", "parse_layer", "resolve"]

PLACES = (
    ("the defaults", "what this page lists"),
    ("your configuration", "`c.CodeAct.…` in `ipython_config.py`, or on the kernel's command line"),
    ("the folder", "`codeact.toml`, or `[tool.codeact]` in `pyproject.toml`, beside the notebook or above it"),
    ("the environment", "`CODEACT_…` variables"),
    ("the notebook", "`%config CodeAct.…`, `%codeact model`, `%codeact backend`, `%codeact kernel`"),
    ("the cell", "options of `%%codeact`, or after `> ` in the CodeAct kernel"),
)
"""The weakest first: what a later one says holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """What one place says, checked.

    Attributes:
        place: in words, for example "the environment".
        values: by the option's name.
        narrows: whether it may only narrow what the layers below permit: nobody gave their word for it.
    """

    place: str
    values: Mapping[str, Any]
    narrows: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """What holds.

    Attributes:
        values: of every option, by its name.
        places: where each value came from.
        refused: what a folder wanted and does not get, as `name = value`.
    """

    values: Mapping[str, Any]
    places: Mapping[str, str]
    refused: Sequence[str] = field(default=())

    @property
    def settings(self) -> Settings:
        """The settings of the engine: each field has the option of the same name, and some limits have one as well."""
        values = {name: OPTIONS[name].to_setting(value) for name, value in self.values.items()}
        limits = apply_limits(Limits(), values["limits"])
        values["limits"] = replace(limits, **{limit: values[option] for limit, option in ELSEWHERE.items()})
        return Settings(**{setting.name: values[setting.name] for setting in fields(Settings)})


def parse_layer(place: str, given: Mapping[str, object], spelled: Mapping[str, str] | None = None) -> Layer:
    """Check what `place` says.

    Args:
        given: by the option's name.
        spelled: how that place spells an option, for the error; by default its name and the place's.

    Raises:
        UserError: an option that there is not, or a value that is not of its kind.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        option = OPTIONS[require_known(name, OPTIONS, f"{place}:")]
        values[name] = option.value(value, (spelled or {}).get(name, f"{name} in {place}"))
    return Layer(place=place, values=values)


def environment(environ: Mapping[str, str] = os.environ) -> Layer:
    """What the `CODEACT_…` variables say. One that is empty says nothing.

    Raises:
        UserError: a variable that there is not, or a value that is not of its kind.
    """
    spelled = {option.variable: name for name, option in OPTIONS.items()}
    given: dict[str, object] = {}
    for variable, text in environ.items():
        if variable.startswith(PREFIX) and variable not in NOT_OPTIONS:
            name = spelled[require_known(variable, {*spelled, *NOT_OPTIONS}, "The environment variable")]
            if text:
                given[name] = text
    return parse_layer("the environment", given, {name: variable for variable, name in spelled.items()})


def resolve(layers: Sequence[Layer]) -> Resolved:
    """What holds, from layers in order, the weakest first."""
    values: dict[str, Any] = {name: option.default for name, option in OPTIONS.items()}
    places = dict.fromkeys(values, "the defaults")
    refused: list[str] = []
    for one in layers:
        for name, value in one.values.items():
            if one.narrows and not OPTIONS[name].is_narrower(value, values[name]):
                refused.append(f"{name} = {format_value(value)}")
                continue
            values[name] = OPTIONS[name].merge(values[name], value)
            places[name] = one.place
    return Resolved(values=values, places=places, refused=refused)


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a script: the defaults and the environment, no configuration file.

    Raises:
        UserError: a variable that there is not, or a value that is not of its kind.
    """
    return resolve([environment(environ)]).settings
