"""Merge the layers of the configuration. The last layer that sets an option wins."""

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
"""The places of layers, the weakest first, each with the way to set an option there. A later place wins."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """The checked values of one place.

    Attributes:
        place: the place in words, for example "the environment".
        values: the values by the name of the option.
        narrows: whether the layer may only narrow what weaker layers allow, because the user has not trusted it.
    """

    place: str
    values: Mapping[str, Any]
    narrows: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """The merged values.

    Attributes:
        values: the value of every option, by its name.
        places: the place that set each value.
        refused: the values of an untrusted layer that are not in force, as `name = value`.
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


def parse_layer(place: str, given: Mapping[str, object], labels: Mapping[str, str] | None = None) -> Layer:
    """Check the values that `place` sets.

    Args:
        given: the values by the name of the option.
        labels: the names of options in error messages; by default the name and the place.

    Raises:
        UserError: if an option does not exist, or a value is not valid.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        option = OPTIONS[require_known(name, OPTIONS, f"{place}:")]
        values[name] = option.value(value, (labels or {}).get(name, f"{name} in {place}"))
    return Layer(place=place, values=values)


def environment(environ: Mapping[str, str] = os.environ) -> Layer:
    """Return the layer of the `CODEACT_…` variables. An empty variable counts as not set.

    Raises:
        UserError: if a variable does not exist, or a value is not valid.
    """
    names = {option.variable: name for name, option in OPTIONS.items()}
    given: dict[str, object] = {}
    for variable, text in environ.items():
        if variable.startswith(PREFIX) and variable not in NOT_OPTIONS:
            name = names[require_known(variable, {*names, *NOT_OPTIONS}, "The environment variable")]
            if text:
                given[name] = text
    return parse_layer("the environment", given, {name: variable for variable, name in names.items()})


def resolve(layers: Sequence[Layer]) -> Resolved:
    """Merge layers, the weakest first."""
    values: dict[str, Any] = {name: option.default for name, option in OPTIONS.items()}
    places = dict.fromkeys(values, "the defaults")
    refused: list[str] = []
    for layer in layers:
        for name, value in layer.values.items():
            if layer.narrows and not OPTIONS[name].is_narrower(value, values[name]):
                refused.append(f"{name} = {format_value(value)}")
                continue
            values[name] = OPTIONS[name].merge(values[name], value)
            places[name] = layer.place
    return Resolved(values=values, places=places, refused=refused)


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of a script: the defaults and the environment, without configuration files.

    Raises:
        UserError: if a variable does not exist, or a value is not valid.
    """
    return resolve([environment(environ)]).settings
