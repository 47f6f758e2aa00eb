"""The hosts that a program may send requests to, as a person writes them down:

    "api.example.com"                          https on its usual port, with every method
    "https://api.example.com:8443"             this port and no other
    "http://127.0.0.1:8000"                    plain http has to be said, and so has an address of this machine
    ("api.example.com", "GET")                 this method only; or a list of them
    AllowedDomain("api.example.com", methods=["POST"], approval_mode="always_require")

An entry is one whole host: no wildcard, no part of its paths. It is the grant: what a program knows it can send there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal, cast

from ..errors import UserError

__all__ = ["METHODS", "AllowedDomain", "Origin", "allowed_domain", "origin"]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
"""What an entry without methods allows. There are no others: CONNECT and TRACE are not requests to a host's pages."""

_PORTS = {"https": 443, "http": 80}
_MODES = ("never_require", "always_require")
_SOURCES = ("trusted", "untrusted")
_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]{1,253}))(?::(?P<port>[0-9]{1,5}))?")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_AMBIGUOUS = frozenset("ßς\u200c\u200d")
"""Two standards of international names make two different hosts of these, and a browser shows the other one."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests go: scheme, host and port, each in its one spelling.

    Attributes:
        scheme: `"https"` or `"http"`.
        host: a name in ASCII and lower case without a dot at its end, or an IP address as its standard writes it.
        port: always there.
    """

    scheme: str
    host: str
    port: int

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address rather than a name."""
        return ":" in self.host or _NUMBER.fullmatch(self.host.rpartition(".")[2]) is not None

    @property
    def authority(self) -> str:
        """Host and port as a URL has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class AllowedDomain:
    """One host that programs may send requests to.

    Attributes:
        target: the host, or `scheme://host:port`; https and its usual port where they are left out.
        methods: one HTTP method or several; `None` is every one of `METHODS`.
        approval_mode: `"always_require"` asks the person before each request.
        private: whether its name may resolve to an address of a private network. What is never reached through a name
            is this machine and its neighbours on the link; their addresses, and `localhost`, have to be the target.
        source: `"untrusted"` where an outsider can write what it answers; after that the turn asks the person about all
            that changes something, as with `@tool(source="untrusted")`.
        origin: what the target means.

    Raises:
        UserError: it is none; the sentence says what to write.
    """

    target: str
    methods: Sequence[str] | None = None
    approval_mode: Literal["never_require", "always_require"] = "never_require"
    private: bool = False
    source: Literal["trusted", "untrusted"] = "trusted"
    origin: Origin = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.approval_mode not in _MODES or type(cast("object", self.private)) is not bool:
            raise UserError(f"{self.target!r}: approval_mode is {' or '.join(_MODES)}, and private is True or False.")
        if self.source not in _SOURCES:
            raise UserError(f"{self.target!r}: source is {' or '.join(_SOURCES)}.")
        object.__setattr__(self, "methods", _methods(self.target, self.methods))
        object.__setattr__(self, "origin", _target(self.target))

    def allows(self, method: str) -> bool:
        """Whether a request may have this method, which is in capital letters."""
        return method in (METHODS if self.methods is None else self.methods)

    def __str__(self) -> str:
        return str(self.origin) if self.methods is None else f"{self.origin} ({', '.join(self.methods)})"


def allowed_domain(given: object) -> AllowedDomain:
    """What a person wrote: a text, a pair of host and method or methods, a mapping of fields, or the thing itself.

    Raises:
        UserError: it is none of these; the sentence says what to write.
    """
    if isinstance(given, AllowedDomain):
        return given
    if isinstance(given, str):
        return AllowedDomain(given)
    if isinstance(given, Mapping):
        try:
            return AllowedDomain(**cast("Mapping[str, Any]", given))
        except TypeError:
            raise _no_entry(cast("object", given)) from None
    if isinstance(given, Sequence) and len(pair := cast("Sequence[Any]", given)) == 2:
        return AllowedDomain(pair[0], pair[1])
    raise _no_entry(cast("object", given))


def origin(scheme: str, authority: str) -> Origin:
    """What stands before the path of a URL, judged strictly.

    Raises:
        ValueError: it is no host to send requests to; the text says why, and goes on after the host.
    """
    scheme = scheme.lower()
    if scheme not in _PORTS:
        raise ValueError("has to begin with https:// or http://")
    if "*" in authority:
        raise ValueError("is a pattern: name each host")
    if "@" in authority:
        raise ValueError("holds a user's name: leave out what stands before the @, and send it as a header")
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise ValueError("is no host, or no host and a port")
    port = int(found["port"] or _PORTS[scheme])
    if not 0 < port < 1 << 16:
        raise ValueError("has a port that there is not")
    return Origin(scheme, _six(found["six"]) if found["six"] else _host(found["name"]), port)


def _host(text: str) -> str:
    if not text.isascii() and _AMBIGUOUS.intersection(text.lower()):
        raise ValueError("can be read as two different hosts: write it with xn--, as it is registered")
    try:
        name = text.encode("idna").decode().lower().removesuffix(".")
        if not _NUMBER.fullmatch(name.rpartition(".")[2]):
            if len(name) < 254 and _NAME.fullmatch(name):
                return name
            raise ValueError
        return str(IPv4Address(name))
    except ValueError:  # UnicodeError is one
        raise ValueError("is no host: an address has four decimal numbers, a name has letters and dots") from None


def _six(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        raise ValueError("is no IPv6 address") from None


def _target(target: object) -> Origin:
    if not isinstance(target, str):
        raise _no_entry(target)
    scheme, separator, rest = target.partition("://")
    if not separator:
        scheme, rest = "https", target
    rest = rest.removesuffix("/")
    try:
        if re.search(r"[/?#\\]", rest):
            raise ValueError("names a path: an entry is a whole host, so leave out what comes after it")
        found = origin(scheme, rest)
    except ValueError as error:
        raise UserError(f"{target!r} cannot be allowed: it {error}.") from None
    if not separator and (found.is_address or found.host == "localhost"):
        raise UserError(f"{target!r}: say http://{target} or https://{target}.")  # few of these speak https
    return found


def _methods(target: object, methods: object) -> tuple[str, ...] | None:
    if methods is None:
        return None
    given = [methods] if isinstance(methods, str) else methods
    if isinstance(given, Sequence) and given:
        made = tuple(str(one).upper() for one in cast("Sequence[object]", given))
        if set(made) <= set(METHODS):
            return tuple(dict.fromkeys(made))
    raise UserError(f"{target!r}: {methods!r} is no method: use some of {', '.join(METHODS)}.")


def _no_entry(given: object) -> UserError:
    return UserError(
        f'{given!r} is no host to allow: write "api.example.com", ("api.example.com", "GET") or AllowedDomain(...).'
    )
