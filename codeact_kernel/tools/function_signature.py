"""Read the parameters and the result of a function from its signature and its type hints."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic.fields import FieldInfo

from ..errors import ToolDefinitionError
from ..secrets import Secret
from .field_defaults import default_of
from .names import MAX_NAME_CHARACTERS, spell_parameters
from .notes import QUALIFIERS
from .schema import Parameter, ToolSignature, build_signature
from .shapes import optional_keys

__all__ = ["read_signature"]


def read_signature(
    function: Callable[..., object], *, name: str, description: str, left_out: Sequence[str] = ()
) -> ToolSignature:
    """Read the signature and the hints of `function`.

    Args:
        left_out: Parameters that are not offered, because the function has them already.

    Raises:
        ToolDefinitionError: It has parameters that a program cannot pass by name as JSON.
    """
    signature = _signature(function, name)
    scope: Mapping[str, object] = getattr(inspect.unwrap(function), "__globals__", {})
    parameters = [parameter for parameter in signature.parameters.values() if parameter.name not in left_out]
    offered = [parameter for parameter in parameters if not _takes_secret(name, parameter, scope)]
    names = tuple(parameter.name for parameter in offered)
    described: list[Parameter] = []
    for parameter in offered:
        keywords = _read_described_keywords(parameter, scope)
        described += [_parameter(name, parameter, scope, names)] if keywords is None else keywords
    return build_signature(name, description, described, lambda: _resolved(signature.return_annotation, scope))


def _signature(function: Callable[..., object], name: str) -> inspect.Signature:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise ToolDefinitionError(
            f"The parameters of {name} cannot be read: write a function with `def` that calls it, "
            "and put @tool on that function."
        ) from None
    except NameError as error:  # hints that are evaluated only now, from Python 3.14 on
        raise ToolDefinitionError(f"{name}: {error} in its type hints: define or import it before the tool.") from None
    return signature


def _takes_secret(tool: str, parameter: inspect.Parameter, scope: Mapping[str, object]) -> bool:
    """Return whether the parameter takes a secret, which programs neither see nor pass: its default does it.

    Raises:
        ToolDefinitionError: It has no such default.
    """
    if isinstance(parameter.default, Secret):
        return True
    try:
        is_secret = Secret in _parts_of(_resolved(parameter.annotation, scope))
    except Exception:  # as in `_parameter`, which writes the error
        return False
    if is_secret and parameter.default is not None:
        raise ToolDefinitionError(
            f"{tool}: a program cannot pass a secret: give the parameter {parameter.name!r} a default, for example "
            'Secret.from_environment("TOKEN").'
        )
    return is_secret


def _parts_of(hint: object) -> Iterator[object]:
    """Return a hint and the hints inside it, such as those of a union."""
    yield hint
    for part in typing.get_args(hint):
        yield from _parts_of(part)


def _read_described_keywords(parameter: inspect.Parameter, scope: Mapping[str, object]) -> list[Parameter] | None:
    """Return a parameter for each key of `**kwargs: Unpack[SomeTypedDict]`; `None` for any other parameter."""
    if parameter.kind is not parameter.VAR_KEYWORD:
        return None
    try:
        hint = _resolved(parameter.annotation, scope)
        record = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Unpack else None
        hints = typing.get_type_hints(record, include_extras=True) if record is not None else None
    except Exception:  # as in `_parameter`, which writes the error
        return None
    if hints is None:
        return None
    optional = optional_keys(record)
    hints = {own_name: _without_qualifiers(hint) for own_name, hint in hints.items()}
    return [
        Parameter(
            name=spelled,
            own_name=own_name,
            hint=hints[own_name],
            default=None if own_name in optional else parameter.empty,
            keyword_only=True,
            description=_description_of(hints[own_name]),
        )
        for own_name, spelled in spell_parameters(hints).items()
    ]


def _without_qualifiers(hint: object) -> object:
    """Take `Required`, `NotRequired` and `ReadOnly` from the hint of a key."""
    while getattr(typing.get_origin(hint), "_name", "") in QUALIFIERS:
        (hint,) = typing.get_args(hint)
    return hint


def _parameter(tool: str, parameter: inspect.Parameter, scope: Mapping[str, object], names: Sequence[str]) -> Parameter:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise ToolDefinitionError(
            f"{tool}({parameter}): a program passes every argument by name: "
            "write ordinary parameters (no *args, no '/', and no **kwargs unless @tool(schema=...) describes them)."
        )
    if (length := len(parameter.name)) > MAX_NAME_CHARACTERS:
        raise ToolDefinitionError(
            f"{tool}: the name of parameter {parameter.name[:MAX_NAME_CHARACTERS]!r}... has {length:,} characters: "
            f"use at most {MAX_NAME_CHARACTERS}."
        )
    try:
        hint = _resolved(parameter.annotation, scope)
    except Exception as error:  # evaluating an annotation can raise anything
        raise ToolDefinitionError(
            f"{tool}: the type of parameter {parameter.name!r}, {parameter.annotation!r}, cannot be resolved "
            f"({error}): define or import it before the tool, outside of functions."
        ) from None
    if isinstance(parameter.default, FieldInfo):
        hint = Annotated[Any if hint is parameter.empty else hint, parameter.default]
    default, factory = default_of(parameter.default, hint, names)
    return Parameter(
        name=parameter.name,
        hint=hint,
        default=default,
        keyword_only=parameter.kind is parameter.KEYWORD_ONLY,
        description=_description_of(hint),
        factory=factory,
        is_from_field=default is not parameter.default,
    )


def _resolved(annotation: object, scope: Mapping[str, object]) -> object:
    if annotation is inspect.Parameter.empty:
        return annotation

    def carrier() -> None: ...

    # Resolve hints one by one, so that a bad hint does not hide the others.
    carrier.__annotations__ = {"it": annotation}
    return typing.get_type_hints(carrier, globalns=dict(scope), include_extras=True)["it"]


def _description_of(hint: object) -> str:
    if typing.get_origin(hint) is not Annotated:
        return ""
    notes = typing.get_args(hint)[1:]
    texts = (
        note.description if isinstance(note, FieldInfo) else getattr(note, "documentation", note) for note in notes
    )
    return next((text for text in texts if isinstance(text, str)), "")
