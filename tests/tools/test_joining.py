# pyright: basic
"""What several tools would repeat is said once, and nothing that a tool says is lost or said of another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codeact_kernel.tools import ToolOptions, ToolSpec, as_tool, join_stubs
from codeact_kernel.turn.turn import prompt
from codeact_kernel.types import ProgramFailure, RunOutcome

ORDER = "The id of the order, such as '#W0000000', with its '#'."
OrderId = Annotated[str, ORDER]
Day = Annotated[str, "A day, written as YYYY-MM-DD."]


def spec(function: Callable[..., object], description: str | None = None) -> ToolSpec:
    return as_tool(function, description=description).spec


def joined(*functions: Callable[..., object]) -> list[str]:
    return join_stubs(map(spec, functions)).splitlines()


def cancel(order_id: OrderId, reason: Annotated[str, "In one sentence."]) -> None:
    """Cancel an order.

    Amounts are in cents,
    never in euros.
    """


def pay(order_id: OrderId, amount: int) -> None:
    """Pay an order.

    Amounts are in cents,
    never in euros.

    It cannot be undone.
    """


def find(order_id: OrderId) -> None:
    """Find an order."""


def test_a_note_on_a_parameter_that_several_tools_have_is_said_once() -> None:
    assert joined(cancel, find) == [
        "cancel(order_id: str, reason: str) -> None  # Cancel an order.",
        "    Amounts are in cents,",
        "    never in euros.",
        "    reason: In one sentence.",
        "find(order_id: str) -> None  # Find an order.",
        "Parameters of several tools:",
        f"    order_id: {ORDER}",
    ]


def test_a_paragraph_that_several_tools_have_is_said_once_with_their_names() -> None:
    lines = joined(cancel, pay, find)
    assert lines[2:] == [
        "pay(order_id: str, amount: int) -> None  # Pay an order.",
        "    It cannot be undone.",
        "find(order_id: str) -> None  # Find an order.",
        "Parameters of several tools:",
        f"    order_id: {ORDER}",
        "cancel, pay:",
        "    Amounts are in cents,",
        "    never in euros.",
    ]
    assert "All tools:" in joined(cancel, pay)


def test_a_paragraph_of_which_only_a_line_is_the_same_stays_where_it_is() -> None:
    def refund(amount: int) -> None:
        """Refund.

        Amounts are in cents,
        never in dollars.
        """

    def check(amount: int) -> None:
        """Check an amount,
        which is in cents as everywhere here.
        """

    def match(amount: int) -> None:
        """Match an amount,
        which is in cents as everywhere here.
        """

    for tools in ((cancel, refund), (check, match)):
        assert join_stubs(map(spec, tools)) == "\n".join(spec(one).stub for one in tools)


def test_a_tool_that_says_nothing_of_the_parameter_is_not_told_what_others_say_of_theirs() -> None:
    def other(order_id: str) -> None:
        """Something else."""

    assert join_stubs(map(spec, (cancel, find, other))) == "\n".join(spec(one).stub for one in (cancel, find, other))


def test_a_tool_that_says_something_else_of_the_parameter_keeps_it() -> None:
    def other(order_id: Annotated[str, "Of the old shop."]) -> None:
        """Something else."""

    lines = joined(other, cancel, find)
    assert lines[:2] == ["other(order_id: str) -> None  # Something else.", "    order_id: Of the old shop."]
    assert lines[-2:] == ["Parameters of several tools:", f"    order_id: {ORDER}"]


def test_notes_in_the_docstring_count_as_well_in_any_style() -> None:
    about = "The id of the order, such as '#W0000000',"

    def google(order_id: str, top: int) -> None: ...
    def plain(order_id: str) -> None: ...
    def sphinx(order_id: str) -> None: ...
    def sphinx_too(order_id: str) -> None: ...

    args = f"Find.\n\nArgs:\n    order_id: {about}\n        with its '#'.\n"
    assert join_stubs([spec(google, f"{args}    top: how many\n\nReturns:\n    nothing"), spec(plain, args)]) == (
        "google(order_id: str, top: int) -> None  # Find.\n    Args:\n        top: how many\n    Returns:\n"
        "        nothing\nplain(order_id: str) -> None  # Find.\nParameters of several tools:\n"
        f"    order_id: {about}\n        with its '#'."
    )
    field = f"Find.\n\n:param str order_id: {about}\n:returns: it"
    lines = join_stubs([spec(sphinx, field), spec(sphinx_too, field)]).splitlines()
    assert lines.count(f"    :param str order_id: {about}") == 1
    assert lines.count("    :returns: it") == 2, "too short to be worth a header"


def test_a_note_on_two_parameters_is_shared_as_any_other() -> None:
    def sales(start: Day, end: Day) -> None: ...
    def visits(start: Day, end: Day) -> None: ...
    def close(end: Annotated[str, "The last day."]) -> None: ...
    def race(start: int) -> None: ...

    shared = "Parameters of several tools:\n    start, end: A day, written as YYYY-MM-DD."
    assert join_stubs(map(spec, (sales, visits, close))).endswith(f"\n    end: The last day.\n{shared}")
    assert shared not in join_stubs(map(spec, (sales, visits, close, race)))


def test_a_note_that_is_shorter_than_its_header_is_repeated() -> None:
    def first(top: Annotated[int, "at most"]) -> None: ...
    def second(top: Annotated[int, "at most"]) -> None: ...

    assert join_stubs([spec(first), spec(second)]) == f"{spec(first).stub}\n{spec(second).stub}"


def test_the_prompt_and_a_repair_join_the_stubs_of_tools_that_programs_call_and_of_direct_ones() -> None:
    direct = [as_tool(one, name=f"direct_{one.__name__}", options=ToolOptions(direct=True)).spec for one in (pay, find)]
    text = prompt.write_first_messages("Go.", [*map(spec, (cancel, pay)), *direct]).pop().content
    assert text.count(ORDER) == 2
    outcome = RunOutcome(failure=ProgramFailure(kind="E", message="e", traceback="e"))
    assert (
        prompt.report_failure(outcome, [], "", map(spec, (cancel, pay)), max_characters=100).message.content.count(
            ORDER
        )
        == 1
    )


TEXT = st.text("ab :#\n()", max_size=60) | st.sampled_from(
    [
        "A.\n\nArgs:\n    key: the key of it, which is long\n    more: x",
        "B\n\nThe same paragraph, with two\n  lines.\n\nEnd.",
    ]
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_no_word_is_lost_and_each_line_belongs_to_a_tool_or_a_header(texts: list[tuple[str, str]]) -> None:
    specs = []
    for number, (description, note) in enumerate(texts):

        def take(key: int, more: int = 1) -> None: ...

        take.__annotations__["key"] = Annotated[int, note]
        specs.append(as_tool(take, name=f"tool{number}", description=description).spec)
    lines = join_stubs(specs).splitlines()
    stubs = {line.strip() for one in specs for line in one.stub.splitlines()}
    headers = {"All tools:", "Parameters of several tools:"}
    said = {line.strip() for line in lines}
    assert {line for line in stubs if line not in ("Args:", "")} - said == set()
    rest = said - stubs - headers
    assert all(set(line.rstrip(":").split(", ")) <= {one.name for one in specs} for line in rest)
    assert len("\n".join(lines)) <= len("\n".join(one.stub for one in specs))
