"""Decide which requests are allowed: rules for URLs, methods, addresses, headers and redirects.

The rules apply to the first request and to each redirect. A rejected request raises a ToolCallError for the program.
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
    "describe_domains",
    "find_rule",
    "follow_redirect",
    "header_size",
    "is_reserved_header",
    "parse_url",
]

_URL = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<host>[^/?#\\]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SAFE = "!$%&'()*+,/:;=?@~"  # characters with a meaning in a path or query, besides letters, digits and -._~
_MAX_DOMAINS_NAMED = 8

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
# The kernel sets these headers: the host, the length and the connection. The last two would change the method.
_RESERVED_HEADERS = re.compile(
    r"host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|http2-settings|proxy-.*"
    r"|x-http-method(?:-override)?|x-method-override",
    re.IGNORECASE,
)
# Any other header may contain a key (like "x-api-key"), so only these are sent to another host.
_FORWARDED_HEADERS = frozenset({"accept", "accept-language", "user-agent"})


def _networks(text: str) -> Sequence[IPv4Network | IPv6Network]:
    return [ip_network(network) for network in text.split()]


# The `ipaddress` module is not used for this, because its definition of global differs between Python versions.
_NOT_PUBLIC = _networks(
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 168.63.129.16/32 "
    "2001::/23 2001:db8::/32 3fff::/20"
)
_PUBLIC_IPV6 = ip_network("2000::/3")
_PRIVATE = _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7")
_METADATA = _networks("100.100.100.200/32 fd00:ec2::254/128 fd20:ce::254/128")
"""Addresses in the private ranges where clouds provide the credentials of a machine."""
_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Url:
    """A URL that was parsed once, so that exactly the checked URL is requested.

    Attributes:
        target: the path and query in ASCII, as in the first line of the request.
    """

    origin: Origin
    target: str

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, which is sent if the policy allows it."""

    method: str
    url: Url
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


def parse_url(text: str, limits: HttpLimits) -> Url:
    """Parse a URL strictly, without corrections that another parser could make differently.

    Raises:
        ToolCallError: if the URL is not valid.
    """
    shown = repr(text[:200])
    if len(text) > limits.url_characters:
        raise ToolCallError(f"the URL {shown}... is longer than {limits.url_characters:,} characters")
    match = _URL.fullmatch(text)
    if match is None or _CONTROL.search(text):
        raise ToolCallError(f"{shown} is not a URL: write all of it, as in https://api.example.com/items?id=1")
    try:
        url_origin = origin(match["scheme"], match["host"])
        target = quote(match["path"] or "/", safe=_SAFE) + quote(match["query"] or "", safe=f"{_SAFE}[]")
    except ValueError as error:  # also for a lone surrogate, which has no UTF-8
        raise ToolCallError(f"{shown} cannot be requested: its host {error}") from None
    return Url(url_origin, target)


def find_rule(domains: Sequence[AllowedDomain], method: str, url: Url) -> AllowedDomain:
    """Return the entry that allows this request. If several do, prefer an entry that requires approval.

    Raises:
        ToolCallError: if no entry allows it. The text lists the allowed domains.
    """
    same_origin = [domain for domain in domains if domain.origin == url.origin]
    matching = [domain for domain in same_origin if domain.allows(method)]
    if matching:
        rule = next((domain for domain in matching if domain.approval_mode == "always_require"), matching[0])
        return replace(rule, source="untrusted") if any(domain.source == "untrusted" for domain in matching) else rule
    what = f"{method} {url.origin}" if same_origin else str(url.origin)
    raise ToolCallError(f"{what} is not allowed: {describe_domains(domains)}")


def describe_domains(domains: Sequence[AllowedDomain]) -> str:
    """Say which domains are allowed."""
    if not domains:
        return "no host can be reached until the user allows it (allowed_domains)"
    names = ", ".join(map(str, domains[:_MAX_DOMAINS_NAMED]))
    return (
        f"only {names} can be reached" if len(domains) <= _MAX_DOMAINS_NAMED else f"{names} and others can be reached"
    )


def check_address(address: str, domain: AllowedDomain) -> None:
    """Check an address of a host before connecting to it. An address that the user allowed literally is accepted.

    Raises:
        ToolCallError: if connections to the address are not allowed.
    """
    host = domain.origin.host
    if domain.origin.is_address:
        return
    ip = _unwrap(ip_address(address.partition("%")[0]))
    if host == "localhost":
        if not ip.is_loopback:
            raise ToolCallError("localhost does not resolve to this machine")
        return
    is_special = any(ip in network for network in _NOT_PUBLIC)
    if not is_special and (isinstance(ip, IPv4Address) or ip in _PUBLIC_IPV6):
        return
    is_private = any(ip in network for network in _PRIVATE) and not any(ip in network for network in _METADATA)
    if not (is_private and domain.private):
        hint = " (AllowedDomain(..., private=True) allows it)" if is_private else ""
        raise ToolCallError(f"{host} resolves to an address that is not public, so no request is sent{hint}")


def _unwrap(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the final destination of packets to `ip`, because several IPv6 ranges wrap IPv4 addresses."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def check_headers(headers: Mapping[str, str], limits: HttpLimits) -> Sequence[tuple[str, str]]:
    """Return the headers of a program after checking that it may set each of them.

    Raises:
        ToolCallError: if a header is not valid or not allowed, or the headers exceed a limit.
    """
    if len(headers) > limits.headers or header_size(headers.items()) > limits.header_bytes:
        maximum = f"{limits.headers} headers with {format_bytes(limits.header_bytes)} in all"
        raise ToolCallError(f"a request may have {maximum}: send less")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ToolCallError(f"the header {name[:100]!r} has an invalid character")
        if is_reserved_header(name):
            raise ToolCallError(f"the header {name[:100]!r} cannot be set by a program: leave it out")
    return [(name, value.strip(" \t")) for name, value in headers.items()]


def is_reserved_header(name: str) -> bool:
    """Say whether only the kernel sets this header."""
    return _RESERVED_HEADERS.fullmatch(name) is not None


def header_size(headers: Iterable[tuple[str, str]]) -> int:
    """Return the bytes of headers in a message."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def follow_redirect(
    domains: Sequence[AllowedDomain], request: Request, status: int, location: str, limits: HttpLimits
) -> Request | None:
    """Return the request that a redirect leads to, or `None` if the reply is the answer.

    Another host gets no body, and only headers that cannot contain a key.

    Raises:
        ToolCallError: if the target is not allowed, needs approval, or is http after https.
    """
    method = _next_method(request.method, status)
    if method is None or not location:
        return None
    try:
        joined = urljoin(str(request.url), location)
    except ValueError:  # for brackets without an IPv6 address
        raise ToolCallError(f"{request.url.origin} redirects to {location[:200]!r}, which is not a URL") from None
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
        return Request(method, url, [header for header in request.headers if header[0].lower() in _FORWARDED_HEADERS])
    if method != request.method:
        return Request(
            method, url, [header for header in request.headers if not header[0].lower().startswith("content-")]
        )
    return replace(request, url=url)


def _next_method(method: str, status: int) -> str | None:
    if method in ("GET", "HEAD") and status in (301, 302, 303, 307, 308):
        return method
    return "GET" if method == "POST" and status in (301, 302, 303) else None
