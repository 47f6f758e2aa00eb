"""What of a tool's exception crosses to the program: nothing that only the user may know."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from codeact_kernel.tools.redaction import (
    MAX_CHARACTERS_READ,
    MAX_CHARACTERS_SEARCHED,
    cleaned,
    is_tools_own,
    redact_error,
)

KEY = "ab\"c\\d/e+f='\n1234567890"
"""With everything in it that is written otherwise where it is quoted."""


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_API_KEY", KEY)
    monkeypatch.setenv("SHORT_TOKEN", "canary-one")
    monkeypatch.setenv("LONG_TOKEN", "canary-one-and-more")
    monkeypatch.setenv("DATABASE_URL", "postgres://me:canary-of-the-url@db/x")


@pytest.mark.parametrize(
    "text",
    [
        KEY, repr(KEY), json.dumps(KEY), quote(KEY, safe=""), quote_plus(KEY), repr(KEY.encode()), repr({"key": [KEY]}),
        base64.b64encode(KEY.encode()).decode(), f"<{KEY}>", KEY * 3,
    ],
)  # fmt: skip
def test_a_secret_of_the_environment_is_not_told_however_it_is_quoted(text: str) -> None:
    said = cleaned(f"before {text} after")
    assert "1234567890" not in said
    assert "MTIzNDU2" not in said
    assert said.startswith("before ")
    assert said.endswith(" after")


def test_a_secret_that_begins_with_another_goes_whole() -> None:
    assert cleaned("it was canary-one-and-more.") == "it was <secret>."


def test_the_password_in_the_url_of_a_variable_is_a_secret_elsewhere_too() -> None:
    assert cleaned("password authentication failed: canary-of-the-url") == ("password authentication failed: <secret>")


def test_the_environment_as_a_whole_is_not_told() -> None:
    assert cleaned(f"it is {os.environ}") == "it is <environment>"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no route to postgresql://admin:hunter2@db.host:5432/prod", "postgresql://<secret>@db.host:5432/prod"),
        ("smb://me:p@ss@host/share", "smb://<secret>@host/share"),
        ("['curl', '-H', 'Authorization: Bearer abc.def.ghi']", "['curl', '-H', 'Authorization: <secret>']"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "{'Authorization': '<secret>'}"),
        ("sent Bearer abcdef123456 and", "sent Bearer <secret> and"),
        ("sent Basic dXNlcjpwYXNz1= and", "sent Basic <secret> and"),
        ("Client(api_key='abc', url='x')", "Client(api_key=<secret>, url='x')"),
        ('{"password": "correct horse", "user": "bob"}', '{"password": <secret>, "user": "bob"}'),
        ("login user=bob password=correcthorse", "login user=bob password=<secret>"),
        ("Incorrect API key provided: sk-abcdefghijklmnop1234. Look", "provided: <secret>. Look"),
        ("Incorrect API key provided: sk-proj-****************1234.", "provided: <secret>."),
        ("ghp_abcdefghijklmnopqrstuvwx, AKIAIOSFODNN7EXAMPLE", "<secret>, <secret>"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3 expired", "token <secret> expired"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nxyz", "<secret>"),
    ],
)  # fmt: skip
def test_what_has_the_form_of_a_secret_is_not_told(text: str, left: str) -> None:
    said = cleaned(text)
    assert said.endswith(left)
    assert len(said) < len(text) + 8


@pytest.mark.parametrize(
    "text",
    [
        "KeyError: 'password'", "the secret is missing", "basic requirements", "invalid token: }", "task-1 of risk_model",
        "GET https://host.example/orders/3?email=a@b.example", "in 1/2 of the cases", r"bad escape \d at \w\s+", "10:30",
        "user@host.example is no user", "Authorization was denied",
    ],
)  # fmt: skip
def test_an_ordinary_text_is_reported_as_it_is(text: str) -> None:
    assert cleaned(text) == text


@pytest.mark.parametrize(
    "path",
    [
        "'/home/o\\'brien/secret.txt'", '"/home/o\'brien/secret.txt"', "'/home/o\"b/secret.txt'", "`/home/my dir/secret`",
        "\u2018/home/my dir/secret\u2019", "\u201c/home/my dir/secret\u201d", r"\Users\me\secret", r"\\?\C:\secret",
        r"\\server\share\secret", r"C:\Users\secret", "'C:\\\\Users\\\\my dir\\\\secret'", "%2Fhome%2Fsecret",
        "b'/home/my dir/secret'", "PosixPath('/home/my dir/secret')", "file:///home/secret",
    ],
)  # fmt: skip
def test_a_path_of_the_host_is_not_told_however_it_is_written(path: str) -> None:
    said = cleaned(f"cannot open {path} now")
    assert "secret" not in said
    assert "<path>" in said
    assert (said[:12], said[-4:]) == ("cannot open ", " now")


def test_a_home_or_folder_with_spaces_in_its_name_goes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my own project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert cleaned(f"cannot open {folder}/data.csv now") == "cannot open <path> now"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("it broke\nTraceback (most recent call last):\n  File x", "it broke\n"),
        ('it broke\n  File "/srv/x.py", line 3, in f\n    inner(key)\nValueError: y', "it broke\n"),
        ("<object at 0x7f5d09e6cb10>", "<object>"),
    ],
)
def test_neither_tracebacks_nor_addresses_are_reported(text: str, left: str) -> None:
    assert cleaned(text) == left


@pytest.mark.parametrize("raised", [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), ValueError("no")])
def test_an_exception_whose_text_cannot_be_had_is_told_by_its_type(raised: BaseException) -> None:
    class Evil(Exception):
        def __str__(self) -> str:
            raise raised

    assert redact_error("f", Evil(), 500) == "f raised Evil"


def test_an_exception_whose_text_is_no_plain_text_runs_nothing_of_its_own() -> None:
    class Text(str):
        def __getitem__(self, place: object) -> str:
            raise SystemExit

        def partition(self, mark: str) -> tuple[str, str, str]:
            raise SystemExit

        replace = __len__ = partition  # type: ignore[assignment]

    class Evil(Exception):
        def __str__(self) -> str:
            return Text("said")

    assert redact_error("f", Evil(), 500) == "f raised Evil: said"


def test_the_name_of_a_type_is_no_way_out() -> None:
    assert redact_error("f", type("canary-one", (Exception,), {})("x"), 500) == "f raised <secret>: x"


HOSTILE = [
    "/", "//", "'/", '"/', "`/", "\u2018/", "'/\\a", "\\", "\\a", "\\\\", "'\\", '"\\', "%2F", "%2Fa", "~", "~a/", "C:\\a", "file:/",
    "basic a", "basic ", "bearer a", "bearer ", "authorization: a ", "authorization: ", "api_key=", "password=", 'password="',
    "secret='", "://", "://a", "a@", "sk-", "sk-a", "sk_live_", "sk-*", "eyJ-", "eyJaaaaaaaa.", "eyJaaaaaaaa-", "ghp_a", "hf_", "xoxb-",
    "AKIA", "AIza-", "github_pat_", "a.", "-", "_", ".", " ", "\t", "\n", "\r\n", " \n", ' \nFile "x', '    File "', '  File "x", line ',
    "Traceback (most recent call last)", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", " at 0x", "environ({", "'", '"', "0", "a",
    "A", "aA0", "\u00e9", "\U0001f600", "<secret>", "<path>",
]  # fmt: skip
"""Repeated, each is a text that a careless pattern would read again and again."""


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_long_text_of_one_kind_is_read_to_its_end(unit: str) -> None:
    text = (unit * 20_000)[:20_000]
    start = time.thread_time()
    cleaned(text)
    assert time.thread_time() - start < 0.3
    start = time.thread_time()
    assert redact_error("f", ValueError(text), 500).startswith("f raised ValueError")
    assert time.thread_time() - start < 0.3


def test_an_error_that_quotes_a_hostile_argument_ends_quickly() -> None:
    def lookup(key: str) -> str:
        return {"a": "b"}[key]

    for key in ("sk-" * 6_600, "eyJ-" * 5_000, "sk-" * 3_000_000):
        start = time.thread_time()
        with pytest.raises(KeyError) as caught:
            lookup(key)
        assert redact_error("lookup", caught.value, 500).startswith(
            "lookup raised KeyError: 'sk-sk" if key[0] == "s" else "lookup"
        )
        assert time.thread_time() - start < 0.3


def test_very_many_and_long_secrets_are_searched_for_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        monkeypatch.setenv(f"SERVICE_{number}_TOKEN", f"{number:04}" * (10 if number else 1_000))
    start = time.thread_time()
    redact_error("f", ValueError("0000 0001" * 1_000_000), 500)
    assert time.thread_time() - start < 1


@pytest.mark.parametrize(
    ("before", "secret"),
    [
        ("", "sk-abcdefghijklmnopqrstuvwxyz1234567890"), ("", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("", "AKIAIOSFODNN7EXAMPLE"), ("password=", '"correct horse battery staple"'), ("bearer ", "abcdefghijklmnop1234"),
        ("in ", "'/home/me/my dir/inner dir/file.txt'"), ("", "canary-one-and-more"), ("", KEY),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cut", [MAX_CHARACTERS_READ, MAX_CHARACTERS_SEARCHED])
def test_a_secret_that_the_cut_goes_through_is_not_told_in_part(
    before: str, secret: str, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor where what stands before it becomes so short that the cut is in the text that is told."""
    known = "0123456789abcdef" * 496
    monkeypatch.setenv("LONG_KEY", known)
    shrinks = (known + " ") * (cut // (len(known) + 1) if cut > MAX_CHARACTERS_READ else 0)
    parts = [secret[start : start + 5] for start in range(len(secret) - 4)]
    for left in range(5, len(secret), 1 if cut == MAX_CHARACTERS_READ else 7):
        path = "/" + "a" * (cut - left - len(shrinks) - len(before) - 2) + " "
        said = redact_error("f", ValueError(shrinks + path + before + secret + " and more"), 500)
        assert not [part for part in parts if part in said]


def test_what_a_long_message_begins_with_is_reported() -> None:
    said = redact_error("f", ValueError("no such order: " + "x" * 100_000), 500)
    assert said.startswith("f raised ValueError: no such order: xxx")
    assert len(said) == 500
    assert redact_error("f", OSError(36, "File name too long", "/" + "a" * 30_000), 500) == (
        "f raised OSError: [Errno 36] File name too long: '<path>"
    )


def test_the_name_of_an_exceptions_type_is_bounded() -> None:
    assert len(redact_error("f", type("E" * 1_000_000, (Exception,), {})("x"), 500)) < 250


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"path": "/output/data.csv"}, KeyError("/output/data.csv"), "f raised KeyError: '/output/data.csv'"),
        (
            {"path": "/a b/c.csv"},
            FileNotFoundError(2, "No such file", "/a b/c.csv"),
            "[Errno 2] No such file: '/a b/c.csv'",
        ),
        ({"paths": [{"at": "/srv/x"}]}, OSError("cannot read /srv/x."), "cannot read /srv/x."),
        ({"path": "C:\\data\\x"}, OSError(2, "No", "C:\\data\\x"), "No: 'C:\\\\data\\\\x'"),
        (
            {"path": "/srv/x"},
            OSError("/srv/x is a link to /srv/x2, /srv/x/y and /srv"),
            "/srv/x is a link to <path>, <path> and <path>",
        ),
        ({"path": "/srv"}, OSError(2, "No", "/srv/a b/secret"), "No: <path>"),
        ({"path": "/srv/canary-one"}, OSError(2, "No", "/srv/canary-one"), "No: <path>"),
        ({"path": "/srv//in/./x.csv"}, OSError(2, "No", "/srv/in/x.csv"), "'/srv/in/x.csv'"),
        ({"path": "/srv/x.csv"}, OSError("no file:///srv/x.csv there"), "no file:///srv/x.csv there"),
        ({"path": "/srv/my x.csv"}, OSError("/srv/my x.csv: no header"), "/srv/my x.csv: no header"),
        ({"path": "/srv/my x.csv"}, OSError("/srv/my x.csv.bak: no header"), "<path> x.csv.bak: no header"),
        ({"sql": "select * from '/srv/x.csv'"}, OSError('no "/srv/x.csv"'), 'no "/srv/x.csv"'),
        ({"command": "cat /srv/x.csv"}, OSError("cat: /srv/x.csv: no"), "cat: /srv/x.csv: no"),
        ({"path": "/srv/sk-abcdefgh12345678"}, OSError(2, "No", "/srv/sk-abcdefgh12345678"), "No: <path>"),
        ({"path": "/"}, OSError(2, "No", "/etc/passwd"), "No: <path>"),
        ({"path": "/srv/x"}, OSError("\x000\x00 /srv/x"), "<path>"),
    ],
)
def test_a_path_that_the_call_gave_is_reported_and_no_other(arguments: dict, error: OSError, said: str) -> None:
    assert said in redact_error("f", error, 500, json.dumps(arguments))


