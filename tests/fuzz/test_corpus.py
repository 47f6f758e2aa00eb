"""Every input that the fuzzer has kept, once more; `scripts/fuzz` looks for others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from codeact_kernel.bridge import messages, protocol, strict_json
from codeact_kernel.capabilities.data import exact, outputs
from codeact_kernel.capabilities.files import mount_table
from codeact_kernel.capabilities.network import policy
from codeact_kernel.capabilities.show import validation
from codeact_kernel.model import draft
from codeact_kernel.render import card_state, elements
from codeact_kernel.sandbox import chunking, host_function
from codeact_kernel.tools import registry

from .targets import CORPUS, TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_no_kept_input_breaks_a_promise(target):
    replay(target)


def replay(target: str) -> None:
    inputs = sorted((CORPUS / target).iterdir())
    assert inputs
    for path in inputs:
        try:
            TARGETS[target](path.read_bytes())
        except Exception as error:
            raise AssertionError(f"{target}, {path.name}: {path.read_bytes()[:2_000]!r}") from error


PLANTED: list[tuple[str, str, Any, str, Callable[..., Any]]] = [
    (
        "strict_json",
        "keys twice",
        strict_json,
        "_decode_text",
        json.JSONDecoder(parse_float=strict_json._parse_finite).decode,
    ),
    ("strict_json", "lone surrogates", strict_json, "_refuse_surrogates", lambda value: None),
    ("strict_json", "any depth", strict_json, "_is_deeper", lambda data, depth: False),
    (
        "strict_json",
        "numbers without end",
        strict_json,
        "_decode_text",
        json.JSONDecoder(object_pairs_hook=strict_json._require_unique).decode,
    ),
    ("host", "calls in any order", protocol.Connection, "_open", lambda self, call: self.open_calls.add(call)),
    ("host", "fields unread", messages, "_check", lambda content, fields, what: None),
    ("worker", "anything at any time", protocol.Connection, "_advance", lambda self, speaker, message: None),
    (
        "hostfunction",
        "pieces of any place",
        chunking.Chunking,
        "_append_piece",
        lambda self, at, text, last: self._parts.append(text),
    ),
    ("hostfunction", "sleep for ever", host_function, "_clamp_seconds", lambda number: number),
    ("card", "markup in a page", elements, "for_html", str),
    ("card", "codes on a card", card_state, "escape_controls", str),
    ("prose", "markup in prose", elements, "for_html", str),
    ("show", "any chart", validation, "validate_chart", lambda spec, limits: spec),
    ("show", "any base64", validation, "image_size", lambda data: ("image/svg+xml", 1, 1)),
    (
        "received",
        "columns of any length",
        outputs.OutputReceiver,
        "_lengths",
        property(lambda self: [self._rows] * 9, lambda *_: None),
    ),
    ("frame", "a value as it was sent", exact, "read_frame", lambda described, buffers: described),
    ("files", "any path", mount_table, "parts_of", lambda path: tuple(str(path)[1:].split("/"))),
    ("url", "any host", policy, "find_rule", lambda domains, method, url: replace(domains[0], methods=None)),
    ("url", "any text", policy, "quote", lambda text, safe: text),
    ("answer", "fences by halves", draft, "MAYBE_OPENING", draft.OPENING),
    ("arguments", "others than asked for", registry, "_canonical", lambda name, arguments, limits: '{"number": 1}'),
]


@pytest.mark.parametrize(
    ("target", "what", "where", "name", "wrong"), PLANTED, ids=[f"{one[0]}: {one[1]}" for one in PLANTED]
)
def test_a_target_notices_what_it_is_there_for(monkeypatch, target, what, where, name, wrong):
    monkeypatch.setattr(where, name, wrong, raising=name != "_lengths")
    with pytest.raises(AssertionError):
        replay(target)
