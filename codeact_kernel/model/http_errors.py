"""Explain the errors of an endpoint in one sentence that says what to do next. Independent of any client library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from ..errors import ModelError
from ..text import collapse_whitespace, format_list, replace_unprintable, truncate

__all__ = ["Endpoint", "Failure", "explain", "list_models", "redact_url"]

DETAIL_CHARACTERS = 300
MODELS_SHOWN = 8
SHOWN_URL = re.compile(r"[!-~]{1,200}")
"""Spaces are excluded, so that a URL cannot contain a sentence, and letters that resemble others."""
REQUEST_PATH = re.compile(r"/(?:openai/deployments/.*|chat/completions/?|models/?)$")
"""The path that a request adds to the URL of an endpoint."""
TOO_LONG = re.compile(r"context.{0,20}(length|size|window)|maximum context|prompt is too long|too many tokens", re.I)
QUOTA = re.compile(r"insufficient_quota|quota|billing|credit", re.I)
# Keys of known services: an endpoint could send back a key other than ours.
KEY = re.compile(r"\b(?:sk|gsk|xai)-[\w*.\-]{6,}|Bearer\s+\S+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """The address of a model.

    Attributes:
        model: the name of the model at the endpoint.
        url: the URL without credentials, which can be shown.
        url_variable, key_variable: the environment variables that the user would correct.
        key: the secret, which is never shown; empty if there is none.
    """

    model: str
    url: str
    url_variable: str = "OPENAI_BASE_URL"
    key_variable: str = "OPENAI_API_KEY"
    key: str = field(default="", repr=False)

    def redact(self, text: str) -> str:
        """Fit text from the endpoint into a sentence: one bounded line without the key."""
        if self.key:
            text = text.replace(self.key, "[key]")
        return tidy(KEY.sub("[key]", text)).rstrip(".")


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """An HTTP answer that reports an error.

    Attributes:
        code: the error code of the endpoint (`"context_length_exceeded"`), often empty.
        message: the text of the endpoint.
        models: the models that the endpoint offers, if it was asked for them.
        location: the target of a redirect, as the endpoint wrote it.
    """

    status: int
    code: str = ""
    message: str = ""
    models: Sequence[str] = ()
    location: str = ""


def explain(endpoint: Endpoint, failure: Failure) -> ModelError:
    """Return the error to raise for an HTTP status."""
    status = failure.status
    retryable = status >= 500
    if failure.location:
        sentence = explain_redirect(endpoint, failure)
    elif status in (401, 403):
        sentence = explain_rejected_key(endpoint, failure)
    elif status == 404:
        sentence = explain_not_found(endpoint, failure)
    elif status == 429:
        used_up = QUOTA.search(failure.code + " " + failure.message) is not None
        sentence, retryable = explain_rate_limit(endpoint, used_up), not used_up
    elif status >= 500:
        sentence = f"{endpoint.url} had an internal error ({status}): wait a moment, then run the cell again."
    else:
        sentence = explain_rejection(endpoint, failure)
    return ModelError(sentence, status=status, retryable=retryable)


def explain_rejected_key(endpoint: Endpoint, failure: Failure) -> str:
    if not endpoint.key:
        return f"{endpoint.url} requires an API key ({failure.status}): set {endpoint.key_variable}."
    if failure.status == 403:
        return (
            f"{endpoint.url} does not let this API key do that (403): "
            f"ask for access, or set CODEACT_MODEL to another model."
        )
    return f"{endpoint.url} did not accept the API key (401): correct {endpoint.key_variable}."


def explain_not_found(endpoint: Endpoint, failure: Failure) -> str:
    if failure.models and endpoint.model not in failure.models:
        return (
            f"{endpoint.url} does not offer the model {endpoint.model}: "
            f"set CODEACT_MODEL to one of {list_models(failure.models)}."
        )
    return (
        f"{endpoint.url} does not know the model {endpoint.model} or Chat Completions (404): correct CODEACT_MODEL, "
        f"or {endpoint.url_variable} (most endpoints end in /v1)."
    )


def explain_rate_limit(endpoint: Endpoint, used_up: bool) -> str:
    if used_up:
        return f"The quota at {endpoint.url} is used up (429): add credit there, or configure another model."
    return f"{endpoint.url} limits the rate of requests (429): wait a minute, then run the cell again."


def explain_redirect(endpoint: Endpoint, failure: Failure) -> str:
    target = endpoint.redact(find_redirect_target(endpoint.url, failure.location))
    return (
        f"{endpoint.url} redirects to {target or 'another address'}, but prompts are sent only to the address that you "
        f"set: if the new address is right, set {endpoint.url_variable} to it."
    )


def find_redirect_target(url: str, location: str) -> str:
    """Find the URL that would have to be configured instead of `url` to follow a redirect.

    Returns:
        The URL without user, password and query; empty if it is not fit to be shown.
    """
    try:
        target = REQUEST_PATH.sub("", redact_url(urljoin(f"{url}/", location)))
    except ValueError:
        return ""
    return target if SHOWN_URL.fullmatch(target) else ""


def explain_rejection(endpoint: Endpoint, failure: Failure) -> str:
    if TOO_LONG.search(failure.code.replace("_", " ")) or TOO_LONG.search(failure.message):
        return (
            f"The prompt is longer than {endpoint.model} can read: shorten it, offer fewer tools, "
            f"or choose a model with a larger context."
        )
    if failure.code == "content_filter":
        return f"The content filter at {endpoint.url} refused the prompt: word it differently."
    detail = endpoint.redact(failure.message) or "no reason given"
    return f"{endpoint.url} did not accept the request ({failure.status}: {detail}): correct it, or try another model."


def list_models(names: Sequence[str]) -> str:
    """Write the first names of an endpoint's models on one line."""
    return tidy(format_list(names, MODELS_SHOWN))


def tidy(text: str) -> str:
    """Fit text from an endpoint into a sentence: one line of printable characters, at most `DETAIL_CHARACTERS`."""
    return truncate(collapse_whitespace(replace_unprintable(text[: 2 * DETAIL_CHARACTERS])), DETAIL_CHARACTERS)


def redact_url(url: str) -> str:
    """Remove the parts of a URL that can be secret: user, password and query.

    Raises:
        ValueError: if `url` is not an `http` or `https` URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