def test_a_path_of_the_working_folder_that_the_call_gave_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "x.csv")
    assert path in redact_error("f", KeyError(path), 500, json.dumps({"path": path}))
    assert str(tmp_path) not in redact_error("f", KeyError(path), 500, json.dumps({"path": "x.csv"}))


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (KeyError("amount_due"), {"user": 7}),
        (RuntimeError("the database is down"), {"user": "Bob"}),
        (ZeroDivisionError("division by zero"), {"rows": [1, 2]}),
        (AttributeError("'NoneType' object has no attribute 'get'"), {"flag": True}),
        (ValueError("not a number: 'n/a'"), {}),
        (LookupError("user not found"), {}),
        (TypeError("unsupported operand type(s) for +: 'NoneType' and 'int'"), {"user": 7}),
        (OSError(2, "No such file or directory", "/etc/prices.csv"), {"user": 7}),
        (ModuleNotFoundError("invalid module"), {"user": 7}),
        (OSError(), {"user": "Bob"}),
    ],
)
def test_an_error_that_has_nothing_to_do_with_the_arguments_is_the_tools_own(error: Exception, arguments: dict) -> None:
    assert is_tools_own(error, json.dumps(arguments))


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (ValueError("no such thing"), {"user": 7}),
        (KeyError("/output/data.csv"), {"path": "/output/data.csv"}),
        (LookupError("there is no user 7"), {"user": 7}),
        (LookupError("Customer not found"), {"user": 7}),
        (KeyError("Unknown currency"), {"code": "EURO"}),
        (RuntimeError("it must be a working day"), {"on": "2026-01-01"}),
        (RuntimeError("no such column: revenue"), {"sql": "select REVENUE from orders"}),
        (RuntimeError("the amount is too large"), {"amount": 5.5}),
        (PermissionError("Bob may not"), {"names": [["Alice", "Bob"]]}),
    ],
)
def test_an_error_about_an_argument_is_for_the_model(error: Exception, arguments: dict) -> None:
    assert not is_tools_own(error, json.dumps(arguments))
