"""Traces and metrics for OpenTelemetry (extra `otel`): of a service's engine, or of `hookrow worker --otel`.

from hookrow.otel import Telemetry

engine = HookEngine(url, observers=[Telemetry()])  # by the providers that the service has set up
"""

from __future__ import annotations

from hookrow.otel.telemetry import Telemetry

__all__ = ["Telemetry"]
