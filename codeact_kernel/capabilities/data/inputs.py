"""Read and check the variables of the notebook that a user passes to a prompt."""

from __future__ import annotations

import builtins
import keyword
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...capability import ERROR_NAMES, GUEST_NAMES, RESERVED_NAMES
from ...errors import ProgramError, UserError
from ...settings import Limits
from ...text import collapse_whitespace
from ...tools.to_json import to_json
from ...types import JSONValue
from ...wire.data_libraries import is_a
from .columns import Column
from .tables import InputTable, column_of, sendable_columns, table_of

__all__ = ["Input", "InputRequest", "left_out", "load_input", "parse_input_names", "validate_name"]


_MAX_CHECKED = 1_000
"""Values of each column that are encoded once before the turn starts."""
_USED_NAMES = RESERVED_NAMES | ERROR_NAMES | GUEST_NAMES


@dataclass(frozen=True, slots=True)
class InputRequest:
    """One variable of `--in`, and whether to hide its values from the model (`df:schema`)."""

    name: str
    schema_only: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """One variable in the form in which a program gets it.

    Attributes:
        schema_only: whether to hide its values from the model.
        notices: sentences for the user about columns that were left out.
        is_handed_on: whether an earlier prompt brought it along, and not this one.
        source: the variable itself, if it is a table or an array: a guest with pandas gets it exactly.
    """

    name: str
    value: InputTable | Column | JSONValue
    schema_only: bool = False
    notices: Sequence[str] = ()
    is_handed_on: bool = False
    source: object = None


def parse_input_names(texts: Sequence[str]) -> list[InputRequest]:
    """Parse the values of `--in`, for example `df,params:schema`.

    Raises:
        UserError: if a name cannot be the name of a variable, or the word after the colon is not `schema`.
    """
    requests: dict[str, InputRequest] = {}
    for part in [part.strip() for text in texts for part in text.split(",")]:
        name, _, mode = part.partition(":")
        if not part:
            continue
        if not name.isidentifier() or mode not in ("", "schema"):
            raise UserError(
                f"--in {part[:60]}: name variables with commas between them, for example --in df,params or "
                "--in df:schema, which shows the model no values."
            )
        requests[name] = InputRequest(validate_name(name, "--in"), mode == "schema")
    return list(requests.values())


def validate_name(name: str, option: str) -> str:
    """Return the name if a variable of a program can have it.

    Args:
        option: the option that contains the name, for the error.

    Raises:
        UserError: if it is not a valid name, or every program has something else with that name.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UserError(f"{option} {name[:60]}: not a name for a variable.")
    if unicodedata.normalize("NFKC", name) != name or name.startswith("__"):
        raise UserError(f"{option} {name}: Python would spell this name differently: use a plain name.")
    if name in _USED_NAMES or hasattr(builtins, name):
        raise UserError(f"{option} {name}: every program has something else with that name: use another name.")
    return name


def left_out(whose: str, column: str, table: object) -> str:
    """Say that a column of `table` was left out, and how to include it."""
    how = ", for example with .astype(str)" if is_a(table, "pandas", "DataFrame", "Series") else ""
    return (
        f"{whose}: the column {column[:60]!r} was left out, because its values are not plain data. "
        f"To include it, convert it to text first{how}."
    )


def load_input(request: InputRequest, value: object, limits: Limits) -> Input:
    """Convert a value of the notebook to the form in which a program gets it.

    Raises:
        UserError: if its type is not supported, or it is too large.
    """
    try:
        table = table_of(value)
        data = table if table is not None else column_of(value)
        if data is None:
            json_value = to_json(value, limits=replace(limits, answer_bytes=limits.value_in_bytes))
            source = value if is_a(value, "numpy", "ndarray") else None
            return Input(request.name, json_value, request.schema_only, source=source)
        if isinstance(data, InputTable):  # errors must show before the turn starts
            data, refused = sendable_columns(data, _MAX_CHECKED)
            notices = [left_out(f"--in {request.name}", name, value) for name in refused]
            return Input(request.name, data, request.schema_only, notices, source=value)
        data.piece(0, _MAX_CHECKED)
    except UserError as error:
        raise UserError(f"--in {request.name}: {error}") from None
    except ProgramError as error:
        text = str(error).replace("the result", "it").replace("return", "give").removesuffix(".")
        raise UserError(f"--in {request.name}: {text}.") from None
    except Exception as error:  # from the library of the value
        what = f"{type(error).__name__}: {collapse_whitespace(str(error))[:200]}"
        raise UserError(f"--in {request.name}: the {type(value).__name__} cannot be read ({what}).") from None
    return Input(request.name, data, request.schema_only, source=value)
