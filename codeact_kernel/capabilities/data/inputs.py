"""Variables of the notebook that a person gives to a prompt."""

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
from ...tools.data_libraries import is_a
from ...tools.to_json import to_json
from ...types import JSONValue
from .columns import Column
from .tables import InputTable, column_of, sendable_columns, table_of

__all__ = ["Input", "InputRequest", "left_out", "load_input", "parse_input_names", "validate_name"]


_LOOKED_AT = 1_000
"""Values of each column that are tried before a table goes in."""
_TAKEN = RESERVED_NAMES | ERROR_NAMES | GUEST_NAMES


@dataclass(frozen=True, slots=True)
class InputRequest:
    """What `--in` names: a variable, and whether the model sees none of its values (`df:schema`)."""

    name: str
    schema_only: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """One variable as a program gets it.

    Attributes:
        schema_only: whether the model sees no values.
        notices: what of it did not go in, for the user.
    """

    name: str
    value: InputTable | Column | JSONValue
    schema_only: bool = False
    notices: Sequence[str] = ()


def parse_input_names(given: Sequence[str]) -> list[InputRequest]:
    """What a person names: `df,params:schema`, also in several texts.

    Raises:
        UserError: what cannot be the name of a variable, or a word after the colon that is not `schema`.
    """
    found: dict[str, InputRequest] = {}
    for part in [part.strip() for text in given for part in text.split(",")]:
        name, _, how = part.partition(":")
        if not part:
            continue
        if not name.isidentifier() or how not in ("", "schema"):
            raise UserError(
                f"--in {part[:60]}: name variables with commas between them, for example --in df,params or "
                "--in df:schema, which shows the model no values."
            )
        found[name] = InputRequest(validate_name(name, "--in"), how == "schema")
    return list(found.values())


def validate_name(name: str, option: str) -> str:
    """A name that a program's variable can have.

    Raises:
        UserError: every program has something else of that name, or it is no name.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UserError(f"{option} {name[:60]}: not a name for a variable.")
    if unicodedata.normalize("NFKC", name) != name or name.startswith("__"):
        raise UserError(f"{option} {name}: a program would know that by another name: take a plain one.")
    if name in _TAKEN or hasattr(builtins, name):
        raise UserError(f"{option} {name}: every program has something else of that name: take another one.")
    return name


def left_out(whose: str, column: str, table: object) -> str:
    """Say that a column of `table` was left out, and how to include it."""
    how = ", for example with .astype(str)" if is_a(table, "pandas", "DataFrame", "Series") else ""
    return (
        f"{whose}: the column {column[:60]!r} was left out, because its values are no plain data. "
        f"To include it, make it text first{how}."
    )


def load_input(wanted: InputRequest, value: object, limits: Limits) -> Input:
    """The variable as a program gets it.

    Raises:
        UserError: it is of a kind that cannot go in, or too large.
    """
    try:
        table = table_of(value)
        made = table if table is not None else column_of(value)
        if made is None:
            plain = to_json(value, limits=replace(limits, answer_bytes=limits.value_in_bytes))
            return Input(wanted.name, plain, wanted.schema_only)
        if isinstance(made, InputTable):  # what the model is shown of it can go in, or it is told now
            made, refused = sendable_columns(made, _LOOKED_AT)
            notices = [left_out(f"--in {wanted.name}", name, value) for name in refused]
            return Input(wanted.name, made, wanted.schema_only, notices)
        made.piece(0, _LOOKED_AT)
    except UserError as error:
        raise UserError(f"--in {wanted.name}: {error}") from None
    except ProgramError as error:
        text = str(error).replace("the result", "it").replace("return", "give").removesuffix(".")
        raise UserError(f"--in {wanted.name}: {text}.") from None
    except Exception as error:  # of the library whose value it is
        what = f"{type(error).__name__}: {collapse_whitespace(str(error))[:200]}"
        raise UserError(f"--in {wanted.name}: a {type(value).__name__} that cannot be read ({what}).") from None
    return Input(wanted.name, made, wanted.schema_only)
