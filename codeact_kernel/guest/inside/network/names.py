"""The HTTP functions that programs find in their namespace. `network.http` is imported when they are first called."""

from collections.abc import Mapping
from typing import Any

is_on: list[bool] = []


def start_run(config: Mapping[str, Any], namespace: dict[str, Any]) -> None:
    """Add the functions to the program's namespace."""
    is_on[:] = [True]
    for function in (http_get, http_get_async, http_post, http_request):
        namespace[function.__name__] = function


def http_get(url: str, params: Any = None, headers: Any = None, timeout: Any = None) -> Any:
    """Send a GET request; the response has `.status`, `.ok`, `.headers`, `.text`, `.json()` and `.content`."""
    return http_request("GET", url, params=params, headers=headers)


def http_get_async(url: str, params: Any = None, headers: Any = None, timeout: Any = None) -> Any:
    """Return an awaitable GET request. Requests under `asyncio.gather` run in parallel."""
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
    """Send any request. The host limits its time, so `timeout` has no effect."""
    from .http import request

    return request(method, url, params=params, json=json, data=data, headers=headers)
