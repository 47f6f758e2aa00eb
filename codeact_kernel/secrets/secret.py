"""`Secret`: a text that only `reveal()` gives away."""

from __future__ import annotations

import getpass
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from ..errors import UserError
from ..text import collapse_whitespace, replace_unprintable, truncate
from .known import is_recognizable, remember

__all__ = ["Secret", "SecretUnavailable"]

_MAX_NAME_CHARACTERS = 60


class SecretUnavailable(UserError):
    """A secret has no text yet, and only the user can change that."""


class Secret:
    """A text that only `reveal()` gives away.

    Every other use, such as `str()`, an f-string, a table or a traceback, shows `Secret('GITHUB_TOKEN')`. The text is
    in a closure, so that the object has no attribute that holds it.

    Args:
        text: the secret itself; for real secrets, use one of the class methods.
        name: stands for the secret wherever its text is hidden.

    Attributes:
        name: see above.
        source: where the text comes from, for example `"environment GITHUB_TOKEN"`: two secrets with the same source
            have the same meaning. It is empty if nothing is known about that.

    Raises:
        UserError: if the text is empty or is not text, or the name is empty.
    """

    __slots__ = ("__weakref__", "_read", "name", "source")

    name: str
    source: str
    _read: Callable[[], str]

    def __init__(self, text: str, *, name: str) -> None:
        self._set_up(_constant(_check(text, name)), name)
        self._remember_early()

    @classmethod
    def from_environment(cls, variable: str) -> Secret:
        """Return the secret in a variable of the environment, which is read when the secret is used.

        Raises:
            UserError: if the name of the variable is empty.
        """
        return cls._from(lambda: _read_variable(variable), variable, f"environment {variable}")

    @classmethod
    def from_keyring(cls, service: str, user: str) -> Secret:
        """Return the secret in the keyring of the system, which is read when the secret is used.

        Raises:
            UserError: if the names are empty.
        """
        return cls._from(lambda: _read_keyring(service, user), f"{service} {user}", f"keyring {service} {user}")

    @classmethod
    def ask(cls, question: str) -> Secret:
        """Ask the user now, in the notebook or the terminal. What they type is not shown and not stored anywhere.

        Args:
            question: what to type, for example `"GitHub token"`. It is also the name of the secret.

        Raises:
            UserError: if nobody can be asked, or nothing was typed.
        """
        return cls(_ask(question), name=question)

    def reveal(self) -> str:
        """Return the text, for the code of a tool.

        Raises:
            SecretUnavailable: if the variable is not set, or the keyring has no such entry.
        """
        text = self._read()
        remember(text, self.name)
        return text

    @classmethod
    def _from(cls, read: Callable[[], str], name: str, source: str) -> Secret:
        secret = object.__new__(cls)
        secret._set_up(read, name, source)
        if source.startswith("environment "):  # to read a keyring may ask the user
            secret._remember_early()
        return secret

    def _set_up(self, read: Callable[[], str], name: str, source: str = "") -> None:
        self._read, self.name, self.source = read, _clean_name(name), source

    def _remember_early(self) -> None:
        """Hide the text from now on, because a tool can get it without `reveal()`, for example from the environment."""
        with suppress(SecretUnavailable):
            remember(self._read(), self.name)

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"{self!r} cannot be pickled: make the secret where it is used.")


def _constant(text: str) -> Callable[[], str]:
    return lambda: text


def _check(text: object, name: str) -> str:
    if not isinstance(text, str):
        raise UserError(f"The secret {name} is not text but {type(text).__name__}: decode it first.")
    if not text:
        raise UserError(f"The secret {name} is empty: pass its text.")
    if text in name and is_recognizable(text):
        raise UserError("The name of a secret is shown, so it must not contain the secret: use another name.")
    return str(text)


def _clean_name(name: str) -> str:
    """Return a name that can stand in brackets in any text."""
    clean = collapse_whitespace(replace_unprintable(name)).translate(str.maketrans("[]\"'\\", "     ")).strip()
    if not clean:
        raise UserError("Give the secret a name, for example Secret(text, name='GITHUB_TOKEN').")
    return truncate(clean, _MAX_NAME_CHARACTERS)


def _read_variable(variable: str) -> str:
    if not (text := os.environ.get(variable, "")):
        raise SecretUnavailable(
            f"The environment variable {variable} is not set: set it before you start Jupyter, or use Secret.ask(...)."
        )
    return text


def _read_keyring(service: str, user: str) -> str:
    try:
        keyring: Any = import_module("keyring")
    except ImportError:
        raise SecretUnavailable(
            "The package keyring is not installed: run pip install 'codeact-kernel[keyring]'."
        ) from None
    try:
        text = keyring.get_password(service, user)
    except Exception as error:  # each backend has errors of its own
        if type(error).__name__ == "NoKeyringError":
            raise SecretUnavailable(
                "This system has no keyring that Python can use: use Secret.from_environment(...) or Secret.ask(...)."
            ) from None
        raise SecretUnavailable(
            f"The keyring cannot be read ({type(error).__name__}): unlock it, or use Secret.ask(...)."
        ) from None
    if not text:
        raise SecretUnavailable(
            f"The keyring has no password of {user!r} for {service!r}: add it with `keyring set {service} {user}`."
        )
    return str(text)


def _ask(question: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # or the text would be shown while it is typed
            text = getpass.getpass(f"{_clean_name(question)}: ")
    except (EOFError, OSError, getpass.GetPassWarning):
        text = None
    except NotImplementedError:  # of a front end that cannot ask, as in a scheduled run
        text = None
    if text is None:
        raise SecretUnavailable(
            f"Nobody can be asked for {_clean_name(question)!r} here: use Secret.from_environment(...)."
        )
    if not text:
        raise UserError(f"Nothing was typed for {_clean_name(question)!r}: run the cell again.")
    return text
