"""Make the spans of one turn from its events."""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from ..events import (
    ApprovalDecided,
    CallFinished,
    Event,
    ModelAnswered,
    ModelRequested,
    RunFinished,
    RunStarted,
    TurnFinished,
    TurnStarted,
)
from ..text import truncate
from ..tools.redaction import without_secrets
from ..types import CallError, Decision, JSONValue, ToolCall, TurnResult, Usage

__all__ = ["TurnSpans"]

_CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_SHOWN = 10_000
"""Characters of each content."""
_HOST_ERRORS = frozenset(
    {"BridgeError", "CancelledError", "Crashed", "Interrupted", "ModelError", "NoAnswer", "ProgramError", "Refused",
     "Rejected", "SandboxError", "TimedOut", "ToolDenied", "ToolFailed", "UserError", "WorkerLost"}
)  # fmt: skip


class TurnSpans:
    """Makes the spans of one turn, below the span that is current when this object is made."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._outer = context.get_current()
        self._model: dict[str, Any] = {}
        self._tools: Collection[str] = ()
        self._turn: Span | None = None
        self._chat: Span | None = None
        self._run: Span | None = None
        self._calls: dict[tuple[int, int], Span] = {}

    def take(self, event: Event) -> None:
        """Start or end the spans that the event is about."""
        match event:
            case TurnStarted():
                self._start_turn(event)
            case ModelRequested():
                self._chat = self._start(
                    f"chat {self._model['gen_ai.request.model']}", "chat", self._model, is_client=True
                )
            case ModelAnswered(usage=usage, finish=finish, error=error):
                reasons = {"gen_ai.response.finish_reasons": [finish]} if finish else {}
                self._end(self._chat, error, {**_usage(usage), **reasons})
                self._chat = None
            case RunStarted(run=run, isolation=isolation):
                self._end(self._run)  # a run that was withdrawn has no end
                facts = {"codeact.run": run, "codeact.backend": isolation.backend}
                self._run = self._start("run_program", "", facts)
            case RunFinished(outcome=outcome):
                self._end(self._run, outcome.failure.kind if outcome.failure is not None else "")
                self._run = None
            case ApprovalDecided(run=run, call=call, decision=decision):
                self._calls[run, call.id] = self._start_call(run, call, decision)
            case CallFinished(run=run, call=call, answer=answer):
                span = self._calls.pop((run, call.id), None) or self._start_call(run, call)  # refused before a decision
                if isinstance(answer, CallError):
                    self._end(span, answer.kind)
                else:
                    self._end(span, "", _content("gen_ai.tool.call.result", answer.value))
            case TurnFinished(result=result):
                for span in (*self._calls.values(), self._run, self._chat):
                    self._end(span)
                self._end_turn(result)
            case _:
                pass

    def _start_turn(self, event: TurnStarted) -> None:
        host = urlsplit(event.endpoint).hostname or ""
        self._tools = event.tools
        self._model = {"gen_ai.request.model": event.model, "gen_ai.provider.name": _name_provider(host)}
        if host:
            self._model["server.address"] = host
        if port := urlsplit(event.endpoint).port:
            self._model["server.port"] = port
        asked = _content("gen_ai.input.messages", [_message("user", event.ask)])
        facts = {"gen_ai.agent.name": "codeact", **self._model, **asked}
        self._turn = self._start("invoke_agent codeact", "invoke_agent", facts)

    def _end_turn(self, result: TurnResult) -> None:
        words = [_message("assistant", result.program or result.answer)]
        facts = {**_usage(result.usage), **_content("gen_ai.output.messages", words)}
        self._end(self._turn, result.error.kind if result.error is not None else "", facts)

    def _start_call(self, run: int, call: ToolCall, decision: Decision | None = None) -> Span:
        # A program can call a tool that does not exist by any name, even by one made of its data.
        name = call.name if decision is not None or call.name in self._tools else "_OTHER"
        facts: dict[str, Any] = {
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": f"{run}.{call.id}",
        }
        arguments = call.arguments
        if decision is not None:
            facts |= {"codeact.decision": decision.choice, "codeact.decided_by": decision.by}
            arguments = decision.arguments or arguments
        facts |= _content("gen_ai.tool.call.arguments", dict(arguments))
        return self._start(f"execute_tool {name}", "execute_tool", facts, below=self._run)

    def _start(
        self, name: str, operation: str, facts: Mapping[str, Any], *, is_client: bool = False, below: Span | None = None
    ) -> Span:
        parent = below or self._turn
        return self._tracer.start_span(
            name,
            context=set_span_in_context(parent, self._outer) if parent is not None else self._outer,
            kind=SpanKind.CLIENT if is_client else SpanKind.INTERNAL,
            attributes={**facts, **({"gen_ai.operation.name": operation} if operation else {})},
        )

    def _end(self, span: Span | None, error: str = "", facts: Mapping[str, Any] | None = None) -> None:
        if span is None:
            return
        span.set_attributes(facts or {})
        if error:
            name = _name_error(error)
            span.set_attribute("error.type", name)
            span.set_status(Status(StatusCode.ERROR, name))
        span.end()


def _usage(usage: Usage) -> dict[str, Any]:
    tokens = {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
    }
    return {**tokens, "codeact.usage.estimated": True} if usage.estimated else tokens


def _content(name: str, value: JSONValue) -> dict[str, str]:
    """Return an attribute with content, if the user wants it in the spans."""
    if os.environ.get(_CAPTURE, "").lower() not in ("true", "1", "span_only", "span_and_event"):
        return {}
    return {name: truncate(without_secrets(json.dumps(value, ensure_ascii=False)), _SHOWN)}


def _message(role: str, text: str) -> JSONValue:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _name_provider(host: str) -> str:
    """Name the provider as the conventions do: by the protocol, since many endpoints speak that of OpenAI."""
    if not host:
        return "_OTHER"
    return "azure.ai.openai" if host.endswith(".openai.azure.com") else "openai"


def _name_error(kind: str) -> str:
    """Return the kind if it is one of Python's or ours. A program can name an exception after its data."""
    known = kind in _HOST_ERRORS or isinstance(getattr(builtins, kind, None), type)
    return kind if known else "_OTHER"
