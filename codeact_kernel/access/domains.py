"""The hosts that programs may send requests to, and the forms in which the user can write them:

    "api.example.com"                          https on its usual port, with every method
    "https://api.example.com:8443"             only this port
    "http://127.0.0.1:8000"                    plain http has to be explicit, like the scheme of an address
    ("api.example.com", "GET")                 only this method, or a list of methods
    AllowedDomain("api.example.com", methods=["POST"], approval_mode="always_require")

An entry is one whole host, without wildcards or paths. A program can send everything that it knows to that host.
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
"""The methods of an entry that names none. No others exist: CONNECT and TRACE are not requests for a resource."""

_PORTS = {"https": 443, "http": 80}
_MODES = ("never_require", "always_require")
_SOURCES = ("trusted", "untrusted")
_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]{1,253}))(?::(?P<port>[0-9]{1,5}))?")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_AMBIGUOUS = frozenset("ßς\u200c\u200d")
"""Characters that two standards of international names turn into different hosts; a browser may show the other host."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The target of requests: scheme, host and port, each in its canonical form.

    Attributes:
        scheme: `"https"` or `"http"`.
        host: a name in lower-case ASCII without a final dot, or an IP address in its standard form.
        port: the port, also if it is the default of the scheme.
    """

    scheme: str
    host: str
    port: int

    @property
    def is_address(self) -> bool:
        """Say whether the host is an IP address rather than a name."""
        return ":" in self.host or _NUMBER.fullmatch(self.host.rpartition(".")[2]) is not None

    @property
    def authority(self) -> str:
        """Host and port in the form of a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class AllowedDomain:
    """One host that programs may send requests to.

    Attributes:
        target: the host, or `scheme://host:port`; the default is https and its default port.
        methods: one HTTP method or several; `None` means all of `METHODS`.
        approval_mode: with `"always_require"` the user is asked before each request.
        private: whether its name may resolve to an address of a private network. A name never reaches this machine or
            its neighbours on the link; for these, the target has to be an address or `localhost`.
        source: `"untrusted"` if outsiders can write its responses. After such a response the turn asks the user about
            every change, as with `@tool(source="untrusted")`.
        origin: the parsed target.

    Raises:
        UserError: if an argument is not valid; the message says what to write.
    """

    target: str
    methods: Sequence[str] | None = None
    approval_mode: Literal["never_require", "always_require"] = "never_require"
    private: bool = False
    source: Literal["trusted", "untrusted"] = "trusted"
    origin: Origin = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.approval_mode not in _MODES or type(cast("object", self.private)) is not bool:
            raise UserError(f"{self.target!r}: approval_mode must be {' or '.join(_MODES)}, and private True or False.")
        if self.source not in _SOURCES:
            raise UserError(f"{self.target!r}: source must be {' or '.join(_SOURCES)}.")
        object.__setattr__(self, "methods", _parse_methods(self.target, self.methods))
        object.__setattr__(self, "origin", _parse_target(self.target))

    def allows(self, method: str) -> bool:
        """Say whether requests may have this method, which is given in upper case."""
        return method in (METHODS if self.methods is None else self.methods)

    def __str__(self) -> str:
        return str(self.origin) if self.methods is None else f"{self.origin} ({', '.join(self.methods)})"


def allowed_domain(given: object) -> AllowedDomain:
    """Parse a string, a pair of host and method or methods, a mapping of fields, or an `AllowedDomain`.

    Raises:
        UserError: if the value has another form; the message says what to write.
    """
    if isinstance(given, AllowedDomain):
        return given
    if isinstance(given, str):
        return AllowedDomain(given)
    if isinstance(given, Mapping):
        try:
            return AllowedDomain(**cast("Mapping[str, Any]", given))
        except TypeError:
            raise _invalid_entry(cast("object", given)) from None
    if isinstance(given, Sequence) and len(pair := cast("Sequence[Any]", given)) == 2:
        return AllowedDomain(pair[0], pair[1])
    raise _invalid_entry(cast("object", given))


def origin(scheme: str, authority: str) -> Origin:
    """Parse the scheme and the authority of a URL strictly.

    Raises:
        ValueError: if requests cannot be sent there; the text gives the reason, and follows the name of the host.
    """
    scheme = scheme.lower()
    if scheme not in _PORTS:
        raise ValueError("has to begin with https:// or http://")
    if "*" in authority:
        raise ValueError("is a pattern: name each host")
    if "@" in authority:
        raise ValueError("holds a user's name: leave out the part before the @, and send it as a header")
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise ValueError("is not a host, with or without a port")
    port = int(match["port"] or _PORTS[scheme])
    if not 0 < port < 1 << 16:
        raise ValueError("has an invalid port")
    return Origin(scheme, _parse_ipv6(match["six"]) if match["six"] else _parse_host(match["name"]), port)


def _parse_host(text: str) -> str:
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
        raise ValueError("is not a host: an address has four decimal numbers, a name has letters and dots") from None


def _parse_ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        raise ValueError("is not an IPv6 address") from None


def _parse_target(target: object) -> Origin:
    if not isinstance(target, str):
        raise _invalid_entry(target)
    scheme, separator, rest = target.partition("://")
    if not separator:
        scheme, rest = "https", target
    rest = rest.removesuffix("/")
    try:
        if re.search(r"[/?#\\]", rest):
            raise ValueError("names a path: an entry is a whole host, so leave out the path")
        found = origin(scheme, rest)
    except ValueError as error:
        raise UserError(f"{target!r} cannot be allowed: it {error}.") from None
    if not separator and (found.is_address or found.host == "localhost"):
        raise UserError(f"{target!r}: write http://{target} or https://{target}.")  # few of these hosts use https
    return found


def _parse_methods(target: object, methods: object) -> tuple[str, ...] | None:
    if methods is None:
        return None
    given = [methods] if isinstance(methods, str) else methods
    if isinstance(given, Sequence) and given:
        names = tuple(str(name).upper() for name in cast("Sequence[object]", given))
        if set(names) <= set(METHODS):
            return tuple(dict.fromkeys(names))
    raise UserError(f"{target!r}: {methods!r} is not a method: use some of {', '.join(METHODS)}.")


def _invalid_entry(given: object) -> UserError:
    return UserError(
        f'{given!r} is not a host to allow: write "api.example.com", ("api.example.com", "GET") or AllowedDomain(...).'
    )
