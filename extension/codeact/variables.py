"""The notebook's variables that prompts read and assign, with `--in` and `--out`."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# IPython has next to no types.

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, cast

from codeact_kernel.capabilities.data import (
    Input,
    load_input,
    parse_input_names,
    to_dataframe,
    validate_name,
)
from codeact_kernel.errors import ProgramError, UserError
from codeact_kernel.settings import Settings
from codeact_kernel.tools import Registry
from codeact_kernel.types import TurnResult

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["NotebookVariables"]


class NotebookVariables:
    """The variables of one shell.

    Args:
        shell: IPython.
        tools: the tools, whose names are not for variables.
    """

    def __init__(self, shell: InteractiveShell, tools: Registry) -> None:
        self._shell = shell
        self._tools = tools

    def load_inputs(self, given: Sequence[str], settings: Settings) -> list[Input]:
        """Copy the notebook's variables that `--in` names.

        Raises:
            UserError: if a variable does not exist, or if its value cannot be sent to the sandbox.
        """
        variables, inputs = cast("dict[str, object]", self._shell.user_ns), list[Input]()
        for request in parse_input_names(given):
            if request.name not in variables:
                near = get_close_matches(request.name, [name for name in variables if name[:1] != "_"], n=1)
                advice = f"did you mean {near[0]}?" if near else "run the cell that creates it."
                raise UserError(f"--in {request.name}: this variable does not exist: {advice}")
            self._require_no_tool(request.name, "--in")
            inputs.append(load_input(request, variables[request.name], settings.limits))
        return inputs

    def parse_outputs(self, given: Sequence[str]) -> list[str]:
        """Split the names that `--out` gives at their commas.

        Raises:
            UserError: if a name cannot be the name of a variable in a program.
        """
        names = dict.fromkeys(name.strip() for text in given for name in text.split(",") if name.strip())
        for name in names:
            self._require_no_tool(validate_name(name, "--out"), "--out")
        return list(names)

    def _require_no_tool(self, name: str, option: str) -> None:
        if name in self._tools:
            raise UserError(f"{option} {name}: this is the name of a tool. Give the variable another name.")

    def bind_outputs(self, result: TurnResult, outputs: Sequence[str]) -> None:
        """Assign the program's outputs to variables of the notebook: either every output, or none.

        Raises:
            ProgramError: if an output is missing, because the model answered without a program.
        """
        if missing := [name for name in outputs if name not in result.outputs]:
            raise ProgramError(
                f"No value for {', '.join(missing)}: the model answered without a program. Your variables are "
                "unchanged; ask for something to compute."
            )
        self._shell.user_ns.update({name: to_dataframe(result.outputs[name]) for name in outputs})
