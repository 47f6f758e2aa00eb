"""The rules alone: which URL is which host, which address is public, what a redirect may lead to."""

from __future__ import annotations

import pytest

from codeact_kernel.access import AllowedDomain, allowed_domain
from codeact_kernel.capabilities.network.policy import (
    Request,
    check_address,
    check_headers,
    find_rule,
    follow_redirect,
    parse_url,
)
from codeact_kernel.limits import HttpLimits
from codeact_kernel.tools import ToolCallError

LIMITS = HttpLimits()
API = "api.example.com"
PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::5db8:d822", "2002:5db8:d822::1", "192.0.1.1"]
PRIVATE = ["10.0.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1"]
WRAPPED_PRIVATE = ["::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1"]
NEVER = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.169.254", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "168.63.129.16", "100.100.100.200",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "2001::1", "2001:db8::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "fd00:ec2::254",
]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("https://api.example.com", "https://api.example.com/"),
        ("HTTPS://API.Example.COM.:443/A?b=C#d", "https://api.example.com/A?b=C"),
        ("https://ａｐｉ.example.com/", "https://api.example.com/"),
        ("https://api.example.com?q=1", "https://api.example.com/?q=1"),
        ("https://api.example.com/a b/é?q=ü [x]", "https://api.example.com/a%20b/%C3%A9?q=%C3%BC%20[x]"),
        ("https://api.example.com/100%25/a\\b@c", "https://api.example.com/100%25/a%5Cb@c"),
        ("http://127.0.0.1:80/", "http://127.0.0.1/"),
        ("http://[::1]:8000/", "http://[::1]:8000/"),
    ],
)
def test_a_url_is_taken_apart_into_one_spelling(url, means):
    assert str(parse_url(url, LIMITS)) == means


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "//api.example.com/",
        "https:/api.example.com/",
        "https:api.example.com",
        " https://api.example.com/",
        "https://api.example.com/\r\nHost: evil",
        "https://api.example.com/\x00",
        "https://api\t.example.com/",
        "https://user@api.example.com/",
        "https://user:secret@api.example.com/",
        "https://evil.example\\@api.example.com/",
        "https://api.example.com\\@evil.example/",
        "https://api.example.com:80:443/",
        "https://api.example.com:/",
        "https://api.example.com:99999/",
        "https://[::1%25eth0]/",
        "https://%61pi.example.com/",
        "https://api.example.com%2f.evil.example/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "file:///etc/passwd",
        "ftp://api.example.com/",
        "gopher://api.example.com/",
        "data:text/plain,x",
        "https://api.example.com/\ud800",
        "https://api.example.com/" + "x" * 20_000,
    ],
)
def test_what_two_programs_could_read_in_two_ways_is_no_url(url):
    with pytest.raises(ToolCallError):
        parse_url(url, LIMITS)


@pytest.mark.parametrize(
    ("method", "url", "said"),
    [
        ("GET", "https://api.example.com/", ""),
        ("POST", "https://api.example.com/x", ""),
        ("DELETE", "https://api.example.com/", "DELETE https://api.example.com is not allowed"),
        ("CONNECT", "https://api.example.com/", "CONNECT https://api.example.com is not allowed"),
        ("GET", "http://api.example.com/", "http://api.example.com is not allowed"),
        ("GET", "https://api.example.com:8443/", "https://api.example.com:8443 is not allowed"),
        ("GET", "https://sub.api.example.com/", "https://sub.api.example.com is not allowed"),
        ("GET", "https://example.com/", "https://example.com is not allowed"),
        ("GET", "https://api.example.com.evil.example/", "https://api.example.com.evil.example is not allowed"),
        ("GET", "https://аpi.example.com/", "https://xn--pi-6kc.example.com is not allowed"),
        ("GET", "https://evil.example/#@api.example.com", "https://evil.example is not allowed"),
        ("GET", "https://evil.example/?https://api.example.com", "https://evil.example is not allowed"),
    ],
)
def test_a_request_is_granted_to_exactly_the_scheme_host_port_and_method(method, url, said):
    domains = [allowed_domain((API, ["GET", "POST"]))]
    if not said:
        assert find_rule(domains, method, parse_url(url, LIMITS)) is domains[0]
        return
    with pytest.raises(ToolCallError) as refused:
        find_rule(domains, method, parse_url(url, LIMITS))
    assert str(refused.value) == f"{said}: only https://api.example.com (GET, POST) can be reached"


def test_of_several_entries_the_one_that_asks_the_user_counts():
    free, asks = AllowedDomain(API), AllowedDomain(API, ["POST", "PUT"], "always_require")
    for domains in ([free, asks], [asks, free]):
        assert find_rule(domains, "GET", parse_url(f"https://{API}/", LIMITS)) is free
        assert find_rule(domains, "POST", parse_url(f"https://{API}/", LIMITS)) is asks


def test_without_an_entry_the_refusal_tells_how_to_make_one():
    with pytest.raises(ToolCallError, match="no host can be reached until the user allows it"):
        find_rule([], "GET", parse_url(f"https://{API}/", LIMITS))


def allows(domain: AllowedDomain, address: str) -> bool:
    try:
        check_address(address, domain)
    except ToolCallError as error:
        assert address not in str(error)  # the program learns no address of the inner network
        return False
    return True


def test_a_name_may_resolve_to_public_addresses_only_and_to_private_ones_where_that_is_said():
    name, inner = AllowedDomain(API), AllowedDomain(API, private=True)
    assert [one for one in PUBLIC if not allows(name, one)] == []
    assert [one for one in PRIVATE + WRAPPED_PRIVATE + NEVER if allows(name, one)] == []
    assert [one for one in PUBLIC + PRIVATE + WRAPPED_PRIVATE if not allows(inner, one)] == []
    assert [one for one in NEVER if allows(inner, one)] == []


