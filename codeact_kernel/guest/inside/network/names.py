"""What a program finds of the network. How it works is read when it is used."""

from collections.abc import Mapping
from typing import Any

is_on: list[bool] = []


def start_run(config: Mapping[str, Any], namespace: dict[str, Any]) -> None:
    """Called before the program."""
    is_on[:] = [True]
    for function in (http_get, http_get_async, http_post, http_request):
        namespace[function.__name__] = function


def http_get(url: str, params: Any = None, headers: Any = None, timeout: Any = None) -> Any:
    """Ask for a page; `.status`, `.ok`, `.headers`, `.text`, `.json()` and `.content` are its parts."""
    return http_request("GET", url, params=params, headers=headers)


def http_get_async(url: str, params: Any = None, headers: Any = None, timeout: Any = None) -> Any:
    """The same to be awaited: several can be under way, for example under `asyncio.gather`."""
    from .http import request_async

    return request_async("GET", url, params=params, headers=headers)


def http_post(
    url: str, json: Any = None, data: Any = None, headers: Any = None, params: Any = None, timeout: Any = None
) -> Any:
    """Send `json`, or `data`: text, bytes, or a form as a dict."""
    return http_request("POST", url, params=params, json=json, data=data, headers=headers)


def http_request(
    method: str,
    url: str,
    params: Any = None,
    json: Any = None,
    data: Any = None,
    headers: Any = None,
    timeout: Any = None,
) -> Any:
    """Any request. How long it may take is the host's to say, so `timeout` changes nothing."""
    from .http import request

    return request(method, url, params=params, json=json, data=data, headers=headers)
