"""What may be asked of whom: pure rules about URLs, methods, addresses, headers and redirects.

Every rule holds for the first request and for each redirect. A refusal is a ToolCallError, whose text the program sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote, urljoin

from ...access import AllowedDomain
from ...access.domains import Origin, origin
from ...limits import HttpLimits
from ...text import format_bytes
from ...tools import ToolCallError

__all__ = [
    "Request",
    "Url",
    "check_address",
    "check_headers",
    "find_rule",
    "follow_redirect",
    "listed",
    "parse_url",
    "size_of",
]

_URL = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<host>[^/?#\\]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SAFE = "!$%&'()*+,/:;=?@~"  # beside letters, digits and -._~: what has a meaning in a path or query stays
_DOMAINS_NAMED = 8

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
# What is ours to say: whom we talk to, how long the message is, what the connection does. And what servers take for
# another method than the one that was allowed.
_OURS = re.compile(
    r"host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|http2-settings|proxy-.*"
    r"|x-http-method(?:-override)?|x-method-override",
    re.IGNORECASE,
)
# A key has many names ("x-api-key"), so what goes on to another host is what cannot be one.
_GOES_ON = frozenset({"accept", "accept-language", "user-agent"})


def _networks(text: str) -> Sequence[IPv4Network | IPv6Network]:
    return [ip_network(one) for one in text.split()]


# Not those of the `ipaddress` module: what it calls global differs from one Python to the next.
_NOT_PUBLIC = _networks(
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 168.63.129.16/32 "
    "2001::/23 2001:db8::/32 3fff::/20"
)
_PUBLIC_SIX = ip_network("2000::/3")
_PRIVATE = _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7")
_METADATA = _networks("100.100.100.200/32 fd00:ec2::254/128 fd20:ce::254/128")
"""Inside of the private ranges: where clouds give a machine its credentials."""
_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Url:
    """A URL that was taken apart once: what is judged is what is asked for.

    Attributes:
        target: path and query, in ASCII, as the request's first line has them.
    """

    origin: Origin
    target: str

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent once it is granted."""

    method: str
    url: Url
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


def parse_url(text: str, limits: HttpLimits) -> Url:
    """Take a URL apart, by the letter: nothing is repaired that two programs could repair in two ways.

    Raises:
        ToolCallError: it is none that a request can be sent to.
    """
    shown = repr(text[:200])
    if len(text) > limits.url_characters:
        raise ToolCallError(f"the URL {shown}... is longer than {limits.url_characters:,} characters")
    found = _URL.fullmatch(text)
    if found is None or _CONTROL.search(text):
        raise ToolCallError(f"{shown} is no URL: give all of it, as in https://api.example.com/items?id=1")
    try:
        there = origin(found["scheme"], found["host"])
        target = quote(found["path"] or "/", safe=_SAFE) + quote(found["query"] or "", safe=f"{_SAFE}[]")
    except ValueError as error:  # also of a lone surrogate, which has no UTF-8
        raise ToolCallError(f"{shown} cannot be asked: its host {error}") from None
    return Url(there, target)


def find_rule(domains: Sequence[AllowedDomain], method: str, url: Url) -> AllowedDomain:
    """The entry that allows this request; of several the one that asks the person.

    Raises:
        ToolCallError: none does; the text says what is allowed.
    """
    here = [domain for domain in domains if domain.origin == url.origin]
    found = [domain for domain in here if domain.allows(method)]
    if found:
        first = next((domain for domain in found if domain.approval_mode == "always_require"), found[0])
        return replace(first, source="untrusted") if any(one.source == "untrusted" for one in found) else first
    what = f"{method} {url.origin}" if here else str(url.origin)
    raise ToolCallError(f"{what} is not allowed: {listed(domains)}")


def listed(domains: Sequence[AllowedDomain]) -> str:
    """What is allowed, in words."""
    if not domains:
        return "no host can be reached until the person allows it (allowed_domains)"
    names = ", ".join(map(str, domains[:_DOMAINS_NAMED]))
    return f"only {names} can be reached" if len(domains) <= _DOMAINS_NAMED else f"{names} and others can be reached"


