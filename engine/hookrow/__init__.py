"""Hookrow: hooks in a row. Webhooks called at the moments of a service's life, in order, in time, all of it recorded.

    from hookrow import Hook, HookEngine

    with HookEngine("sqlite:///hooks.db") as engine:
        firing = engine.fire("before_order_add", {"order": {"id": 7, "total": 1290}})
        firing.raise_for_veto()

Importing it is quick: names are loaded at their first use (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hookrow import errors
    from hookrow.clock import Clock
    from hookrow.core.blocking import HookEngine
    from hookrow.core.engine import AsyncHookEngine
    from hookrow.core.insight.insight import ConditionMatches
    from hookrow.core.insight.overview import Overview, Step, Stretch
    from hookrow.core.insight.rehearsal import Rehearsal, RehearsedBody, RehearsedFailure
    from hookrow.core.insight.statistics import CandidateFigures, Figures, HookStatistics, ShadowFigures
    from hookrow.errors import (
        Ambiguous,
        CandidateInTheWay,
        ChangedMeanwhile,
        EventNotFound,
        HookNotFound,
        HookrowError,
        IdempotencyConflict,
        InvalidHook,
        InvalidPayload,
        StorageError,
        Vetoed,
    )
    from hookrow.events import ORDER_SUM_AUTHORISED, Event, Events
    from hookrow.hook.candidate import HookCandidate
    from hookrow.hook.egress import Egress
    from hookrow.hook.model import Hook
    from hookrow.hook.stored import HookRef
    from hookrow.observers import AttemptObserved, DeliveryObserved, FiringObserved, HookOutcome, Observer
    from hookrow.payload import Json, JsonObject, Payload
    from hookrow.records import Attempt, CallerConnection, Deed, Delivery, Firing, LogFilter, Revision, Veto
    from hookrow.results import Explained, Redelivered, Replayed, Request, Tapped, Tested
    from hookrow.secrets.keyring import KeyRing
    from hookrow.secrets.secret import Secret
    from hookrow.store.configuration.settings import SettingValue
    from hookrow.store.log.figures import HookFigures
    from hookrow.store.log.finding import Found
    from hookrow.store.log.following import AttemptSeen
    from hookrow.store.log.glance import Summary
    from hookrow.store.log.purge import Purged
    from hookrow.worker import Worker

__all__ = [
    "ORDER_SUM_AUTHORISED",
    "Ambiguous",
    "AsyncHookEngine",
    "Attempt",
    "AttemptObserved",
    "AttemptSeen",
    "CallerConnection",
    "CandidateFigures",
    "CandidateInTheWay",
    "ChangedMeanwhile",
    "Clock",
    "ConditionMatches",
    "Deed",
    "Delivery",
    "DeliveryObserved",
    "Egress",
    "Event",
    "EventNotFound",
    "Events",
    "Explained",
    "Figures",
    "Firing",
    "FiringObserved",
    "Found",
    "Hook",
    "HookCandidate",
    "HookEngine",
    "HookFigures",
    "HookNotFound",
    "HookOutcome",
    "HookRef",
    "HookStatistics",
    "HookrowError",
    "IdempotencyConflict",
    "InvalidHook",
    "InvalidPayload",
    "Json",
    "JsonObject",
    "KeyRing",
    "LogFilter",
    "Observer",
    "Overview",
    "Payload",
    "Purged",
    "Redelivered",
    "Rehearsal",
    "RehearsedBody",
    "RehearsedFailure",
    "Replayed",
    "Request",
    "Revision",
    "Secret",
    "SettingValue",
    "ShadowFigures",
    "Step",
    "StorageError",
    "Stretch",
    "Summary",
    "Tapped",
    "Tested",
    "Veto",
    "Vetoed",
    "Worker",
    "errors",
]

HOMES: dict[str, tuple[str, ...]] = {
    "hookrow.core.blocking": ("HookEngine",),
    "hookrow.core.engine": ("AsyncHookEngine",),
    "hookrow.clock": ("Clock",),
    "hookrow.core.insight.insight": ("ConditionMatches",),
    "hookrow.core.insight.rehearsal": ("Rehearsal", "RehearsedBody", "RehearsedFailure"),
    "hookrow.results": ("Explained", "Redelivered", "Replayed", "Request", "Tapped", "Tested"),
    "hookrow.core.insight.overview": ("Overview", "Step", "Stretch"),
    "hookrow.core.insight.statistics": ("CandidateFigures", "Figures", "HookStatistics", "ShadowFigures"),
    "hookrow.hook.candidate": ("HookCandidate",),
    "hookrow.hook.egress": ("Egress",),
    "hookrow.events": ("Event", "Events", "ORDER_SUM_AUTHORISED"),
    "hookrow.hook.model": ("Hook",),
    "hookrow.hook.stored": ("HookRef",),
    "hookrow.observers": ("AttemptObserved", "DeliveryObserved", "FiringObserved", "HookOutcome", "Observer"),
    "hookrow.payload": ("Json", "JsonObject", "Payload"),
    "hookrow.records": ("Attempt", "CallerConnection", "Deed", "Delivery", "Firing", "LogFilter", "Revision", "Veto"),
    "hookrow.store.configuration.settings": ("SettingValue",),
    "hookrow.store.log.finding": ("Found",),
    "hookrow.store.log.following": ("AttemptSeen",),
    "hookrow.store.log.purge": ("Purged",),
    "hookrow.worker": ("Worker",),
    "hookrow.store.log.figures": ("HookFigures",),
    "hookrow.store.log.glance": ("Summary",),
    "hookrow.secrets.keyring": ("KeyRing",),
    "hookrow.secrets.secret": ("Secret",),
}
HOME = {name: module for module, names in HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("hookrow.errors")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOME.get(name, "hookrow.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
