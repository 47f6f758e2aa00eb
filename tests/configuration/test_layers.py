"""Which of several choices holds, and what is said where one is wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from codeact_kernel.budgets import Budget, parse_budget
from codeact_kernel.configuration import OPTIONS, PLACES, environment, parse_layer, resolve
from codeact_kernel.errors import UserError
from codeact_kernel.sandbox.backends import BACKEND_NAMES
from codeact_kernel.settings import Limits, Settings


def test_nothing_chosen_is_the_engines_own_defaults():
    assert resolve([]).settings == Settings()
    assert set(resolve([]).places.values()) == {PLACES[0][0]}


def test_the_last_place_that_names_an_option_decides_and_is_remembered():
    layers = [parse_layer(place, {"timeout": seconds}) for place, seconds in (("a", 1), ("b", 2.5), ("c", 4))]
    resolved = resolve([*layers, parse_layer("d", {"model": "m"})])
    assert (resolved.values["timeout"], resolved.places["timeout"]) == (4.0, "c")
    assert (resolved.settings.model, resolved.places["model"]) == ("m", "d")
    assert resolved.settings.limits == Limits(run_seconds=4.0)


def test_what_is_allowed_adds_up():
    resolved = resolve([parse_layer("a", {"allow": ["x", "y"]}), parse_layer("b", {"allow": "z, x"})])
    assert resolved.settings.allow == {"x", "y", "z"}


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("max_retries", "3", 3),
        ("max_retries", 0, 0),
        ("timeout", "2.5", 2.5),
        ("timeout", 60, 60.0),
        ("memory", "512Mi", "512Mi"),
        ("review", "yes", True),
        ("review", False, False),
        ("approval_timeout", "never", None),
        ("approval_timeout", 5, 5.0),
        ("allow", ["a", "b,c"], {"a", "b", "c"}),
        ("kernel", "auto", "auto"),
    ],
)
def test_a_value_may_be_text_or_what_toml_and_python_have_for_it(name, given, value):
    assert parse_layer("x", {name: given}).values[name] == value


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("model", ""), ("model", 3), ("model", "m" * 300), ("max_retries", 1.5), ("max_retries", True), ("max_retries", 21),
        ("max_retries", "-1"), ("timeout", 0), ("timeout", "nan"), ("timeout", "inf"), ("timeout", [1]), ("timeout", True),
        ("memory", 256), ("memory", "1Mi"), ("backend", "docker"), ("backend", ["auto"]), ("allow", 5), ("allow", [5]),
        ("allow", {"pay": False}), ("allow", "['a','b']"), ("allow", "a b"), ("review", "perhaps"), ("review", 1), ("approval_timeout", "soon"), ("approval_ui", "card"), ("kernel", ""),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused_with_the_place_and_the_kind(name, given):
    with pytest.raises(UserError) as refused:
        parse_layer("the file", {name: given})
    assert str(refused.value).startswith(f"{name} in the file: ")
    assert f"is not {OPTIONS[name].kind}" in str(refused.value)


def test_an_option_that_there_is_not_is_an_error_with_the_nearest():
    with pytest.raises(UserError, match=r"codeact\.toml: modle is not known: did you mean model\?"):
        parse_layer("codeact.toml", {"modle": "x"})
    with pytest.raises(UserError, match="xyzzy is not known: choose one of allow, allowed_domains, approval_timeout"):
        parse_layer("codeact.toml", {"xyzzy": 1})


def test_what_is_wrong_is_shown_short_and_harmless():
    with pytest.raises(UserError) as refused:
        parse_layer("codeact.toml", {"\x1b[31mred\u202e" + "x" * 100_000: 1})
    assert len(str(refused.value)) < 500
    assert str(refused.value).isprintable()


def test_a_number_that_python_does_not_write_out_is_a_sentence_too():
    with pytest.raises(UserError, match=r"something too long \(int\)"):
        parse_layer("x", {"max_retries": int("f" * 6000, 16)})


def test_settings_take_no_single_text_for_the_names_of_tools():
    with pytest.raises(UserError, match="give a set of names"):
        Settings(allow="pay_all")


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        ("20000tokens", Budget(tokens=20_000)),
        ("20,000 Tokens, 1 call", Budget(tokens=20_000, calls=1)),
        ("5calls,100tokens,$3", Budget(tokens=100, dollars=Decimal(3), calls=5)),
        ("$ 1,200.5", Budget(dollars=Decimal("1200.5"))),
        ("none", Budget()),
        (Budget(calls=3), Budget(calls=3)),
    ],
)
def test_a_budget_is_read_from_text_and_written_so_that_it_can_be_read_again(given, budget):
    assert parse_budget(given) == budget
    assert parse_budget(str(budget)) == budget
    assert Settings(budget=given).budget == budget


@pytest.mark.parametrize(
    "given",
    ["", "50", "20000 tokens 5 calls", "0calls", "20,00 calls", "5 calls,", "1,50 calls", "$", "5callsx", "-5 calls", 5,
     None, "1.5 tokens", "9999999999999 tokens", "calls" * 100],
)  # fmt: skip
def test_what_is_no_budget_is_refused_with_examples(given):
    with pytest.raises(UserError, match=r"is not a budget: write 20000tokens, \$0\.05 or 50calls, several with commas"):
        parse_budget(given)
    with pytest.raises(UserError, match=r"^--budget: "):
        OPTIONS["budget"].value(given, "--budget")


def test_a_budget_that_names_something_twice_is_refused():
    with pytest.raises(UserError, match="'5calls, 6calls' limits something twice: leave one of the two out"):
        parse_budget("5calls, 6calls")


def test_the_last_place_that_sets_a_budget_decides_about_all_of_it():
    resolved = resolve([parse_layer("a", {"budget": "500 tokens"}), parse_layer("b", {"budget": "5 calls"})])
    assert resolved.settings.budget == Budget(calls=5)


def test_so_is_a_variable_of_the_environment():
    with pytest.raises(UserError, match="variable CODEACT_MODLE is not known: did you mean CODEACT_MODEL"):
        environment({"CODEACT_MODLE": "x"})
    assert environment({"CODEACT_CACHE": "/x", "CODEACT_TIMEOUT": "", "PATH": "/bin"}).values == {}


def test_a_variable_with_a_wrong_value_is_named_as_it_is_spelled():
    with pytest.raises(UserError, match="^CODEACT_TIMEOUT: 'soon' is not a number of seconds"):
        environment({"CODEACT_TIMEOUT": "soon"})


def test_every_option_can_be_given_in_the_environment():
    given = {"model": "m", "max_retries": "1", "timeout": "5", "memory": "64Mi", "backend": "embedded", "guest": "science",
             "allow": "a", "review": "on", "wait": "on", "reuse": "never", "card": "full", "approval_timeout": "9", "approval_ui": "stdin", "kernel": "auto",
             "limits": "calls_per_run=5, show.items=2", "history": "off", "history_days": "30", "budget": "$0.05", "session_budget": "20000tokens,5calls",
             "file_mounts": "/usr/share:/x,/usr/share/doc:rw", "workspace_root": "/usr/share",
             "allowed_domains": "a.example,GET|HEAD https://b.example:8443",
             "mcp": '{"mcpServers": {"git": {"command": "x"}}}'}  # fmt: skip
    assert set(given) == set(OPTIONS)
    values = environment({OPTIONS[name].variable: text for name, text in given.items()}).values
    assert all(values[name] != option.default for name, option in OPTIONS.items())
    for name, value in values.items():  # and each reaches the engine, but for those that only the notebook knows
        changed = resolve([parse_layer("x", {name: value})]).settings != Settings()
        assert changed is (name not in ("approval_ui", "card", "kernel", "history", "history_days")), name


def test_caps_are_chosen_by_name_and_the_last_place_that_names_one_decides():
    layers = [
        parse_layer("a", {"limits": {"calls_per_run": 5, "show": {"items": 2}}}),
        parse_layer("b", {"limits": ["calls_per_run=7", "http.seconds=2.5"]}),
        parse_layer("c", {"limits": "calls_per_run=5"}),
        parse_layer("d", {"limits": "calls_per_run=7, http.redirects=0"}),
    ]
    limits = resolve(layers).settings.limits
    assert (limits.calls_per_run, limits.show.items, limits.http.seconds) == (7, 2, 2.5)
    assert (limits.depth, limits.show.turn_bytes) == (Limits().depth, Limits().show.turn_bytes)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("calls_per_rum=5", "x: The limit calls_per_rum is not known: did you mean calls_per_run?"),
        ("run_seconds=5", "x: run_seconds is the option timeout: set it there."),
        ("calls_per_run", "x: 'calls_per_run' is not calls_per_run=100 or"),
        ("calls_per_run=0", "x: calls_per_run must be a number from 1 to 1099511627776, not 0."),
        ("calls_per_run=-1", "must be a number from 1"),
        ("frame_bytes=100", "frame_bytes must be a number from 65536"),
        ("calls_per_run=1.5", "is not calls_per_run=100 or"),
        ("http.seconds=nan", "http.seconds must be a number from 0.001"),
        ("http.seconds=inf", "http.seconds must be a number from 0.001"),
        ({"calls_per_run": True}, "is not calls_per_run=100 or"),
        ({"show": 5}, "x: The limit show is not known"),
        (5, "is not calls_per_run=100 or"),
    ],
)
def test_a_cap_that_there_cannot_be_is_reported(given, why):
    with pytest.raises(UserError) as refused:
        OPTIONS["limits"].value(given, "x")
    assert why in str(refused.value)


def test_mounts_and_hosts_of_every_place_add_up():
    config = parse_layer("your configuration", {"file_mounts": ["/usr/share"], "allowed_domains": ["a.example"]})
    cell = parse_layer("the cell", {"file_mounts": ["/usr/share/doc:/x"], "allowed_domains": [("b.example", "GET")]})
    settings = resolve([config, cell]).settings
    assert [mount.mount_path for mount in settings.file_mounts] == ["/input/usr/share", "/input/x"]
    assert [str(domain) for domain in settings.allowed_domains] == ["https://a.example", "https://b.example (GET)"]


def test_settings_take_mounts_and_hosts_as_the_reference_does():
    settings = Settings(
        file_mounts=("/usr/share", "/data"), allowed_domains=[("a.example", ["get", "head"]), "b.example"]
    )
    assert [str(mount) for mount in settings.file_mounts] == ["/usr/share:/input/data:ro"]
    assert [domain.methods for domain in settings.allowed_domains] == [("GET", "HEAD"), None]


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("file_mounts", "/no/such/folder", "x: /no/such/folder cannot be mounted: there is no such folder or file."),
        ("file_mounts", 7, "x: 7 is not a mount: use /host/folder"),
        ("workspace_root", "/etc/hostname", "is not a folder"),
        ("allowed_domains", "*.example.com", "x: '*.example.com' cannot be allowed: it is a pattern: name each host."),
        ("allowed_domains", "FETCH a.example", "is not a method: use some of GET"),
    ],
)
def test_a_mount_or_host_that_there_cannot_be_is_reported_as_it_is(name, given, why):
    with pytest.raises(UserError) as refused:
        OPTIONS[name].value(given, "x")
    assert why in str(refused.value)


def test_the_backends_to_choose_are_those_that_there_are():
    for name in BACKEND_NAMES:
        assert OPTIONS["backend"].value(name, "x") == name
        assert name in OPTIONS["backend"].kind