def check_address(address: str, domain: AllowedDomain) -> None:
    """Whether what a host resolved to may be connected to. An address that the person named may.

    Raises:
        ToolCallError: it may not.
    """
    host = domain.origin.host
    if domain.origin.is_address:
        return
    ip = _real(ip_address(address.partition("%")[0]))
    if host == "localhost":
        if not ip.is_loopback:
            raise ToolCallError("localhost does not resolve to this machine")
        return
    special = any(ip in network for network in _NOT_PUBLIC)
    if not special and (isinstance(ip, IPv4Address) or ip in _PUBLIC_SIX):
        return
    private = any(ip in network for network in _PRIVATE) and not any(ip in network for network in _METADATA)
    if not (private and domain.private):
        hint = " (AllowedDomain(..., private=True) allows it)" if private else ""
        raise ToolCallError(f"{host} resolves to an address that is not public, so it is not asked{hint}")


def _real(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address that packets to `ip` go to in the end: several ranges of IPv6 only wrap one of IPv4."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def check_headers(headers: Mapping[str, str], limits: HttpLimits) -> Sequence[tuple[str, str]]:
    """The headers of a program, each as one that it may set.

    Raises:
        ToolCallError: one is not.
    """
    if len(headers) > limits.headers or size_of(headers.items()) > limits.header_bytes:
        most = f"{limits.headers} headers with {format_bytes(limits.header_bytes)} in all"
        raise ToolCallError(f"a request may have {most}: send less")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ToolCallError(f"the header {name[:100]!r} has a character that no header can have")
        if _OURS.fullmatch(name):
            raise ToolCallError(f"the header {name[:100]!r} is not for a program to set: leave it out")
    return [(name, value.strip(" \t")) for name, value in headers.items()]


def size_of(headers: Iterable[tuple[str, str]]) -> int:
    """Bytes of headers on their way."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def follow_redirect(
    domains: Sequence[AllowedDomain], request: Request, status: int, location: str, limits: HttpLimits
) -> Request | None:
    """The request that a redirect leads to, or `None` when the redirect itself is the answer.

    A body is never sent on to where it was not addressed, and what was sent in the headers stays with its host.

    Raises:
        ToolCallError: it leads to what is not allowed, to plain http, or to what a person has to approve.
    """
    method = _next_method(request.method, status)
    if method is None or not location:
        return None
    try:
        joined = urljoin(str(request.url), location)
    except ValueError:  # of brackets that are no IPv6 address
        raise ToolCallError(f"{request.url.origin} redirects to {location[:200]!r}, which is no URL") from None
    url = parse_url(joined, limits)
    if (request.url.origin.scheme, url.origin.scheme) == ("https", "http"):
        raise ToolCallError(f"{request.url.origin} redirects to {url.origin}, which is not encrypted: not followed")
    try:
        domain = find_rule(domains, method, url)
    except ToolCallError as error:
        raise ToolCallError(f"{request.url.origin} redirects, and {error}") from None
    if domain.approval_mode == "always_require":
        where = str(url)[:200]
        raise ToolCallError(f"{request.url.origin} redirects to {where}, which needs approval: request that address")
    if domain.source == "untrusted" and find_rule(domains, request.method, request.url).source == "trusted":
        where = str(url)[:200]
        raise ToolCallError(f"{request.url.origin} redirects to {where}, where outsiders write: request that address")
    if url.origin != request.url.origin:
        return Request(method, url, [one for one in request.headers if one[0].lower() in _GOES_ON])
    if method != request.method:
        return Request(method, url, [one for one in request.headers if not one[0].lower().startswith("content-")])
    return replace(request, url=url)


def _next_method(method: str, status: int) -> str | None:
    if method in ("GET", "HEAD") and status in (301, 302, 303, 307, 308):
        return method
    return "GET" if method == "POST" and status in (301, 302, 303) else None
