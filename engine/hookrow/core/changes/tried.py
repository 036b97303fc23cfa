"""Bodies, conditions and URLs tried before a hook is written: what `engine.hooks` offers for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hookrow.core.insight.insight import last_payload
from hookrow.delivery.message import envelope
from hookrow.hook.local_time import NOW
from hookrow.hook.modes import WAITING, mode
from hookrow.lang import Text
from hookrow.payload import JsonObject, Payload, dumps
from hookrow.store.configuration.cache import Config
from hookrow.template import compiled as template

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["TriedHooks"]

OWN_NOW = Text('the payload has a key "now" of its own: "now" means that key, not the time')
NO_SHADOW = Text("shadow has no effect here: only blocking hooks of before_… events can be in shadow")
EXAMPLE_UID = "0"
"""Of a firing that is only an example."""


class TriedHooks:
    """The part of `engine.hooks` that tries on a payload what is to be saved."""

    runtime: Runtime

    def example(self, event: str) -> JsonObject:
        """The payload that bodies and conditions are tried on: the event's last recorded one, else its sample."""
        last = last_payload(self.runtime, event)
        return self.runtime.event(self.runtime.config_now(), event).sample if last is None else last

    def preview(self, event: str, body: str, payload: Payload | None = None) -> str:
        """What a body becomes on this payload, else on the event's last recorded one, else on its sample: JSON text.
        Nothing is sent.

        An empty body is the standard envelope; the firing's id and time are examples.

        Raises:
            EventNotFound, InvalidTemplate
        """
        example = self.example(event) if payload is None else dict(payload)
        if not body.strip():
            return envelope(EXAMPLE_UID, event, self.runtime.clock.now_ms(), dumps(example))
        return template.preview_body(body, example, moment=self.runtime.moment())

    def refused_address(self, url: str) -> Text | None:
        """Why requests to this URL would be refused, where its host is a literal address; no name is looked up.

        None where nothing speaks against it, or where it is no URL yet.
        """
        from urllib.parse import urlsplit

        try:
            parts = urlsplit(url.strip())
            host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        except ValueError:
            return None
        return self.runtime.refused_address(host, port)

    def check_templates(
        self, config: Config, event: str, values: Mapping[str, Any], only: Mapping[str, Any] | None = None
    ) -> list[Text]:
        """Try body and condition where they are new; the event must exist. Gives what their writer should know.

        Raises:
            EventNotFound, InvalidTemplate
        """
        self.runtime.event(config, event)
        notes: list[Text] = []
        if values["shadow"] and (only is None or not {"shadow", "event"}.isdisjoint(only)):
            own = mode(values["fire_and_forget"], values["wait_for_response"], values["response_has_data"])
            if own not in WAITING or self.runtime.event(config, event).moment != "before":
                notes.append(NO_SHADOW)
        asked = [
            (check, values[name])
            for name, check in (("body", template.check_body), ("condition", template.check_condition))
            if values[name] and (only is None or name in only or "event" in only)
        ]
        if not asked:
            return notes
        example, moment = self.example(event), self.runtime.moment()
        for check, source in asked:
            check(source, example, moment=moment)
        if NOW in example and template.reads_now(values["body"], values["condition"]):
            notes.append(OWN_NOW)
        return notes
