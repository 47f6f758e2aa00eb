"""The CodeAct kernel: a Python kernel that takes prompts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeact_kernel.jupyter.kernelspecs import install

from .conftest import Notebook, console

ANSWER = "```python\nmax(get_orders(user_id=2))\n```"
WARM = """
import psutil, time
while not any('codeact_kernel.sandbox.worker_main' in ' '.join(child.cmdline()) for child in psutil.Process().children()):
    time.sleep(0.05)
print('warm')
"""
TOOL = "@tool\ndef get_orders(user_id: int) -> list[int]:\n    'Orders of one user.'\n    return {1: [3, 4], 2: [50]}[user_id]\n"


def start(folder: Path, working: Path | None = None, **environment: str) -> Notebook:
    """A kernel that was installed as a user does it, in `folder`, for a Jupyter that has no other way to find it."""
    install(user=False, prefix=str(folder), name="codeact-test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "share" / "jupyter"))
        return Notebook(working or folder, kernel_name="codeact-test", **environment)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    notebook = start(tmp_path_factory.mktemp("own"))
    try:
        yield notebook
    finally:
        notebook.close()


def ask(own: Notebook, cell: str, *answers: str):
    own.do(f"import codeact as _c\n_c.use(_c.ScriptedModel({list(answers or (ANSWER,))!r}))")
    own.do("%config CodeAct.approval_ui = 'stdin'")
    return own.run(cell)


def test_kernel_info_says_what_it_is_and_that_it_is_python(own):
    own.client.kernel_info()
    info = own.reply("kernel_info")
    assert info["implementation"] == "codeact"
    assert info["language_info"]["name"] == "python"
    assert info["language_info"]["mimetype"] == "text/x-python"
    assert info["banner"].startswith("CodeAct ")
    assert "debugger" in info["supported_features"] if "supported_features" in info else info["debugger"] is True


def test_a_tool_and_a_prompt_need_no_import_and_no_magic(own):
    own.do(TOOL)
    cell = ask(own, "> What did user 2 spend at most?")
    assert cell.status == "ok", cell.errors
    assert "→ get_orders(user_id=2) = [50]" in cell.text
    assert own.get("(codeact.results[-1].ask, codeact.results[-1].value)") == ("What did user 2 spend at most?", 50)


def test_a_prompt_may_have_lines_and_options(own):
    own.do(TOOL)
    cell = ask(own, "> --out most --max-retries 0\nWhat did user 2\nspend at most?")
    assert cell.status == "ok", cell.errors
    assert own.get("(codeact.results[-1].ask, most)") == ("What did user 2\nspend at most?", 50)


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ("> ", "The prompt is missing"),
        ("> --modl x Go.", "--modl is not known: did you mean --model?"),
        ("> --timeout soon Go.", "--timeout: 'soon' is not a number of seconds"),
    ],
)
def test_a_mistake_in_a_prompt_is_a_sentence(own, cell, error):
    (shown,) = own.run(cell).errors
    assert error in shown


def test_the_magics_are_there_as_well(own):
    assert "%codeact doctor" in own.do("%codeact help").stdout
    own.do(TOOL)
    assert ask(own, "%%codeact\nGo.").status == "ok"


def test_tool_is_no_variable_of_the_notebook_and_outlives_a_reset(own):
    assert "tool" not in own.do("%who").stdout.split()
    own.do("%reset -f")
    own.do(TOOL)
    own.do("def tool(x): return x\nassert tool(1) == 1\ndel tool\ntool")


def test_a_tool_without_a_docstring_is_warned_of_at_the_users_own_line(own):
    for decorator in ("@tool", "@tool(max_invocations=3)"):
        shown = own.run(f"import warnings\n\n{decorator}\ndef bare{len(decorator)}(x):\n    return x").stream("stderr")
        assert "Add a docstring and type hints for x" in shown
        assert "ipykernel_" in shown, shown
        assert ":3:" in shown or ":4:" in shown


def test_python_cells_are_python(own):
    own.do("import json, asyncio\nx = 3\nassert x > 2")
    own.do("await asyncio.sleep(0)")
    own.do("%timeit -n1 -r1 pass")
    own.do("%%capture out\nprint('> not a prompt')")
    assert own.run("'''\n> not a prompt\n'''").status == "ok"
    assert own.get("out.stdout") == "> not a prompt\n"
    assert "SyntaxError" in own.run("x >").errors[0]


def test_a_module_beside_the_notebook_can_be_imported_as_ever(own):
    own.do("open('beside_me.py', 'w').write('x = 7')\nimport beside_me\nassert beside_me.x == 7")
    stock = own.get("__import__('sys').path")
    assert "" in stock
    assert stock.index("") < min(n for n, path in enumerate(stock) if path.endswith("site-packages"))


def test_a_folder_named_as_we_are_beside_the_notebook_is_not_taken_for_us(tmp_path):
    for name in ("codeact", "codeact_kernel"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("open('ran', 'w').close()\nraise SystemExit")
    notebook = start(tmp_path)
    try:
        notebook.do("%codeact tools")
        notebook.do(TOOL)
        assert ask(notebook, "> Go.").status == "ok"
        assert not (tmp_path / "ran").exists()
    finally:
        notebook.close()


def test_prose_without_the_marker_is_pythons_error_and_a_hint(own):
    cell = own.run("Show the totals per user")
    assert any("SyntaxError" in error for error in cell.errors)
    assert "To ask the model, begin the cell with > and a space." in cell.stream("stderr")
    # IPython looks for help on the last word.
    assert "To ask the model" in own.run("Which user spent the most?").stream("stderr")
    assert "To ask" not in own.run("x = 1\nx?").stream("stderr")
    assert "To ask" not in own.run("x = (1").stream("stderr")


def test_with_auto_a_sentence_is_a_prompt_and_python_is_python(own):
    own.do(TOOL)
    try:
        assert "auto" in own.do("%codeact kernel auto").stdout
        cell = ask(own, "What did user 2 spend at most?")
        assert cell.status == "ok"
        assert "begin the cell" not in cell.stream("stderr")
        assert own.get("codeact.results[-1].ask") == "What did user 2 spend at most?"
        assert any("SyntaxError" in error for error in own.run("import numpy s np").errors)
        assert own.run("x = 1\nx?").status == "ok"
    finally:
        own.do("%codeact kernel marker")


def test_with_python_nothing_is_a_prompt_but_what_the_magic_is_given(own):
    own.do(TOOL)
    try:
        own.do("%codeact kernel python")
        cell = own.run("> Show what user 2 spent")
        assert "SyntaxError" in cell.errors[0]
        assert "begin the cell" not in cell.stream("stderr")
        assert ask(own, "%%codeact\nGo.").status == "ok"
    finally:
        own.do("%codeact kernel marker")


def test_an_unknown_mode_is_a_sentence(own):
    (shown,) = own.run("%codeact kernel prose").errors
    assert "%codeact kernel: 'prose' is not one of python, marker, auto" in shown


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("> Which user?", "complete"),
        ("> Which user?\nand why", "complete"),
        ("> Which user \\", "incomplete"),
        ("> ", "complete"),
        ("x = 1", "complete"),
        ("for x in y:", "incomplete"),
        ("x = (", "incomplete"),
        ("x >", "invalid"),
        (">x", "complete"),
        ("%%codeact", "incomplete"),
    ],
)
def test_a_console_is_told_whether_a_cell_is_complete(own, code, status):
    own.client.is_complete(code)
    assert own.reply("is_complete")["status"] == status


def test_tab_knows_tool_and_its_options(own):
    assert "tool" in own.complete("too")
    assert "tool" in own.complete("@too")
    assert "approval_mode=" in own.complete("@tool(appr")


def test_without_a_tool_the_first_prompt_says_so(tmp_path):
    notebook = start(tmp_path)
    try:
        notice = "No tools are offered: mark a function with @tool."
        for expected in (True, False):
            notebook.do("import codeact\ncodeact.use(codeact.ScriptedModel(['sum([1, 2])']))")
            assert (notice in notebook.run("> Go.").text) is expected
        assert "%codeact modle is not known: did you mean model?" in notebook.run("%codeact modle").errors[0]
    finally:
        notebook.close()


def test_tab_in_a_prompt_offers_options_tools_and_prompts_of_before(own):
    own.do(TOOL)
    assert own.complete("> --ma") == ["--max-retries"]
    assert own.complete("> --allow get_") == ["get_orders"]
    assert own.complete("> Use get_o") == ["get_orders"]
    ask(own, "> What did user 1 buy\nlast?")
    ask(own, "%%codeact --quiet\nWhat did user 2 buy?")
    assert own.complete("> What did user 1 b") == ["What did user 1 buy\nlast?"]
    assert own.complete("%%codeact\nWhat did user 2 b") == ["What did user 2 buy?"]
    assert own.complete("%config CodeAct.appr") == ["approval_timeout", "approval_ui"]
    assert own.complete("%codeact kernel a") == ["auto"]


def test_inspection_shows_a_tools_signature_and_docstring_also_in_a_prompt(own):
    own.do(TOOL)
    for code in ("get_orders", "> Use get_orders"):
        own.client.inspect(code, len(code))
        shown = own.reply("inspect")["data"]["text/plain"]
        assert "get_orders(user_id: int) -> list[int]" in shown
        assert "Orders of one user." in shown


def test_history_holds_the_prompt_as_it_was_typed(own):
    own.do(TOOL)
    ask(own, "> Remember this prompt.")
    own.client.history(raw=True, hist_access_type="tail", n=5)
    assert "> Remember this prompt." in [cell for _, _, cell in own.reply("history")["history"]]


def test_what_the_folder_says_is_read_and_what_it_may_not_say_is_told_once(own):
    own.do(TOOL)
    own.do("open('codeact.toml', 'w').write('timeout = 7\\nallow = [\"get_orders\"]')")
    try:
        shown = own.do("%codeact config").stdout
        assert next(line for line in shown.splitlines() if line.startswith("timeout")).split()[1] == "7"
        assert "codeact.toml is not trusted" in shown
        assert "Not in force: allow = get_orders. To allow it, run %codeact config trust" in shown
        assert "Not in force: allow = get_orders." in ask(own, "> Go.").text
        assert "Not in force" not in ask(own, "> Go.").text
        own.do("open('codeact.toml', 'a').write('# changed after it was shown')")
        shown = own.do("%codeact config trust").stdout
        assert "Nothing is trusted yet" in shown
        assert "Not in force: allow = get_orders." in shown
        shown = own.do("%codeact config trust").stdout
        assert "is trusted as it is now" in shown
        assert "Not in force" not in shown
        own.do("open('codeact.toml', 'w').write('timout = 7')")
        (error,) = own.run("> Go.").errors
        assert "codeact.toml: timout is not known: did you mean timeout?" in error
    finally:
        own.do("import os; os.remove('codeact.toml')")


def test_a_choice_in_the_notebook_is_stronger_than_the_environment_and_weaker_than_the_cell(own):
    own.do("import os; os.environ['CODEACT_TIMEOUT'] = '11'")
    own.forget_options()
    own.do("%config CodeAct.approval_ui = 'stdin'")
    try:
        assert "timeout           11" in own.do("%codeact config").stdout
        own.do("%config CodeAct.timeout = 12")
        shown = own.do("%codeact config").stdout
        assert [line.split() for line in shown.splitlines() if line.startswith("timeout")] == [
            ["timeout", "12", "the", "notebook"]
        ]
        error = own.run("%config CodeAct.timeout = 'soon'")
        assert "'soon' is not a number of seconds" in error.stream("stderr") + error.stdout + "".join(error.errors)
        assert "Current: 12.0" in own.do("%config CodeAct").stdout
        assert own.options == {
            "timeout": 12.0,
            "approval_ui": "stdin",
        }  # looking chose nothing
    finally:
        own.do("del os.environ['CODEACT_TIMEOUT']")
        own.forget_options()


def test_a_mistake_in_the_configuration_is_told_by_the_prompt_and_the_kernel_lives(tmp_path):
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_config.py").write_text("c.CodeAct.modle = 'x'\nc.CodeAct.timeout = 5\n")
    notebook = start(tmp_path)
    try:
        notebook.do("1 + 1")
        notebook.do(TOOL)
        (error,) = notebook.run("> Go.").errors
        assert "c.CodeAct: modle is not known: did you mean model?" in error
        assert "did you mean model?" in notebook.do("%codeact doctor --json").stdout
    finally:
        notebook.close()


def test_a_kernel_that_nobody_asks_anything_has_none_of_the_engine_in_it(tmp_path):
    notebook = start(tmp_path)
    try:
        notebook.do("x = 1")
        loaded = set(notebook.get("[name for name in __import__('sys').modules]"))
        assert "codeact.magics" in loaded
        engine = {"codeact.frontend", "codeact_kernel.session", "codeact_kernel.tools.registry", "pydantic", "openai"}
        assert not engine & loaded
        assert notebook.workers() == set()
        notebook.do(TOOL)
        notebook.wait_for(notebook.send(WARM), "warm")
    finally:
        notebook.close()


def test_what_was_chosen_in_the_notebook_can_be_taken_back(own):
    own.do("%codeact model other")
    assert own.options["model"] == "other"
    own.do("%config CodeAct.model = None")
    assert "model" not in own.options
    own.do(TOOL)
    assert ask(own, "> Go.").status == "ok"


def test_an_unknown_option_is_an_error_and_stays_nowhere(own):
    shown = own.run("%config CodeAct.timout = 3")
    assert "timout is not known: did you mean timeout?" in shown.stream("stderr") + "".join(shown.errors)
    own.do("%reload_ext codeact")
    own.do(TOOL)
    assert ask(own, "> Go.").status == "ok"


def test_quotation_marks_in_options_group_and_are_no_part_of_the_value(own):
    own.do(TOOL.replace("@tool", "@tool(approval_mode='always_require')"))
    for options in ('--allow "get_orders"', "--allow='get_orders' --timeout '5'"):
        assert ask(own, f"> {options} Go.").status == "ok"
    (error,) = own.run('> --model "abc Go.').errors
    assert "Unclosed quotation mark in the options: close it, or remove it." in error


def test_a_working_folder_that_is_gone_stops_nothing(own):
    own.do("import os; here = os.getcwd(); os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')")
    try:
        own.do(TOOL)
        assert ask(own, "> Go.").status == "ok"
        assert own.do("%codeact config").status == "ok"
    finally:
        own.do("os.chdir(here)")


def test_a_file_of_the_folder_that_python_itself_refuses_is_a_sentence_everywhere(own):
    own.do("open('codeact.toml', 'w').write('timeout = ' + '9' * 5000)")
    try:
        own.do(TOOL)
        for cell in ("> Go.", "%codeact config", "%codeact kernel"):
            (error,) = own.run(cell).errors
            assert "codeact.toml is not TOML" in error
            assert "Traceback" not in error
        assert "Error in callback" not in own.run("Show me the totals").everything
    finally:
        own.do("import os; os.remove('codeact.toml')")


@pytest.mark.full
def test_an_interrupt_ends_the_doctor_and_nothing_else(own):
    sent = own.send("%codeact doctor")
    own.wait_for(sent, "ok       Python")
    own.interrupt()
    cell = own.finished(sent)
    assert "RuntimeError" not in cell.everything
    own.do(TOOL)
    assert ask(own, "> Go.").status == "ok"


def test_an_extension_that_is_unloaded_while_its_sandbox_warms_up_leaves_nothing_running(own):
    own.do("%reload_ext codeact\n" + TOOL)
    own.do("%unload_ext codeact\nimport threading")
    own.do("for one in threading.enumerate():\n    if one.name == 'codeact-warm': one.join()")
    assert own.get("[one.name for one in threading.enumerate() if one.name.startswith('codeact')]") == []
    assert own.workers() == set()
    own.do("%load_ext codeact")
    own.do(TOOL)
    assert ask(own, "> Go.").status == "ok"


@pytest.mark.full
def test_the_doctor_looks_at_the_kernel_and_the_front_end(own):
    found = json.loads(own.do("%codeact doctor --json").stdout)
    about = {one["about"]: one for one in found["findings"]}
    assert set(about) == {"configuration", "kernel", "front end", "Python", "ipykernel", "backend hyperlight",
                          "backend embedded", "guest science", "lockdown", "model", "compile cache", "disk"}  # fmt: skip
    assert about["backend embedded"]["state"] == "ok"
    assert "codeact " in about["kernel"]["found"]
    assert about["front end"]["state"] == "warning"
    assert "no page shows the live card" in about["front end"]["found"]
    text = own.do("%codeact doctor").stdout
    assert text.count("\n") >= 11


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal to type into")
@pytest.mark.full
def test_in_a_console_a_prompt_is_a_line(tmp_path):
    install(user=False, prefix=str(tmp_path), name="codeact-test")
    with console(tmp_path, "codeact-test", JUPYTER_PATH=str(tmp_path / "share" / "jupyter")) as terminal:
        terminal.sendline("import codeact; codeact.use(codeact.ScriptedModel(['6 * 7 + sum([0])']))")
        terminal.expect(r"In \[2\]:")
        terminal.sendline("> What is six times seven?")
        terminal.expect(r"42")
        terminal.expect(r"In \[3\]:")
        terminal.sendline("codeact.results[-1].ask")
        terminal.expect(r"'What is six times seven\?'")
