"""A user can see where their own tool failed; the program sees the type and the message only."""

from __future__ import annotations

TOOL = '''
def helper(a, b):
    return a / b

@tool
def divide(a: int, b: int) -> float:
    """A quotient."""
    return helper(a, b)
'''


def test_the_user_can_see_where_their_tool_raised_without_frames_of_ours(nb):
    nb.do(TOOL)
    cell = nb.ask("divide(1, 0)", options="--max-retries 0")
    assert "divide raised ZeroDivisionError: division by zero" in cell.text
    assert "return a / b" not in cell.text
    shown = nb.run("%codeact traceback").stdout
    assert "in divide" in shown
    assert "in helper" in shown
    assert shown.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "codeact_kernel" not in shown


def test_use_sets_the_model_for_the_cells_that_follow(nb):
    nb.do("import codeact\ncodeact.use(codeact.ScriptedModel(['In words.'], name='mine'))")
    assert "In words." in nb.run("%%codeact\nHello?").text
