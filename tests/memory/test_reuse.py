"""Recorded programs: when they answer a prompt, when the model is asked, and why. With the real sandbox."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas
import pytest
import pytest_asyncio

from codeact_kernel.approval import AutoApprove
from codeact_kernel.errors import CodeActError, ModelError
from codeact_kernel.events import Event, Notice
from codeact_kernel.memory.lock import parse_lock
from codeact_kernel.memory.lock_folder import LockFolder, TrustedLocks
from codeact_kernel.memory.reuse import Reuse, StaleLock
from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.settings import Settings
from codeact_kernel.tools import Registry, ToolCallError, tool
from codeact_kernel.types import TurnResult

from ..warm import WarmPool

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUM = "sum(order['revenue'] for order in get_orders(2025))"


@tool
def get_orders(year: int) -> list[dict]:
    """Orders of a year."""
    return [{"region": "Europe", "revenue": 2.0}, {"region": "Asia", "revenue": 3.0}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm() -> AsyncIterator[WarmPool]:
    warm = WarmPool()
    yield warm
    await warm.aclose()


class Notebook:
    """The prompts of one notebook: each kernel is new, and the folder stays."""

    def __init__(self, warm: WarmPool, folder: Path) -> None:
        self.warm, self.folder = warm, folder
        self.trusted = TrustedLocks(folder / "own" / "trusted")
        self.asked = 0
        self.notices: list[str] = []

    @property
    def files(self) -> list[Path]:
        return sorted((self.folder / ".codeact" / "prompts").glob("*.json"))

    @property
    def lock(self) -> dict:
        (file,) = self.files
        return json.loads(file.read_text())

    def change(self, change: Callable[[str], str]) -> None:
        (file,) = self.files
        file.write_text(change(file.read_text()))

    async def run(
        self, *asks: str, answers: tuple[str, ...] = (), tools: tuple = (get_orders,), settings=None, **options
    ) -> TurnResult:
        """Run prompts in a new kernel, and return the result of the last one."""
        registry, self.notices = Registry(), []
        for function in tools:
            registry.add(function)
        model = ScriptedModel([f"```python\n{text}\n```" if "(words)" not in text else text for text in answers])

        def note(event: Event) -> None:
            if isinstance(event, Notice):
                self.notices.append(event.text)

        reuse = Reuse(LockFolder(self.folder, self.trusted))
        async with self.warm.session(registry, reuse=reuse) as session:
            try:
                for ask in asks:
                    result = await session.ask(ask, model=model, settings=settings or Settings(), emit=note, **options)
            finally:
                self.asked = len(model.asked)
        return result


@pytest.fixture
def notebook(warm: WarmPool, tmp_path: Path) -> Notebook:
    return Notebook(warm, tmp_path)


async def test_the_first_run_in_a_new_kernel_asks_no_model(notebook):
    first = await notebook.run("Revenue", answers=(SUM,))
    again = await notebook.run("Revenue")
    assert (first.value, again.value) == (5.0, 5.0)
    assert (notebook.asked, again.model_turns, again.usage.prompt_tokens) == (0, 0, 0)
    assert again.note.startswith("The recorded program of ")
    assert "unchanged since: no model was asked. Run the cell again to ask the model." in again.note


async def test_running_it_again_in_the_same_kernel_asks_the_model(notebook):
    await notebook.run("Revenue", answers=(SUM,))
    result = await notebook.run("Revenue", "Revenue", answers=("1",))
    assert (result.value, notebook.asked) == (1, 1)


async def test_white_space_does_not_make_another_prompt(notebook):
    await notebook.run("Revenue of  this year", answers=(SUM,))
    await notebook.run("Revenue of\nthis year ")
    assert notebook.asked == 0


async def test_a_prompt_without_a_configured_model_is_answered_too(notebook):
    await notebook.run("Revenue", answers=(SUM,))

    async def choose():
        raise ModelError("No model is configured.")

    reuse = Reuse(LockFolder(notebook.folder, notebook.trusted))
    async with notebook.warm.session([get_orders], reuse=reuse) as session:
        assert (await session.ask("Revenue", model=choose, settings=Settings())).value == 5.0


async def test_an_identical_turn_changes_no_byte_of_the_file(notebook):
    await notebook.run("Revenue", answers=(SUM,))
    before = notebook.files[0].read_bytes()
    await notebook.run("Revenue")
    await notebook.run("Revenue", "Revenue", answers=(SUM,))
    assert notebook.files[0].read_bytes() == before


async def test_a_changed_tool_makes_the_prompts_stale_that_use_it_and_no_others(notebook):
    await notebook.run("Revenue", "Six times seven", answers=(SUM, "6 * 7"))

    @tool(name="get_orders")
    def changed(year: int, top: int = 5) -> list[dict]:
        """Orders of a year."""
        return []

    result = await notebook.run("Revenue", "Six times seven", answers=(SUM,), tools=(changed,))
    assert (result.value, notebook.asked) == (42, 1)
    expected = "cannot be used: get_orders has a new parameter `top: int = 5`."
    assert any(expected in notice for notice in notebook.notices)


def _other_type(year: str) -> list[dict]:
    """Orders of a year."""
    return []


def _other_words(year: int) -> list[dict]:
    """Orders, with taxes."""
    return []


def _other_result(year: int) -> dict:
    """Orders of a year."""
    return {}


def _no_parameter() -> list[dict]:
    """Orders of a year."""
    return []


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (_other_type, "the parameter `year: int` of get_orders is now `year: str`"),
        (_other_words, "the description of get_orders has changed"),
        (_other_result, "get_orders returns `dict` instead of `list[dict]`"),
        (_no_parameter, "get_orders no longer has the parameter `year`"),
        (None, "get_orders is not offered"),
    ],
)
async def test_the_card_says_what_changed(notebook, function, reason):
    await notebook.run("Revenue", answers=(SUM,))
    tools = () if function is None else (tool(name="get_orders")(function),)
    with pytest.raises(StaleLock, match="has no recorded program that fits") as caught:
        await notebook.run("Revenue", tools=tools, settings=Settings(reuse="always"))
    assert reason in str(caught.value)


async def test_a_new_tool_changes_nothing(notebook):
    await notebook.run("Revenue", answers=(SUM,))

    @tool
    def other() -> int:
        """Something else."""
        return 1

    await notebook.run("Revenue", tools=(get_orders, other))
    assert notebook.asked == 0


async def test_another_schema_of_a_variable_makes_a_prompt_stale_and_other_rows_do_not(notebook):
    total = "sum(df['a'])"
    await notebook.run("Total", answers=(total,), inputs={"df": pandas.DataFrame({"a": [1, 2]})})
    result = await notebook.run("Total", inputs={"df": pandas.DataFrame({"a": [5, 6, 7]})})
    assert (result.value, notebook.asked) == (18, 0)
    await notebook.run("Total", answers=(total,), inputs={"df": pandas.DataFrame({"a": [1], "b": [2]})})
    assert notebook.asked == 1
    assert any("the variable df has another schema" in notice for notice in notebook.notices)


async def test_a_follow_up_is_answered_from_the_record_with_the_new_value_before_it(notebook):
    await notebook.run("Revenue", "Twice that", answers=(SUM, "2 * previous"))
    assert (await notebook.run("Revenue", "Twice that")).value == 10.0
    assert notebook.asked == 0


async def test_a_prompt_after_another_prompt_than_before_asks_the_model(notebook):
    await notebook.run("Revenue", "Twice that", answers=(SUM, "2 * previous"))
    await notebook.run("Six times seven", "Twice that", answers=("6 * 7", "2 * previous"))
    assert any("it followed “Revenue”, and now it follows “Six times seven”" in notice for notice in notebook.notices)


async def test_a_cell_that_is_run_alone_uses_its_program_unless_that_reads_earlier_results(notebook):
    await notebook.run("Revenue", "Of Asia", "Twice that", answers=(SUM, "3.0", "2 * previous"))
    assert (await notebook.run("Of Asia")).value == 3.0
    assert notebook.asked == 0
    await notebook.run("Twice that", answers=("1",))
    assert notebook.asked == 1


async def test_a_recorded_program_that_fails_goes_to_the_model_for_repair(notebook):
    await notebook.run("Revenue", answers=(SUM,))

    @tool(name="get_orders")
    def renamed(year: int) -> list[dict]:
        """Orders of a year."""
        return [{"region": "Europe", "amount": 7.0}]

    fixed = SUM.replace("revenue", "amount")
    result = await notebook.run("Revenue", answers=(fixed,), tools=(renamed,), settings=Settings(max_retries=0))
    assert (result.value, result.model_turns) == (7.0, 1)
    assert "The recorded program failed, so the model is asked to correct it." in notebook.notices
    assert (await notebook.run("Revenue", tools=(renamed,))).value == 7.0
    assert notebook.asked == 0, "the corrected program is recorded"


async def test_with_always_a_recorded_program_that_fails_is_the_end(notebook):
    await notebook.run("Revenue", answers=(SUM,))

    @tool(name="get_orders")
    def renamed(year: int) -> list[dict]:
        """Orders of a year."""
        return [{}]

    result = await notebook.run("Revenue", tools=(renamed,), settings=Settings(reuse="always"))
    assert (result.error.kind, notebook.asked) == ("KeyError", 0)


async def test_with_never_the_model_is_asked_and_nothing_is_recorded(notebook):
    never = Settings(reuse="never")
    await notebook.run("Revenue", answers=(SUM,), settings=never)
    assert notebook.files == []
    await notebook.run("Revenue", answers=(SUM,))
    await notebook.run("Revenue", answers=("1",), settings=never)
    assert (notebook.asked, notebook.lock["programs"]) == (1, [[SUM]])


async def test_a_pinned_program_is_kept_also_when_the_cell_is_run_again(notebook):
    reuse = Reuse(LockFolder(notebook.folder, notebook.trusted))
    model = ScriptedModel([f"```python\n{SUM}\n```", "```python\n1\n```"])
    async with notebook.warm.session([get_orders], reuse=reuse) as session:
        await session.ask("Revenue", model=model)
        reuse.pin(is_pinned=True)
        assert (await session.ask("Revenue", model=model)).value == 5.0
        reuse.pin(is_pinned=False)
        assert (await session.ask("Revenue", model=model)).value == 1


async def test_a_pinned_program_is_kept_when_it_fails_once(notebook):
    lists = [[{"revenue": 2.0}], [], [{"revenue": 3.0}]]

    def orders(year: int) -> list[dict]:
        """Orders of a year."""
        return lists.pop(0)

    orders.__name__ = "get_orders"
    tools = (tool(read_only=True)(orders),)
    await notebook.run("First", answers=("get_orders(2025)[0]['revenue']",), tools=tools)
    reuse = Reuse(
        LockFolder(notebook.folder, notebook.trusted), last_key=parse_lock(notebook.files[0].read_bytes()).key
    )
    reuse.pin(is_pinned=True)
    lists.insert(1, [])
    result = await notebook.run("First", answers=("len(get_orders(2025))",), tools=tools)
    assert (result.value, notebook.asked) == (0, 1)
    assert ((await notebook.run("First", tools=tools)).value, notebook.asked) == (3.0, 0)


async def test_approvals_are_asked_as_always(notebook):
    calls = []

    @tool(approval_mode="always_require")
    def send(to: str) -> str:
        """Send."""
        calls.append(to)
        return "sent"

    await notebook.run("Send", answers=("send('a')",), tools=(send,), approver=AutoApprove())
    result = await notebook.run("Send", tools=(send,), settings=Settings(max_retries=0))
    assert (result.error.kind, calls) == ("ToolDenied", ["a"])


async def test_an_answer_in_words_is_recorded_as_well(notebook):
    words = "(words) The middle value."
    await notebook.run("What is a median?", answers=(words,), tools=())
    again = await notebook.run("What is a median?", tools=())
    assert (again.answer, notebook.asked) == (words, 0)


async def test_an_answer_in_words_next_to_tools_is_repeated_without_asking_for_a_call(notebook):
    words = "(words) The middle value."
    await notebook.run("What is a median?", answers=(words, words))
    again = await notebook.run("What is a median?")
    assert (again.answer, notebook.asked) == (words, 0)


async def test_a_recorded_program_that_asks_to_see_data_again_runs_once_and_the_model_goes_on(notebook):
    program = "orders = get_orders(2025)\nlen(orders) if orders else observe('no orders')"
    await notebook.run("How many?", answers=(program,))
    calls = []

    def no_orders(year: int) -> list[dict]:
        """Orders of a year."""
        calls.append(year)
        return []

    no_orders.__name__ = "get_orders"
    result = await notebook.run("How many?", answers=("0",), tools=(tool(no_orders),))
    assert (result.value, len(calls), notebook.asked) == (0, 1, 1)
    assert "The recorded program asked to see data, so the model is asked to go on." in notebook.notices


async def test_with_always_a_recorded_program_that_asks_to_see_data_again_is_an_error(notebook):
    await notebook.run("How many?", answers=("1 if get_orders(2025) else observe(0)",))

    def no_orders(year: int) -> list[dict]:
        """Orders of a year."""
        return []

    no_orders.__name__ = "get_orders"
    result = await notebook.run("How many?", tools=(tool(no_orders),), settings=Settings(reuse="always"))
    assert result.error is not None
    assert "asked to see data" in str(result.error)


async def test_a_program_that_builds_on_an_observation_is_recorded_with_it(notebook):
    look, use = "orders = get_orders(2025)\nobserve(orders[0])", "len(orders)"
    await notebook.run("How many?", answers=(look, use))
    assert notebook.lock["programs"] == [look.split("\n"), [use]]
    assert (await notebook.run("How many?")).value == 2
    assert notebook.asked == 0


async def test_a_program_that_builds_on_one_that_failed_is_not_recorded(notebook):
    await notebook.run("Go", answers=("x = 5\n1 / 0", "x + 1"))
    assert notebook.files == []


async def test_a_program_is_not_recorded_if_a_failed_one_before_it_had_an_effect_that_it_lacks(notebook):
    await notebook.run("Go", answers=("get_orders(2025)\n1 / 0", "42"))
    assert notebook.files == []
    await notebook.run("Again", answers=("get_orders(2025)\n1 / 0", SUM))
    assert len(notebook.files) == 1


async def test_a_turn_that_failed_is_not_recorded(notebook):
    await notebook.run("Go", answers=("1 / 0",), settings=Settings(max_retries=0))
    assert notebook.files == []


async def test_a_lock_holds_no_values_of_inputs_and_no_secrets(notebook):
    @tool
    def get_key(name: str) -> str:
        """A key."""
        return "sk-live-1234567890abcdef1234"

    frame = pandas.DataFrame({"customer": ["confidential"]})
    await notebook.run("Go", answers=("(len(df), get_key('x'))[0]",), tools=(get_key,), inputs={"df": frame})
    text = notebook.files[0].read_text()
    assert "confidential" not in text
    assert "sk-live" not in text
    assert '"digest"' in text


async def test_a_large_result_is_a_digest(notebook):
    @tool
    def rows() -> list[dict]:
        """Rows."""
        return [{"n": n, "text": "x" * 50} for n in range(5_000)]

    await notebook.run("Go", answers=("len(rows())",), tools=(rows,))
    assert notebook.files[0].stat().st_size < 4_000


async def test_a_lock_of_somebody_else_does_not_run_before_it_is_trusted(notebook):
    await notebook.run("Revenue", answers=(SUM,))
    before = notebook.files[0].read_bytes()
    stranger = Notebook(notebook.warm, notebook.folder)
    stranger.trusted = TrustedLocks(notebook.folder / "other" / "trusted")
    assert (await stranger.run("Revenue", answers=("1",))).value == 1
    assert any("%codeact locks trust lets them run" in notice for notice in stranger.notices)
    assert notebook.files[0].read_bytes() == before, "and it is not overwritten"
    stranger.trusted.add(parse_lock(before))
    await stranger.run("Revenue")
    assert stranger.asked == 0


async def test_any_change_of_a_trusted_lock_ends_the_trust(notebook):
    await notebook.run("Revenue", answers=(SUM,))
    notebook.change(lambda text: text.replace("get_orders(2025)", "get_orders(1999)"))
    await notebook.run("Revenue", answers=("1",))
    assert notebook.asked == 1


async def test_line_endings_that_git_changes_do_not_end_the_trust(notebook):
    await notebook.run("Revenue", answers=(SUM,))
    (file,) = notebook.files
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    await notebook.run("Revenue")
    assert notebook.asked == 0


CONFLICT = '{\n"codeact_lock": 1,\n<<<<<<< HEAD\n"ask": "a"\n=======\n"ask": "b"\n>>>>>>> other\n}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a recorded program"),
        ("[" * 100_000, "is not a recorded program"),
        ("{}", "is not a recorded program"),
        ('{"codeact_lock": 2}', "was written by a newer version: update codeact-kernel"),
        ('{"codeact_lock": 1, "ask": "Revenue", "recorded": "x", "ask": "y"}', "is not a recorded program"),
        (
            '{"codeact_lock": 1, "ask": "Revenue", "recorded": "2026-11-30T00:00:00+00:00", "evil": 1}',
            "is not a recorded program (evil)",
        ),
        ('{"codeact_lock": 1, "ask": "Revenue", "recorded": "x", "programs": "os"}', "(programs)"),
        (CONFLICT, "has an unresolved merge conflict: resolve it, or delete the file"),
        ("x" * (2 << 20), "is not a recorded program"),
    ],
)
async def test_a_damaged_lock_is_one_sentence_and_never_runs_nor_is_overwritten(notebook, text, reason):
    await notebook.run("Revenue", answers=(SUM,))
    notebook.change(lambda _: text)
    assert (await notebook.run("Revenue", answers=("1",))).value == 1
    (notice,) = [notice for notice in notebook.notices if reason in notice]
    assert "\n" not in notice
    assert notebook.files[0].read_text() == text


async def test_a_folder_that_cannot_be_written_loses_nothing_and_is_reported_once(notebook):
    (notebook.folder / ".codeact").write_text("a file in the way")
    result = await notebook.run("Revenue", "Again", answers=(SUM, "2"))
    assert result.value == 2


@pytest.mark.skipif(os.name != "posix", reason="links need a right on Windows")
async def test_nothing_is_written_through_a_link(notebook, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (notebook.folder / ".codeact").symlink_to(elsewhere)
    await notebook.run("Revenue", answers=(SUM,))
    assert list(elsewhere.rglob("*.json")) == []


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX modes")
async def test_a_list_of_trusted_locks_that_others_can_write_trusts_nothing(notebook):
    await notebook.run("Revenue", answers=(SUM,))
    own = notebook.folder / "own" / "trusted"
    own.chmod(0o666)
    fresh = Notebook(notebook.warm, notebook.folder)
    await fresh.run("Revenue", answers=("1",))
    assert fresh.asked == 1


async def test_a_hostile_program_of_a_trusted_lock_is_checked_and_sandboxed_like_any_other(notebook):
    await notebook.run("Go", answers=("1",))
    notebook.change(lambda text: text.replace('"1"', "\"import os; os.system('touch /tmp/escaped')\""))
    notebook.trusted.add(parse_lock(notebook.files[0].read_bytes()))
    result = await notebook.run("Go", settings=Settings(reuse="always"))
    assert result.error is not None
    assert not Path("/tmp/escaped").exists()


async def test_two_kernels_in_one_folder_do_not_disturb_each_other(notebook):
    await notebook.run("Revenue", answers=(SUM,))
    await notebook.run("Other", answers=("2",))
    assert (await notebook.run("Revenue")).value == 5.0
    assert len(notebook.files) == 2


async def test_a_model_error_is_an_error_as_without_records(notebook):
    with pytest.raises(CodeActError):
        await notebook.run("Revenue")


async def test_a_follow_up_depends_on_the_keys_that_it_reads_and_not_on_the_data(notebook):
    def make(*orders: dict) -> tuple:
        @tool
        def get_orders(year: int) -> list[dict]:
            """Orders of a year."""
            return list(orders)

        return (get_orders,)

    answers = ("get_orders(2025)", "len([row['revenue'] for row in previous])")
    await notebook.run("Orders", "How many?", answers=answers, tools=make({"revenue": 2.0}))
    more = make({"revenue": 2.0, "note": "new"}, {"revenue": 3.0, "note": None})
    assert (await notebook.run("Orders", "How many?", tools=more)).value == 2
    await notebook.run("Orders", "How many?", answers=("0",), tools=make({"revenue": "much"}))
    assert "the earlier result previous has another shape" in notebook.notices[-1]


@tool(read_only=True)
def get_total(customer: str) -> float:
    """Revenue of a customer."""
    return 5.0


@tool
def send(text: str) -> str:
    """Send a mail."""
    return "sent"


async def test_a_program_that_may_hold_what_the_model_saw_is_not_recorded(notebook):
    await notebook.run("Total", answers=("observe(get_total(customer='A'))", "5.0"), tools=(get_total,))
    assert notebook.files == []


async def test_a_program_that_looks_again_is_recorded(notebook):
    answers = ("observe(get_total(customer='A'))", "get_total(customer='A') + 1")
    await notebook.run("Total", answers=answers, tools=(get_total,))
    assert notebook.lock["programs"] == [[answers[1]]]


async def test_a_program_is_not_recorded_if_a_failed_one_before_it_had_the_same_effect_more_often(notebook):
    await notebook.run("Thrice", answers=("send(text='a')\nsend(text='a')\n1/0", "send(text='a')"), tools=(send,))
    assert notebook.files == []


@pytest.mark.parametrize("program", ["[float('nan'), float('inf')]", "[send(text='x') for _ in range(3)]"])
async def test_a_lock_can_always_be_read_again(notebook, program):
    failures = "n = 0\nfor i in range(400):\n    try:\n        fail(n=i)\n    except Exception:\n        n += 1\n"

    @tool
    def fail(n: int) -> int:
        """Fail."""
        raise ToolCallError("e" * 30_000)

    await notebook.run("Go", answers=(failures + program,), tools=(send, fail))
    await notebook.run("Go", tools=(send, fail))
    assert (notebook.asked, notebook.notices) == (0, [])


@pytest.mark.parametrize("ask", ["Hello \ud800", "word " * 50_000])
async def test_a_prompt_that_no_file_can_hold_is_answered_and_not_recorded(notebook, ask):
    result = await notebook.run(ask, "Again", answers=("1", "2"))
    assert result.value == 2
    assert any("is not recorded" in notice for notice in notebook.notices)


async def test_a_prompt_or_program_with_a_secret_is_not_recorded(notebook, monkeypatch):
    monkeypatch.setenv("SHOP_API_KEY", "s3cr3t-value-xyz")
    await notebook.run("Log in with s3cr3t-value-xyz", answers=("1",))
    await notebook.run("Log in", answers=("key = 's3cr3t-value-xyz'\n1",))
    assert notebook.files == []


async def test_a_lock_holds_no_keys_of_the_dicts_of_the_notebook(notebook):
    await notebook.run("Sum", answers=("sum(scores.values())",), inputs={"scores": {"Anna": 1}})
    assert "Anna" not in notebook.files[0].read_text()
    await notebook.run("Sum", answers=("0",), inputs={"scores": {"Anna": 1, "Ben": 2}})
    assert any("the variable scores has another schema" in notice for notice in notebook.notices)


@pytest.mark.parametrize("read", ["results.get(1)", "list(results.values())[-1]", "results[max(results)]"])
async def test_a_program_that_reads_results_in_any_way_depends_on_them(notebook, read):
    await notebook.run("First", "Second", answers=("[1, 2]", f"len({read})"))
    result = await notebook.run("Second", answers=("0",))
    assert (notebook.asked, result.attempts) == (1, 1)


@pytest.mark.parametrize("name", ["results", "previous"])
async def test_a_program_with_a_variable_of_its_own_does_not_depend_on_earlier_results(notebook, name):
    await notebook.run("First", "Second", answers=("[1, 2]", f"{name} = [3]\nlen({name})"))
    assert (await notebook.run("Second")).value == 1


async def test_the_number_of_rows_before_a_follow_up_is_data(notebook):
    rows = [{"region": "Europe", "revenue": 2.0}]

    def orders(year: int) -> list[dict]:
        """Orders of a year."""
        return rows

    orders.__name__ = "get_orders"
    answers = ("[{'revenue': row['revenue']} for row in get_orders(2025)]", "len(previous)")
    await notebook.run("Orders", "How many?", answers=answers, tools=(tool(orders),))
    rows.append(rows[0])
    assert (await notebook.run("Orders", "How many?", tools=(tool(orders),))).value == 2


async def test_keys_that_only_a_recorded_program_saw_stay_unknown_to_the_model(notebook):
    table = pandas.DataFrame({"name": ["x"], "revenue": [1.0]})
    await notebook.run("Sum", answers=("{row['name']: row['revenue'] for row in df}",), inputs={"df": table})
    other = pandas.DataFrame({"name": ["Patient Zero"], "revenue": [1.0]})
    result = await notebook.run("Sum", inputs={"df": other})
    assert (result.value, result.shape) == ({"Patient Zero": 1.0}, "dict[str, float]")


@pytest.mark.parametrize("number", ["nan", "inf"])
async def test_a_call_with_a_number_that_json_lacks_ends_well_and_is_recorded(notebook, number):
    @tool
    def save(level: float) -> str:
        """Save a level."""
        return "saved"

    result = await notebook.run("Save", answers=(f"save(level=float('{number}'))",), tools=(save,))
    assert result.value == "saved"
    assert (await notebook.run("Save", tools=(save,))).value == "saved"
    assert notebook.asked == 0


@pytest.mark.parametrize("program", ["call_tool('se' + 'nd', text='x')", "globals()['se' + 'nd'](text='x')"])
async def test_a_tool_that_a_program_calls_without_its_name_is_a_dependency_too(notebook, program):
    await notebook.run("Send", answers=(program,), tools=(send,))
    result = await notebook.run("Send", answers=("0",), tools=())
    assert (result.value, result.attempts) == (0, 1)
    assert any("send is not offered" in notice for notice in notebook.notices)


async def test_a_lock_of_somebody_else_for_another_place_does_not_keep_a_prompt_from_being_recorded(notebook):
    await notebook.run("First", "Second", answers=("1", "2"))
    notebook.trusted = TrustedLocks(notebook.folder / "of another user" / "trusted")
    await notebook.run("Second", answers=("3",))
    assert ((await notebook.run("Second")).value, notebook.asked) == (3, 0)


@pytest.mark.parametrize("look", ["observe(get_total(customer='A'))", "print(get_total(customer='A'))\n1 / 0"])
async def test_an_action_with_a_value_that_the_model_saw_is_not_repeated(notebook, look):
    await notebook.run("Send the total", answers=(look, "send(text='5.0')"), tools=(get_total, send))
    assert notebook.files == []


async def test_a_program_is_not_recorded_if_a_failed_one_before_it_wrote_files(notebook):
    (notebook.folder / "shared").mkdir()
    settings = Settings(file_mounts=[f"{notebook.folder / 'shared'}:/input/shared:rw"])
    write = "open('/input/shared/{}', 'w').write('x')\n{}"
    await notebook.run("Write", answers=(write.format("a", "1 / 0"), write.format("b", "2")), settings=settings)
    assert notebook.files == []


async def test_threads_of_one_process_can_record_at_the_same_time(notebook):
    await notebook.run("Revenue", answers=(SUM,))
    lock = parse_lock(notebook.files[0].read_bytes())

    def write() -> None:
        for _ in range(50):
            LockFolder(notebook.folder, TrustedLocks()).write(lock)

    with ThreadPoolExecutor(4) as threads:
        for writing in [threads.submit(write) for _ in range(4)]:
            writing.result()
    assert len(list(notebook.files[0].parent.iterdir())) == 1


async def test_a_table_that_is_larger_than_a_value_may_be_is_handed_over_and_recorded(notebook):
    program = "table = [{'number': number, 'text': str(number)} for number in range(300_000)]"
    result = await notebook.run("Make a table", answers=(program,), outputs=("table",))
    assert result.outputs["table"].rows == 300_000
    assert (await notebook.run("Make a table", outputs=("table",))).outputs["table"].rows == 300_000
    assert notebook.asked == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([{"revenue": 2}], [{"revenue": 2.5}, {"revenue": None}]),
        ([{"revenue": 2.0}], []),
        ([], [{"revenue": 2.0}]),
        ([{"revenue": 1}], [{"revenue": 1, "note": "new"}]),
    ],
)
async def test_other_data_before_a_follow_up_does_not_make_it_stale(notebook, before, after):
    def make(rows: list) -> tuple:
        @tool(name="get_rows")
        def rows_of() -> list[dict]:
            """Rows."""
            return rows

        return (rows_of,)

    answers = ("get_rows()", "len([row['revenue'] for row in previous])")
    await notebook.run("Rows", "How many?", answers=answers, tools=make(before))
    assert (await notebook.run("Rows", "How many?", tools=make(after))).value == len(after)
    assert notebook.asked == 0


async def test_an_answer_in_words_depends_on_all_tools_and_is_not_recorded_if_the_model_saw_values(notebook):
    words = "(words) It returns the orders of a year."
    await notebook.run("What does get_orders do?", answers=(words, words))

    @tool(name="get_orders")
    def changed(year: int, top: int = 5) -> list[dict]:
        """Orders of a year."""
        return []

    await notebook.run("What does get_orders do?", answers=(words, words), tools=(changed,))
    assert notebook.asked > 0
    table = pandas.DataFrame({"a": [1]})
    before = len(notebook.files)
    await notebook.run("Describe df", answers=(words,), tools=(), inputs={"df": table})
    assert len(notebook.files) == before
    await notebook.run("Describe df", answers=(words,), tools=(), inputs={"df:schema": table})
    assert len(notebook.files) == before + 1


async def test_a_program_does_not_read_the_result_of_another_prompt_than_before(notebook):
    await notebook.run("Of Asia", "Of Europe", "The first", answers=("[1]", "[2]", "results[1]"))
    await notebook.run("Of Europe", "Of Asia", "Of Europe", "The first", answers=("[2]", "[1]", "[2]", "results[1]"))
    assert any("the earlier result 1 is that of another prompt" in notice for notice in notebook.notices)


async def test_a_follow_up_does_not_run_after_another_program_than_the_one_that_the_model_saw(notebook):
    await notebook.run("Revenue", "Same for Asia", answers=(SUM, "3.0"))
    await notebook.run("Revenue", "Revenue", "Same for Asia", answers=("6 * 7", "42.0"))
    assert any("the program before has changed" in notice for notice in notebook.notices)
    assert notebook.asked == 2
