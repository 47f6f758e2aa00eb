from __future__ import annotations

import pytest


@pytest.fixture
def tools(nb):
    nb.do(
        "@tool\ndef get_orders(user: int) -> int:\n    'Orders.'\n    return 1\n"
        "@tool\ndef get_users() -> int:\n    'Users.'\n    return 1\n"
        "@tool\ndef drop() -> None:\n    'Drop.'"
    )
    return nb


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%%codeact --ma", ["--max-retries"]),
        ("%%codeact --max-retries 1 --dr", ["--dry-run"]),
        ("%%codeact --allow dr", ["drop"]),
        ("%%codeact --backend em", ["embedded"]),
        ("%codeact backend a", ["auto"]),
        ("%codeact st", ["status"]),
        ("%codeact re", ["recorded", "reset"]),
        ("call_tool('get_", ["get_orders", "get_users"]),
        ('x = call_tool("d', ["drop"]),
        ("await call_tool_async('get_u", ["get_users"]),
    ],
)
def test_tab_offers_what_fits(tools, typed, offered):
    assert sorted(tools.complete(typed)) == offered


def test_tab_after_two_dashes_offers_every_option_that_the_magic_takes(tools):
    taken = set(
        tools.get(
            "[o for a in get_ipython().magics_manager.magics['cell']['codeact'].__func__.parser._actions for o in a.option_strings]"
        )
    )
    assert set(tools.complete("%%codeact --")) == taken - {"-h", "--help"}


def test_tab_elsewhere_is_ipythons_own(tools):
    tools.do("some_long_name = 1")
    assert tools.complete("some_lo") == ["some_long_name"]
    assert "status" not in tools.complete("st")


def test_tab_inside_a_prompt_offers_the_variables_as_ever(tools):
    tools.do("another_name = 1")
    assert "another_name" in tools.complete("%%codeact\nanother_na")


def test_no_option_is_offered_inside_a_prompt(tools):
    assert "--model" not in tools.complete("%%codeact\nWrite --mo")
