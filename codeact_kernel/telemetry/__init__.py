"""Trace turns with OpenTelemetry, if its SDK is installed and configured. Nothing is imported or sent otherwise.

The spans follow the semantic conventions for generative AI: `invoke_agent` for the turn, below it `chat` for each
request to the model and `run_program` for each run, below that `execute_tool` for each call. They hold no prompt,
program, argument or result, unless the standard variable `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` asks for
them.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from ..events import Emit, Event

__all__ = ["traced"]

_VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_PYTHON_TRACER_PROVIDER",
    "OTEL_TRACES_EXPORTER",
)
"""The standard variables that configure traces."""


def traced(emit: Emit) -> Emit:
    """Return what also makes spans of the events of one turn. They are below the span that is current now."""
    if "opentelemetry.trace" not in sys.modules and not any(os.environ.get(name) for name in _VARIABLES):
        return emit
    try:
        from .provider import find_tracer
        from .spans import TurnSpans

        tracer = find_tracer()
        if tracer is None:
            return emit
        spans = TurnSpans(tracer)
    except Exception:  # OpenTelemetry is not installed, or its configuration is wrong; the turn is not
        return emit

    def trace_and_emit(event: Event) -> None:
        with suppress(Exception):  # as above
            spans.take(event)
        emit(event)

    return trace_and_emit
