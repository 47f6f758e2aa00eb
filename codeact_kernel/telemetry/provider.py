"""Find the tracer that the user configured, in the process or by the standard variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

__all__ = ["find_tracer"]

_NAME = "codeact_kernel"


def find_tracer() -> trace.Tracer | None:
    """Return the tracer; `None` if nothing is configured."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):  # it stands for none
        provider = _make_provider(exporter_names(os.environ))
    return None if provider is None else trace.get_tracer(_NAME, tracer_provider=provider)


def exporter_names(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the exporters that the variables choose."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ()
    endpoint = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    names = (environ.get("OTEL_TRACES_EXPORTER") or ("otlp" if endpoint else "")).split(",")
    return tuple(name.strip() for name in names if name.strip() not in ("", "none"))


@cache
def _make_provider(exporters: tuple[str, ...]) -> TracerProvider | None:
    """Make a provider of our own: the one of the process is not ours to set."""
    entries = [entry for name in exporters for entry in entry_points(group="opentelemetry_traces_exporter", name=name)]
    if not entries:
        return None
    name = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "codeact-kernel"}
    provider = TracerProvider(resource=Resource.create(name))
    for entry in entries:
        provider.add_span_processor(BatchSpanProcessor(entry.load()()))
    return provider