def test_localhost_is_this_machine_and_an_address_that_is_named_is_itself():
    localhost = AllowedDomain("http://localhost")
    assert allows(localhost, "127.0.0.1")
    assert allows(localhost, "::1")
    assert [one for one in PUBLIC + PRIVATE if allows(localhost, one)] == []
    assert allows(AllowedDomain("http://169.254.169.254"), "169.254.169.254")


@pytest.mark.parametrize(
    "name",
    "Host content-length Transfer-Encoding Connection keep-alive TE Trailer Upgrade Expect Proxy-Authorization "
    "proxy-anything HTTP2-Settings X-HTTP-Method-Override X-HTTP-Method X-Method-Override".split(),
)
def test_a_header_that_is_not_the_programs_to_set_is_refused(name):
    with pytest.raises(ToolCallError, match="leave it out"):
        check_headers({name: "1"}, LIMITS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nHost: evil"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\x00"),
        ("X", "a\x7f"),
        ("X", "ключ"),
        ("X", "\ud800"),
        ("X\r\nY", "1"),
        ("X: Y", "1"),
        ("", "1"),
        ("É", "1"),
        ("X ", "1"),
        ("Host\n", "1"),
    ],
)
def test_a_header_that_could_be_two_is_refused(name, value):
    with pytest.raises(ToolCallError, match="has an invalid character"):
        check_headers({name: value}, LIMITS)


def test_headers_are_bounded_in_number_and_size():
    assert check_headers({"X-Key": " käse "}, LIMITS) == [("X-Key", "käse")]
    assert len(check_headers({f"X-{i}": "1" for i in range(100)}, LIMITS)) == 100
    for headers in ({f"X-{i}": "1" for i in range(101)}, {"X": "1" * (64 << 10)}):
        with pytest.raises(ToolCallError, match="100 headers with 64 KiB"):
            check_headers(headers, LIMITS)


SENT = [("Authorization", "s"), ("cookie", "s"), ("X-Api-Key", "s"), ("Content-Type", "t"), ("Accept", "a")]


def follow(method: str, status: int, location: str, *allowed: AllowedDomain) -> Request | None:
    domains = [AllowedDomain(API), *allowed]
    return follow_redirect(
        domains, Request(method, parse_url(f"https://{API}/a/b", LIMITS), SENT, b"x"), status, location, LIMITS
    )


def test_a_redirect_does_not_bring_an_outsiders_text_in_unseen():
    wiki = AllowedDomain("wiki.example", source="untrusted")
    with pytest.raises(ToolCallError, match="redirects to https://wiki.example/a, where outsiders write"):
        follow("GET", 302, "https://wiki.example/a", wiki)
    assert follow("GET", 302, "https://other.example/a", AllowedDomain("other.example")) is not None


def test_of_two_entries_for_a_host_the_more_careful_holds():
    url = parse_url(f"https://{API}/", LIMITS)
    asks, wild = AllowedDomain(API, approval_mode="always_require"), AllowedDomain(API, source="untrusted")
    found = find_rule([AllowedDomain(API), asks, wild], "GET", url)
    assert (found.approval_mode, found.source) == ("always_require", "untrusted")


def test_a_redirect_to_no_address_at_all_is_reported():
    with pytest.raises(ToolCallError, match="redirects to '//]', which is not a URL"):
        follow("GET", 302, "//]")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_a_question_is_followed_on_its_own_host_with_its_headers(status):
    for method in ("GET", "HEAD"):
        found = follow(method, status, "../c?d")
        assert found is not None
        assert (found.method, str(found.url), found.headers) == (method, f"https://{API}/c?d", SENT)


def test_a_post_is_redirected_to_a_question_without_its_body_or_not_at_all():
    for status in (301, 302, 303):
        found = follow("POST", status, "/c")
        assert found is not None
        assert (found.method, found.body, dict(found.headers).get("Content-Type")) == ("GET", b"", None)
    assert [follow("POST", status, "/c") for status in (307, 308)] == [None, None]
    assert [follow(method, 302, "/c") for method in ("PUT", "PATCH", "DELETE")] == [None] * 3
    assert [follow("GET", status, "/c") for status in (200, 300, 304, 404)] == [None] * 4
    assert follow("GET", 302, "") is None


def test_what_was_sent_to_one_host_stays_with_it():
    other = AllowedDomain("other.example")
    for location in ("https://other.example/x", "//other.example/x"):
        found = follow("GET", 302, location, other)
        assert found is not None
        assert (str(found.url), found.headers, found.body) == ("https://other.example/x", [("Accept", "a")], b"")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("https://evil.example/", "https://evil.example is not allowed"),
        ("//evil.example/", "https://evil.example is not allowed"),
        (f"https://{API}:8443/", f"https://{API}:8443 is not allowed"),
        (f"http://{API}/", "which is not encrypted"),
        ("http://plain.example/", "which is not encrypted"),
        ("https://asks.example/x", "https://asks.example/x, which needs approval: request that address"),
        ("https://reads.example/", "reads.example is not allowed"),
        (f"https://evil.example\\@{API}/", "is not a URL"),
        (f"https://{API}@evil.example/", "cannot be requested"),
        ("file:///etc/passwd", "cannot be requested"),
        ("javascript:alert(1)", "is not a URL"),
        ("http://169.254.169.254/latest", "which is not encrypted"),
    ],
)
def test_a_redirect_is_judged_like_a_request(location, said):
    others = (
        AllowedDomain("http://plain.example"),
        AllowedDomain("asks.example", None, "always_require"),
        AllowedDomain("reads.example", "POST"),
    )
    with pytest.raises(ToolCallError, match=said.replace("\\", "\\\\")):
        follow("GET", 302, location, *others)
