from __future__ import annotations

from .conftest import Front

ALLOW = """
script('''orders = [look_up(key) for key in ("a", "b")]
gone = drop(table="old", rows=3)
[{"table": "old", "said": gone}]''')
"""
ASK = "%%codeact\nDrop the old table."


def test_a_call_is_allowed_with_a_click_while_the_cell_runs(front: Front):
    front.open(ALLOW, ASK)
    front.run(1)
    front.done(1)
    front.run(2)
    front.state("waiting for you", 2)
    front.shot("waiting")
    front.click("Allow once", 2)
    text = front.done(2)
    assert "dropped old" in text
    front.shot("done")
