"""The whole product on real micro-VMs: a real kernel, `%%codeact` cells, the backend that nobody had to choose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Notebook

pytestmark = pytest.mark.hyperlight

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def vm(tmp_path_factory):
    notebook = Notebook(tmp_path_factory.mktemp("micro-vm"), CODEACT_BACKEND="auto", CODEACT_MEMORY="128Mi")
    try:
        notebook.do("%load_ext codeact\nfrom codeact import tool")
        yield notebook
    finally:
        notebook.close()


def test_the_status_names_the_micro_vm(vm):
    status = vm.do("%codeact status").stdout
    assert status.startswith("boundary  Hyperlight micro-VM (seccomp, Landlock)\nmodel ")
    assert vm.do("%codeact backend").stdout == "auto      Hyperlight micro-VM (seccomp, Landlock)\n"


@pytest.mark.smoke
def test_the_example_with_eight_users_and_five_tools_gets_the_right_totals(vm):
    """The workload that the reference publishes, with the program that a real model wrote for it."""
    source = json.loads((EXAMPLES / "01_first_prompt.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in source["cells"] if cell["cell_type"] == "code"]
    (answer,) = json.loads((EXAMPLES / "01_first_prompt.answers.json").read_text())["answers"]
    (tools,) = [cell for cell in cells if "@tool" in cell]
    (ask,) = [cell for cell in cells if cell.startswith("%%codeact")]
    (check,) = [cell for cell in cells if "assert totals" in cell]
    vm.do(tools)
    vm.script(answer["text"])
    cell = vm.do(ask)
    assert "Hyperlight micro-VM" in cell.text.splitlines()[-1]
    table = cell.shown["text/html"].partition("<details")[0]
    assert table.index("Diana") < table.index("George")
    (said,) = vm.do(check).of("execute_result")
    assert "42 tool calls in 1 model turn(s); all totals are right" in said["data"]["text/plain"]


def test_cell_after_cell_has_fresh_memory(vm):
    for number in range(20):
        vm.ask(f"assert 'left_behind' not in globals()\nleft_behind = {number}\nleft_behind + 1", options="--out got")
        assert vm.get("got") == number + 1


def test_a_program_in_an_endless_loop_is_stopped_and_the_next_cell_works(vm):
    cell = vm.ask("while True: pass", options="--timeout 2 --max-retries 0")
    assert "the program was stopped after 2 s" in cell.text
    assert "42" in vm.ask("6 * 7").text


@pytest.mark.smoke
def test_an_interrupt_kills_the_micro_vm_and_not_the_kernel(vm):
    vm.script("```python\nprint('running')\nwhile True: pass\n```")
    sent = vm.send("%%codeact\nGo.")
    vm.wait_for(sent, "running")
    vm.interrupt()
    cell = vm.finished(sent)
    assert cell.status == "error"
    assert "Interrupted." in "\n".join(cell.errors)
    assert "42" in vm.ask("6 * 7").text


def test_a_program_that_uses_up_its_memory_is_told_so_and_repaired_in_the_same_cell(vm):
    cell = vm.ask("bytearray(10**9)", "'less'")
    assert "MemoryError: out of memory (limit 128 MiB)" in cell.text
    assert "less" in cell.text
    assert vm.get("codeact.results[-1].error") is None


def test_a_megabyte_printed_is_kept(vm):
    vm.ask("for line in range(10_000):\n    print(f'{line:099}')")
    assert vm.get("codeact.results[-1].stdout == ''.join(f'{line:099}\\n' for line in range(10_000))") is True


def test_large_arguments_and_results_go_through_a_tool(vm):
    vm.do(
        "sizes = []\n@tool\ndef double(text: str) -> list[str]:\n    sizes.append(len(text))\n    return [text] * 25\n"
    )
    vm.ask("sum(len(part) for part in double('é' * 100_000))", options="--out got")
    assert vm.get("[sizes, got]") == [[100_000], 2_500_000]  # characters: 200 KB and 5 MB
