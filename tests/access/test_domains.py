"""What a user writes to allow a host, what it means, and what is refused with a sentence."""

from __future__ import annotations

import pytest

from codeact_kernel.access import AllowedDomain, allowed_domain
from codeact_kernel.access.domains import METHODS
from codeact_kernel.errors import UserError


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("api.example.com", "https://api.example.com"),
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("http://api.example.com", "http://api.example.com"),
        ("http://api.example.com:80", "http://api.example.com"),
        ("api.example.com:8443", "https://api.example.com:8443"),
        ("HTTPS://API.Example.COM.", "https://api.example.com"),
        ("under_score.example.com", "https://under_score.example.com"),
        ("bücher.example", "https://xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://localhost", "https://localhost"),
        ("http://[0:0::1]:8000", "http://[::1]:8000"),
        (("api.example.com", "get"), "https://api.example.com (GET)"),
        (["api.example.com", ["GET", "POST", "GET"]], "https://api.example.com (GET, POST)"),
        (("http://10.0.0.5:99", ("DELETE",)), "http://10.0.0.5:99 (DELETE)"),
        ({"target": "api.example.com", "methods": ["PUT"]}, "https://api.example.com (PUT)"),
        (AllowedDomain("api.example.com", "HEAD"), "https://api.example.com (HEAD)"),
    ],
)
def test_an_entry_is_one_scheme_host_and_port_with_its_methods(given, means):
    assert str(allowed_domain(given)) == means


def test_an_entry_without_methods_allows_those_that_ask_and_change_and_no_others():
    every = AllowedDomain("api.example.com")
    assert all(every.allows(method) for method in METHODS)
    assert not any(every.allows(method) for method in ("CONNECT", "TRACE", "OPTIONS", "get", ""))
    assert [method for method in METHODS if AllowedDomain("api.example.com", ["GET"]).allows(method)] == ["GET"]


def test_approval_and_private_networks_are_off_unless_said():
    assert (AllowedDomain("a.example").approval_mode, AllowedDomain("a.example").private) == ("never_require", False)
    given = {"target": "a.example", "approval_mode": "always_require", "private": True}
    assert allowed_domain(given) == AllowedDomain("a.example", None, "always_require", True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("*.example.com", "name each host"),
        ("https://*", "name each host"),
        ("example.com/private", "leave out the path"),
        ("example.com?q=1", "leave out the path"),
        ("example.com#part", "leave out the path"),
        ("example.com\\x", "leave out the path"),
        ("user@example.com", "leave out the part before the @"),
        ("ftp://example.com", "has to begin with https:// or http://"),
        ("file://etc", "has to begin with https:// or http://"),
        ("", "is not a host"),
        ("https://", "is not a host"),
        (".", "is not a host"),
        ("a..example", "is not a host"),
        ("-a.example", "is not a host"),
        ("a b.example", "is not a host"),
        ("a.example\n", "is not a host"),
        ("a\x00.example", "is not a host"),
        ("\ud800.example", "is not a host"),
        ("a" * 64 + ".example", "is not a host"),
        ("a." * 130 + "example", "is not a host"),
        ("a.example:", "is not a host"),
        ("a.example:0", "port"),
        ("a.example:65536", "port"),
        ("a.example:٤٤٣", "is not a host"),
        ("http://2130706433", "four decimal numbers"),
        ("http://0x7f000001", "four decimal numbers"),
        ("http://0177.0.0.1", "four decimal numbers"),
        ("http://127.1", "four decimal numbers"),
        ("http://1.2.3.256", "four decimal numbers"),
        ("http://[::1", "is not a host"),
        ("http://[fe80::1%eth0]", "is not a host"),
        ("http://[1:2]", "IPv6"),
        ("straße.example", "write it with xn--"),
        ("127.0.0.1:8000", "write http://127.0.0.1:8000 or https://"),
        ("localhost", "write http://localhost or https://"),
        (("a.example", "CONNECT"), "use some of GET"),
        (("a.example", "TRACE"), "use some of GET"),
        (("a.example", []), "use some of GET"),
        (("a.example", 5), "use some of GET"),
        (("a.example", "GET", "POST"), "is not a host to allow"),
        ({"host": "a.example"}, "is not a host to allow"),
        ({"target": "a.example", "approval_mode": "sometimes"}, "always_require"),
        ({"target": "a.example", "private": 1}, "True or False"),
        ((5, "GET"), "is not a host to allow"),
        (None, "is not a host to allow"),
    ],
)
def test_what_is_no_whole_host_is_refused_with_one_sentence_that_says_what_to_write(given, said):
    with pytest.raises(UserError) as refused:
        allowed_domain(given)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
