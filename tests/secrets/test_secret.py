"""A secret shows its name to everybody, and its text to code that asks for it."""

from __future__ import annotations

import copy
import getpass
import json
import pickle
import pprint
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import keyring
import pandas
import pytest
from IPython.core.formatters import DisplayFormatter
from keyring.backend import KeyringBackend

from codeact_kernel import Secret, ToolDefinitionError, UserError
from codeact_kernel.secrets import SecretUnavailable
from codeact_kernel.tools.conversion import as_tool

TEXT = "t0k-5f3a91c27be84d06"


@pytest.fixture
def secret() -> Secret:
    return Secret(TEXT, name="GITHUB_TOKEN")


@dataclass
class Settings:
    token: Secret


def shows(secret: Secret) -> Iterator[str]:
    """All that Python and its libraries make of a secret."""
    yield from (str(secret), repr(secret), f"{secret}", f"{secret!r:>40}", f"{secret:>40}", "%s" % secret)  # noqa: UP031
    yield from (f"{secret}", pprint.pformat([secret]), repr({secret: secret}), repr(Settings(secret)))
    yield from (json.dumps(secret, default=str), json.dumps(secret, default=repr))
    frame = pandas.DataFrame({"token": [secret]})
    yield from (repr(frame), frame.to_html(), frame.to_csv(), frame.to_json(default_handler=str))
    data, _ = DisplayFormatter().format(secret)
    yield str(data)
    yield repr([getattr(secret, name) for name in dir(secret) if name != "reveal"])
    try:
        token = secret
        raise ValueError(token)
    except ValueError:
        yield "".join(traceback.TracebackException(*sys.exc_info(), capture_locals=True).format())


def test_nothing_but_reveal_shows_the_text(secret: Secret) -> None:
    for shown in shows(secret):
        assert TEXT not in shown
        assert "GITHUB_TOKEN" in shown
    assert secret.reveal() == TEXT


def test_a_secret_has_no_variables() -> None:
    with pytest.raises(TypeError):
        vars(Secret(TEXT, name="X"))


def test_a_copy_is_the_secret_itself(secret: Secret) -> None:
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_a_secret_is_neither_pickled_nor_json(secret: Secret) -> None:
    with pytest.raises(TypeError, match=r"Secret\('GITHUB_TOKEN'\) cannot be pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_a_variable_of_the_environment_is_read_when_the_secret_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret.from_environment("LATE_TOKEN")
    with pytest.raises(SecretUnavailable, match=r"^The environment variable LATE_TOKEN is not set: set it before"):
        secret.reveal()
    monkeypatch.setenv("LATE_TOKEN", TEXT)
    assert secret.reveal() == TEXT


class Memory(KeyringBackend):
    """A keyring of this process."""

    priority = 1  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> str | None:
        return TEXT if (service, username) == ("shop", "me") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@pytest.fixture
def ring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("ring")
def test_a_password_comes_from_the_keyring() -> None:
    assert Secret.from_keyring("shop", "me").reveal() == TEXT


@pytest.mark.usefixtures("ring")
def test_a_password_that_the_keyring_does_not_have_is_one_sentence() -> None:
    with pytest.raises(
        SecretUnavailable, match=r"^The keyring has no password of 'you' for 'shop': add it with `keyring"
    ):
        Secret.from_keyring("shop", "you").reveal()


def test_a_system_without_a_keyring_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.backends.fail import Keyring

    monkeypatch.setattr(keyring.core, "_keyring_backend", Keyring())
    with pytest.raises(SecretUnavailable, match=r"^This system has no keyring that Python can use: use Secret"):
        Secret.from_keyring("shop", "me").reveal()


def test_the_keyring_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretUnavailable, match="pip install 'codeact-kernel\\[keyring\\]'"):
        Secret.from_keyring("shop", "me").reveal()


def test_an_answer_of_the_user_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda question: questions.append(question) or TEXT)
    secret = Secret.ask("GitHub token")
    assert (questions, repr(secret), secret.reveal()) == (["GitHub token: "], "Secret('GitHub token')", TEXT)


@pytest.mark.parametrize("error", [EOFError(), NotImplementedError(), getpass.GetPassWarning()])
def test_where_nobody_can_be_asked_the_error_is_one_sentence(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def ask(question: str) -> str:
        raise error

    monkeypatch.setattr(getpass, "getpass", ask)
    with pytest.raises(UserError, match=r"^Nobody can be asked for 'GitHub token' here: use Secret.from_environment"):
        Secret.ask("GitHub token")


@pytest.mark.parametrize(
    ("text", "name", "problem"),
    [
        ("", "X", "is empty"),
        (b"bytes", "X", "is not text but bytes"),
        (TEXT, "  ", "Give the secret a name"),
        (TEXT, f"my {TEXT}", "must not contain the secret"),
    ],
)
def test_what_cannot_be_a_secret_is_one_sentence(text: str, name: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        Secret(text, name=name)


@pytest.mark.parametrize("text", ["abc12", "password", "Sunshine", "20261130", "!!!!!!!!!!"])
def test_a_secret_that_ordinary_texts_contain_is_not_hidden_and_the_user_is_warned(text: str) -> None:
    with pytest.warns(UserWarning, match="is shorter than 6 characters, or a plain word or number") as warned:
        Secret(text, name=f"ordinary {id(text)}")
    assert warned[0].filename == __file__


def test_a_long_secret_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Secret(f"a{TEXT}", name="long")


# -- tools -------------------------------------------------------------------------------------------------------------


def test_a_parameter_with_a_secret_as_its_default_is_not_offered() -> None:
    def fetch(url: str, token: Secret = Secret(TEXT, name="X"), other: Secret | None = None) -> str:  # noqa: B008
        """Fetch."""
        return url

    spec = as_tool(fetch).spec
    assert spec.stub == "fetch(url: str) -> str  # Fetch."
    assert list(spec.schema["properties"]) == ["url"]  # type: ignore[arg-type]


def test_a_parameter_for_a_secret_needs_a_default() -> None:
    def fetch(url: str, token: Secret) -> str:
        """Fetch."""
        return url

    with pytest.raises(
        ToolDefinitionError, match=r"a program cannot pass a secret: give the parameter 'token' a default"
    ):
        as_tool(fetch)


def version_with(default: Secret) -> str:
    def fetch(token: Secret = default) -> str:
        """Fetch."""
        return ""

    return as_tool(fetch).spec.version


def test_the_version_of_a_tool_tells_sources_of_secrets_apart_and_no_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    first = version_with(Secret.from_environment("SHOP_TOKEN"))
    monkeypatch.setenv("SHOP_TOKEN", TEXT)
    assert version_with(Secret.from_environment("SHOP_TOKEN")) == first
    assert version_with(Secret.from_environment("OTHER_TOKEN")) != first
    assert version_with(Secret(TEXT, name="SHOP_TOKEN")) != version_with(Secret(TEXT, name="SHOP_TOKEN"))
