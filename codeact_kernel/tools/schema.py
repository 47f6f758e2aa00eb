"""A function's hints and docstring -> what may be passed, checked on the host, and what a model is told about it."""

from __future__ import annotations

import inspect
import json
import re
import reprlib
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from ..errors import ProgramError, ToolDefinitionError
from ..types import JSONObject, JSONValue
from ..wire.codeact_jsonable import Copier
from .field_defaults import Factory, default_of
from .from_json import rewrite_times, take_back_results
from .json_schema import describe, names_at, values_at
from .notes import RESULT, Notes, make_printable, shorten
from .redaction import clean_beginning
from .shapes import ANY, TypeShape, add_json, declared, settled
from .unknown_keys import find_unknown_keys, suggest

__all__ = ["Parameter", "ToolSignature", "read_signature"]

MAX_NAME_CHARACTERS = 64
"""Of a tool, and of each parameter."""
MAX_DOCSTRING_CHARACTERS = 2_000
EXPECTED_CHARACTERS = 200
LONGEST_DEFAULT = 40
DEFAULT_DEPTH = 4
COMPLAINTS = 3
SUBJECT = re.compile(r"(Input|[A-Z][a-z]+)( input)? (?=should )")
"""What pydantic calls the argument at the beginning of a complaint."""

SHOWN = reprlib.Repr()
SHOWN.maxstring = SHOWN.maxother = SHOWN.maxlong = 60
SHOWN.maxlevel = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One argument of a tool.

    Attributes:
        hint: resolved, with what a `Field(...)` in place of the default says.
        default: `inspect.Parameter.empty` where there is none; `...` where `factory` makes it.
        factory: makes the default from the arguments before it, by their positions.
        is_from_field: whether the default is that of a `Field(...)`, which the function itself does not know.
    """

    name: str
    hint: object
    default: object = inspect.Parameter.empty
    keyword_only: bool = False
    description: str = ""
    factory: Factory | None = None
    is_from_field: bool = False

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def typed(self) -> bool:
        return self.hint is not inspect.Parameter.empty

    @property
    def shape(self) -> TypeShape:
        return declared(self.hint, argument=True)

    @property
    def told(self) -> str:
        """With all that is known of its type."""
        return self._as(str(self.shape))

    def __str__(self) -> str:
        return self._as(self.shape.annotation)

    def _as(self, type_: str) -> str:
        text = f"{self.name}: {type_}" if type_ else self.name
        if self.required:
            return text
        return f"{text} = {_literal(self.default)}" if type_ else f"{text}={_literal(self.default)}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ToolSignature:
    """What a program may pass to a tool, and what it gets.

    Attributes:
        schema: the JSON schema of the arguments.
        returns: the shape of the result, as far as the return annotation tells it.
        model: the pydantic model behind `bind`; its field names are the positions in `parameters`.
        notes: a line each on parameters, and on fields inside them and inside the result.
        left_out: characters of the docstring that the model is not told.
    """

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    returns: TypeShape
    model: type[BaseModel]
    schema: JSONObject
    notes: tuple[str, ...] = ()
    left_out: int = 0

    def bind(self, arguments: str, *, again: bool = True) -> dict[str, object]:
        """The keyword arguments for the function, made from the JSON text of an object.

        Nothing is converted but what JSON has no type for: dates, durations, Decimal, Enum, tuples and sets. A whole
        number stays one for a `float`.

        Raises:
            ProgramError: an argument is missing, unknown or of another type; the sentence says which and why.
        """
        try:
            return self._validate(arguments)
        except ValidationError as error:
            errors = error.errors(include_url=False)
        if again and (text := rewrite_times(arguments, errors)) is not None:
            return self.bind(text, again=False)
        # A default is shown, so it may be written, also where it is not of its own type.
        given = cast("dict[str, JSONValue]", json.loads(arguments))
        refused = given.keys() & {one["loc"][0] for one in errors if one["loc"]}
        same = {p.name: p.default for p in self.parameters if p.name in refused and _is_same(given[p.name], p.default)}
        if same:
            return self.bind(json.dumps({name: given[name] for name in given if name not in same})) | same
        raise self._refusal(cast("Sequence[Mapping[str, Any]]", errors))

    def _validate(self, arguments: str) -> dict[str, object]:
        checked = self.model.model_validate_json(arguments, strict=True)
        given = checked.model_fields_set
        values = {p.name: getattr(checked, _field(i)) for i, p in enumerate(self.parameters)}
        if "$defs" in self.schema:  # there may be models, which ignore keys that they do not know
            parts = cast("dict[str, JSONValue]", json.loads(arguments))
            found = (one for name in parts for one in find_unknown_keys(parts[name], values[name], (name,)))
            if unknown := list(islice(found, COMPLAINTS)):
                errors = [{"loc": place, "type": "extra_forbidden", "names": names} for place, names in unknown]
                raise self._refusal(errors)
        return {p.name: values[p.name] for i, p in enumerate(self.parameters) if _field(i) in given or p.is_from_field}

    def _refusal(self, errors: Sequence[Mapping[str, Any]]) -> ProgramError:
        # A factory that reads the arguments before it fails wherever one of those does.
        causes = [one for one in errors if one["type"] != "default_factory_not_called"] or errors
        told = "; ".join(_complaint(one, self.schema) for one in causes[:COMPLAINTS])
        return ProgramError(f"{self.name}: {told}. Its signature: {self}")

    def __str__(self) -> str:
        return self._signature(map(str, self.parameters), self.returns.annotation)

    def stub(self, seen: TypeShape = ANY) -> str:
        """For the prompt: `name(key: int) -> {what: str}  # The description.`, and indented below it what else there is
        to say. `seen` is the shape of the results so far.
        """
        returns = settled(seen) if self.returns.vague else add_json(self.returns, settled(seen))
        line = self._signature((one.told for one in self.parameters), str(returns) or self.returns.annotation)
        text = make_printable(self.description)
        about, *more = [part.rstrip() for part in text.splitlines() if part.strip()] or [""]
        more += self.notes
        return "\n".join([f"{line}  # {about}" if about else line, *(f"    {part}" for part in more)])

    def _signature(self, parameters: Iterable[str], returns: str) -> str:
        parts = list(parameters)
        first = next((i for i, parameter in enumerate(self.parameters) if parameter.keyword_only), None)
        if first is not None:
            parts.insert(first, "*")
        return f"{self.name}({', '.join(parts)})" + (f" -> {returns}" if returns else "")


def read_signature(function: Callable[..., object], *, name: str, description: str) -> ToolSignature:
    """Read the hints of `function`.

    Raises:
        ToolDefinitionError: it takes arguments that a program cannot pass by name as JSON.
    """
    signature = _signature(function, name)
    scope: Mapping[str, object] = getattr(inspect.unwrap(function), "__globals__", {})
    names = tuple(signature.parameters)
    parameters = tuple(_parameter(name, one, scope, names) for one in signature.parameters.values())
    fields = {_field(i): _model_field(parameter) for i, parameter in enumerate(parameters)}
    try:
        model = create_model(name, __config__=ConfigDict(extra="forbid"), **cast(Any, fields))
        take_back_results(model)
        schema = model.model_json_schema(schema_generator=_Schema)
        json.dumps(schema)  # a default may be an integer that is too long to be written
    except Exception as error:  # foreign types run their own code while a schema is made
        raise _no_schema(name, parameters, error) from error
    notes = Notes()
    for parameter in parameters:
        notes.read(parameter.hint, parameter.name, argument=True)
    for place, text in notes.descriptions.items():
        describe(schema, place.split("."), text)
    try:
        hint = _resolved(signature.return_annotation, scope)
        returns = declared(hint)
        notes.read(hint, RESULT, argument=False)
    except Exception:  # a hint that cannot be resolved tells nothing, and only the shape in the stub needs it
        returns = ANY
    schema.pop("title", None)
    return ToolSignature(
        name=name,
        description=shorten(description, MAX_DOCSTRING_CHARACTERS),
        parameters=parameters,
        returns=returns,
        model=model,
        schema=schema,
        notes=tuple(notes.lines()),
        left_out=max(0, len(description) - MAX_DOCSTRING_CHARACTERS),
    )


class _Schema(GenerateJsonSchema):
    # A default that is no JSON stays with the function; nobody needs to hear of it.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _signature(function: Callable[..., object], name: str) -> inspect.Signature:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise ToolDefinitionError(
            f"The parameters of {name} cannot be read: write a function with `def` that calls it, and mark that."
        ) from None
    except NameError as error:  # hints that are evaluated only now, from Python 3.14 on
        raise ToolDefinitionError(f"{name}: {error} in its type hints: define or import it before the tool.") from None
    return signature


def _parameter(tool: str, parameter: inspect.Parameter, scope: Mapping[str, object], names: Sequence[str]) -> Parameter:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise ToolDefinitionError(
            f"{tool}({parameter}): a program passes every argument by its name: "
            "write each out as an ordinary parameter (no *args, no **kwargs, no '/')."
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
        description=_described(hint),
        factory=factory,
        is_from_field=default is not parameter.default,
    )


def _resolved(annotation: object, scope: Mapping[str, object]) -> object:
    if annotation is inspect.Parameter.empty:
        return annotation

    def carrier() -> None: ...

    # One at a time, so that one bad hint does not hide the others.
    carrier.__annotations__ = {"it": annotation}
    return typing.get_type_hints(carrier, globalns=dict(scope), include_extras=True)["it"]


def _described(hint: object) -> str:
    if typing.get_origin(hint) is not Annotated:
        return ""
    notes = typing.get_args(hint)[1:]
    texts = (one.description if isinstance(one, FieldInfo) else getattr(one, "documentation", one) for one in notes)
    return next((text for text in texts if isinstance(text, str)), "")


def _field(position: int) -> str:
    # Not the parameter's own name: `json`, `copy` or `model_config` mean something to pydantic.
    return f"argument_{position}"


def _model_field(parameter: Parameter) -> tuple[object, object]:
    hint: object = parameter.hint if parameter.typed else Any
    base, *notes = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
    if parameter.default is None:
        # `limit: int = None`: the stub shows None, so None may be passed. Not every hint knows `|`.
        hint = cast(object, typing.Optional[cast(Any, base)])  # noqa: UP045
        hint = cast(object, Annotated[(cast(Any, hint), *notes)]) if notes else hint
    facts: dict[str, Any] = {"validation_alias": parameter.name, "description": parameter.description or None}
    if parameter.factory is not None:
        facts["default_factory"] = parameter.factory
    elif any(isinstance(note, FieldInfo) and note.default_factory is not None for note in notes):
        facts["default_factory"] = lambda: parameter.default  # pydantic wants no default beside it
    elif not parameter.required:
        facts["default"] = parameter.default
    return hint, Field(**facts)


def _no_schema(tool: str, parameters: Iterable[Parameter], error: Exception) -> ToolDefinitionError:
    if isinstance(error, PydanticUserError) and error.code == "typed-dict-version":
        return ToolDefinitionError(f"{tool}: on Python 3.11, import TypedDict from typing_extensions, not from typing.")
    for parameter in parameters:
        try:
            create_model(tool, **cast(Any, {"argument": _model_field(parameter)})).model_json_schema()
        except Exception:  # whatever it was, this is the parameter it came from
            return ToolDefinitionError(
                f"{tool}: a program cannot pass the type of parameter {parameter.name!r} as JSON: "
                "use text, numbers, lists, dicts, dates, a dataclass or a pydantic model."
            )
    return ToolDefinitionError(f"{tool}: its parameters have no JSON schema ({type(error).__name__}): simplify them.")


def _complaint(error: Mapping[str, Any], schema: JSONObject) -> str:
    place, kind = error["loc"], error["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        there, name = f" in {_place(place[:-1])}" if place[1:] else "", str(place[-1])
        names = names_at(schema, place[:-1]) or error.get("names", ())
        near = suggest(name, [other for other in names if other != name])  # which another part of a union has
        return f"there is no argument {name[:60]!r}{there}{near}"
    if kind in ("missing", "missing_argument"):
        return f"argument {_place(place)} is missing"
    # A validator is the user's code, so its message is cleaned as an error of the tool is.
    expected, came = SUBJECT.sub("", clean_beginning(str(error["msg"]))), error["input"]
    if len(expected) > EXPECTED_CHARACTERS:
        near = suggest(came, values_at(schema, place)) if isinstance(came, str) else ""
        expected = f"{expected[:EXPECTED_CHARACTERS]}...{near}"
    return f"argument {_place(place)} {expected}, not {SHOWN.repr(came)} ({type(came).__name__})"


def _place(steps: Sequence[str | int]) -> str:
    return "".join(str(step) if i == 0 else f"[{step!r}]" for i, step in enumerate(steps))[:100]


def _literal(default: object) -> str:
    form = _form(default)
    if form is ... or (type(form) is float and not isinstance(default, float)):  # seconds would read as a mere number
        return "..."
    text = "()" if type(default) is tuple and not default else repr(form)
    return text if len(text) <= LONGEST_DEFAULT else "..."


def _is_same(given: JSONValue, default: object) -> bool:
    form = _form(default)
    return type(given) is type(form) and given == form


def _form(default: object) -> object:
    """A default as a program may pass it; `...` where it has no such form."""
    try:
        return Copier(DEFAULT_DEPTH).copy(default)
    except Exception:  # also of a class that runs its own code
        return ...
