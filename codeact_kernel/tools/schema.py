"""The arguments that a tool accepts, checked on the host, and its text for the model."""

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
from ..text import format_list
from ..types import JSONObject, JSONValue
from ..wire.jsonable import Copier
from .field_defaults import Factory
from .from_json import rewrite_times, take_back_results
from .json_schema import describe, names_at, values_at
from .notes import RESULT, Notes, make_printable, shorten
from .redaction import clean_beginning
from .shapes import ANY, MAX_NAMES_SHOWN, TypeShape, add_json, is_dataframe, mask_data_keys, shape_of_hint, show_name
from .unknown_keys import find_unknown_keys, suggest

__all__ = ["MAX_DOCSTRING_CHARACTERS", "Parameter", "ToolSignature", "build_signature"]

MAX_DOCSTRING_CHARACTERS = 2_000
MAX_EXPECTED_CHARACTERS = 200
MAX_DEFAULT_CHARACTERS = 40
DEFAULT_DEPTH = 4
MAX_COMPLAINTS = 3
SUBJECT = re.compile(r"(Input|[A-Z][a-z]+)( input)? (?=should )")
"""The subject with which pydantic begins an error message."""

SHOWN = reprlib.Repr()
SHOWN.maxstring = SHOWN.maxother = SHOWN.maxlong = 60
SHOWN.maxlevel = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One parameter of a tool.

    Attributes:
        name: The name in programs.
        own_name: The name by which the function takes it, if that is not a Python name.
        hint: The resolved type hint, including a `Field(...)` in place of the default.
        default: `inspect.Parameter.empty` if there is none; `...` if `factory` makes it.
        factory: Makes the default from the earlier arguments, by their positions.
        is_from_field: The default comes from a `Field(...)`, so the function itself does not know it.
        omits_none: `None` leaves the argument out.
    """

    name: str
    own_name: str = ""
    hint: object
    default: object = inspect.Parameter.empty
    keyword_only: bool = False
    description: str = ""
    factory: Factory | None = None
    is_from_field: bool = False
    omits_none: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "own_name", self.own_name or self.name)

    @property
    def is_required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def is_typed(self) -> bool:
        return self.hint is not inspect.Parameter.empty

    @property
    def shape(self) -> TypeShape:
        return shape_of_hint(self.hint, argument=True)

    @property
    def full_text(self) -> str:
        """The name with the full shape of the type, for the prompt."""
        return self._with_type(str(self.shape))

    def __str__(self) -> str:
        return self._with_type(self.shape.annotation)

    def _with_type(self, type_: str) -> str:
        text = f"{self.name}: {type_}" if type_ else self.name
        if self.is_required:
            return text
        return f"{text} = {_literal(self.default)}" if type_ else f"{text}={_literal(self.default)}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ToolSignature:
    """The arguments that a tool accepts, and its result.

    Attributes:
        schema: The JSON schema of the arguments.
        returns: The shape of the result, as far as the return annotation describes it.
        model: The pydantic model behind `bind`; its fields are named by the positions in `parameters`.
        notes: Lines about parameters, and about fields inside them and inside the result.
        left_out: The number of characters of the docstring that the model does not see.
        returns_frame: Whether the return annotation is the DataFrame of pandas.
    """

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    returns: TypeShape
    model: type[BaseModel]
    schema: JSONObject
    notes: tuple[str, ...] = ()
    left_out: int = 0
    returns_frame: bool = False

    def bind(self, arguments: str, *, may_rewrite: bool = True) -> dict[str, object]:
        """Make the keyword arguments for the function from the JSON text of an object, both by the own names.

        Only types that JSON lacks are converted: dates, durations, Decimal, Enum, tuples and sets. An `int` for a
        `float` parameter stays an `int`.

        Raises:
            ProgramError: An argument is missing, unknown or of another type; the message says which and why.
        """
        try:
            return self._validate(arguments)
        except ValidationError as error:
            errors = error.errors(include_url=False)
        if may_rewrite and (text := rewrite_times(arguments, errors)) is not None:
            return self.bind(text, may_rewrite=False)
        # The stub shows the default, so a program may pass it, even if it does not match the type hint.
        given = cast("dict[str, JSONValue]", json.loads(arguments))
        rejected = given.keys() & {error["loc"][0] for error in errors if error["loc"]}
        doubtful = [p for p in self.parameters if p.own_name in rejected]
        same = {p.own_name: p.default for p in doubtful if _is_same(given[p.own_name], p.default)}
        if same:
            return self.bind(json.dumps({name: given[name] for name in given if name not in same})) | same
        raise self._rejection(cast("Sequence[Mapping[str, Any]]", errors))

    def _validate(self, arguments: str) -> dict[str, object]:
        checked = self.model.model_validate_json(arguments, strict=True)
        given = checked.model_fields_set
        values = {p.own_name: getattr(checked, _field(i)) for i, p in enumerate(self.parameters)}
        if "$defs" in self.schema:  # only then can there be models, which ignore unknown keys
            parts = cast("dict[str, JSONValue]", json.loads(arguments))
            keys = (key for name in parts for key in find_unknown_keys(parts[name], values[name], (name,)))
            if unknown := list(islice(keys, MAX_COMPLAINTS)):
                errors = [{"loc": place, "type": "extra_forbidden", "names": names} for place, names in unknown]
                raise self._rejection(errors)
        passed = [p for i, p in enumerate(self.parameters) if _field(i) in given or p.is_from_field]
        omitted = [p for p in passed if p.omits_none and values[p.own_name] is None]
        return {p.own_name: values[p.own_name] for p in passed if p not in omitted}

    def _rejection(self, errors: Sequence[Mapping[str, Any]]) -> ProgramError:
        # A factory that reads earlier arguments fails whenever one of those fails.
        causes = [error for error in errors if error["type"] != "default_factory_not_called"] or errors
        spelled = {p.own_name: p.name for p in self.parameters}
        complaints = "; ".join(_complaint(error, self.schema, spelled) for error in causes[:MAX_COMPLAINTS])
        return ProgramError(f"{self.name}: {complaints}. Its signature: {self}")

    def __str__(self) -> str:
        return self._signature(map(str, self.parameters), self.returns.annotation)

    def stub(self, seen: TypeShape = ANY, *, as_frame: bool = False) -> str:
        """Write the tool for the prompt: `name(key: int) -> {what: str}  # The description.`, with notes below it.

        Args:
            seen: The shape of the results so far.
            as_frame: Whether the program gets the DataFrame itself, and not its rows.
        """
        shape = mask_data_keys(seen) if self.returns.is_vague else add_json(self.returns, mask_data_keys(seen))
        returns = str(shape) or self.returns.annotation
        if as_frame:  # the types in the shape are those of JSON
            fields = shape.item.fields if shape.item is not None else None
            names = format_list([show_name(name) for name in fields or ()], MAX_NAMES_SHOWN)
            returns = f"pandas.DataFrame with {names}" if names else "pandas.DataFrame"
        line = self._signature((parameter.full_text for parameter in self.parameters), returns)
        text = make_printable(self.description)
        summary, *lines = [part.rstrip() for part in text.splitlines() if part.strip()] or [""]
        lines += self.notes
        return "\n".join([f"{line}  # {summary}" if summary else line, *(f"    {text}" for text in lines)])

    def _signature(self, parameters: Iterable[str], returns: str) -> str:
        parts = list(parameters)
        first = next((i for i, parameter in enumerate(self.parameters) if parameter.keyword_only), None)
        if first is not None:
            parts.insert(first, "*")
        return f"{self.name}({', '.join(parts)})" + (f" -> {returns}" if returns else "")


def build_signature(
    name: str, description: str, parameters: Sequence[Parameter], returns: Callable[[], object]
) -> ToolSignature:
    """Build the signature of a tool.

    Args:
        returns: Resolves the type hint of the result. If it raises, nothing is known about the result.

    Raises:
        ToolDefinitionError: A program cannot pass the type of a parameter as JSON.
    """
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
    own_names = {parameter.name: parameter.own_name for parameter in parameters}
    for place, text in notes.descriptions.items():
        first, *rest = place.split(".")
        describe(schema, [own_names.get(first, first), *rest], text)
    try:
        hint = returns()
        shape, returns_frame = shape_of_hint(hint), is_dataframe(hint)
        notes.read(hint, RESULT, argument=False)
    except Exception:  # only the shape in the stub needs the hint, so a hint that cannot be resolved is ignored
        shape, returns_frame = ANY, False
    schema.pop("title", None)
    return ToolSignature(
        name=name,
        description=shorten(description, MAX_DOCSTRING_CHARACTERS),
        parameters=tuple(parameters),
        returns=shape,
        model=model,
        schema=schema,
        notes=tuple(notes.lines()),
        left_out=max(0, len(description) - MAX_DOCSTRING_CHARACTERS),
        returns_frame=returns_frame,
    )


class _Schema(GenerateJsonSchema):
    # A default that is not JSON stays with the function, so a warning would help nobody.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _field(position: int) -> str:
    # The parameter's own name could be `json`, `copy` or `model_config`, which mean something to pydantic.
    return f"argument_{position}"


def _model_field(parameter: Parameter) -> tuple[object, object]:
    hint: object = parameter.hint if parameter.is_typed else Any
    base, *notes = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
    if parameter.default is None:
        # `limit: int = None`: the stub shows None, so a program may pass it. Not every hint supports `|`.
        hint = cast(object, typing.Optional[cast(Any, base)])  # noqa: UP045
        hint = cast(object, Annotated[(cast(Any, hint), *notes)]) if notes else hint
    facts: dict[str, Any] = {"validation_alias": parameter.own_name, "description": parameter.description or None}
    if parameter.factory is not None:
        facts["default_factory"] = parameter.factory
    elif any(isinstance(note, FieldInfo) and note.default_factory is not None for note in notes):
        facts["default_factory"] = lambda: parameter.default  # pydantic accepts no default beside it
    elif not parameter.is_required:
        facts["default"] = parameter.default
    return hint, Field(**facts)


def _no_schema(tool: str, parameters: Iterable[Parameter], error: Exception) -> ToolDefinitionError:
    if isinstance(error, PydanticUserError) and error.code == "typed-dict-version":
        return ToolDefinitionError(f"{tool}: on Python 3.11, import TypedDict from typing_extensions, not from typing.")
    for parameter in parameters:
        try:
            create_model(tool, **cast(Any, {"argument": _model_field(parameter)})).model_json_schema()
        except Exception:  # this parameter causes the error
            return ToolDefinitionError(
                f"{tool}: a program cannot pass the type of parameter {parameter.name!r} as JSON: "
                "use text, numbers, lists, dicts, dates, a dataclass or a pydantic model."
            )
    return ToolDefinitionError(f"{tool}: its parameters have no JSON schema ({type(error).__name__}): simplify them.")


def _complaint(error: Mapping[str, Any], schema: JSONObject, spelled: Mapping[str, str]) -> str:
    """Write one error of pydantic as the program sees it.

    Args:
        spelled: The names of the parameters in programs, by their own names.
    """
    own_place, kind = error["loc"], error["type"]
    place = (spelled.get(own_place[0], own_place[0]), *own_place[1:])
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        parent, name = f" in {_place(place[:-1])}" if place[1:] else "", str(place[-1])
        names = names_at(schema, own_place[:-1]) if place[1:] else list(spelled.values())
        # Another part of a union may have the same name.
        near = suggest(name, [other for other in names or error.get("names", ()) if other != name])
        return f"there is no argument {name[:60]!r}{parent}{near}"
    if kind in ("missing", "missing_argument"):
        return f"argument {_place(place)} is missing"
    # A validator is the user's code, so its message is redacted like an error of the tool.
    expected, came = SUBJECT.sub("", clean_beginning(str(error["msg"]))), error["input"]
    if len(expected) > MAX_EXPECTED_CHARACTERS:
        near = suggest(came, values_at(schema, own_place)) if isinstance(came, str) else ""
        expected = f"{expected[:MAX_EXPECTED_CHARACTERS]}...{near}"
    return f"argument {_place(place)} {expected}, not {SHOWN.repr(came)} ({type(came).__name__})"


def _place(steps: Sequence[str | int]) -> str:
    return "".join(str(step) if i == 0 else f"[{step!r}]" for i, step in enumerate(steps))[:100]


def _literal(default: object) -> str:
    form = _form(default)
    if form is ... or (
        type(form) is float and not isinstance(default, float)
    ):  # seconds would look like a plain number
        return "..."
    text = "()" if type(default) is tuple and not default else repr(form)
    return text if len(text) <= MAX_DEFAULT_CHARACTERS else "..."


def _is_same(given: JSONValue, default: object) -> bool:
    form = _form(default)
    return type(given) is type(form) and given == form


def _form(default: object) -> object:
    """Return a default in the form in which a program may pass it; `...` if it has no such form."""
    try:
        return Copier(DEFAULT_DEPTH).copy(default)
    except Exception:  # a class may run its own code here
        return ...
