"""Metrics for Prometheus (extra `metrics`): of a service's engine, or of `hookrow worker --http`.

from hookrow.metrics import Metrics

metrics = Metrics()
engine = HookEngine(url, observers=[metrics])
metrics.register(engine)  # with prometheus_client's own registry, or another one
"""

from __future__ import annotations

from hookrow.metrics.collector import Metrics

__all__ = ["Metrics"]
