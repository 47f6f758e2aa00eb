"""`jupyter_kernel_test`, the suite that Jupyter has for kernels, against ours and against the stock Python kernel."""

from __future__ import annotations

import unittest
from pathlib import Path

import jupyter_kernel_test
import pytest

from codeact_kernel.jupyter.kernelspecs import install

from .conftest import bare_environment


class Python(jupyter_kernel_test.KernelTests):
    """What the suite has to know of the language."""

    __test__ = False  # it is run below, twice
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = [{"text": "zi", "matches": {"zip"}}]
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n"]
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples = ["import = 7q"]
    code_page_something = "zip?"
    code_generate_error = "1 / 0"
    code_execute_result = [
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    ]
    code_display_data = [
        {"code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))", "mime": "text/html"}
    ]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


def outcome(name: str) -> dict[str, str]:
    """What each test came to: ok, failed, skipped."""
    kind = type(f"Kernel_{name.replace('-', '_')}", (Python,), {"kernel_name": name})
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(kind)
    tests = [test.id().rpartition(".")[2] for test in suite]
    result = unittest.TestResult()
    suite.run(result)
    outcomes = dict.fromkeys(tests, "ok")
    for test, _ in result.skipped:
        outcomes[test.id().rpartition(".")[2]] = "skipped"
    for test, _ in [*result.failures, *result.errors]:
        # The test that holds it, and which of its parts: "test_history … (operation='search')".
        name, _, part = test.id().partition(" ")
        outcomes[f"{name.rpartition('.')[2]} {part}".strip()] = "failed"
    return outcomes


@pytest.mark.full
def test_our_kernel_fails_nothing_that_the_stock_kernel_does_not_fail(tmp_path: Path):
    install(user=False, prefix=str(tmp_path), name="codeact-test")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bare_environment(tmp_path).items():
            patch.setenv(name, value)
        patch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
        stock, ours = outcome("python3"), outcome("codeact-test")
    print({"stock": stock, "ours": ours})
    assert sum(what == "ok" for what in stock.values()) >= 10, stock
    assert {test for test, what in ours.items() if what != "ok"} <= {t for t, what in stock.items() if what != "ok"}
