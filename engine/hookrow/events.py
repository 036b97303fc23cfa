"""What can happen: the document's nine events, the engine's own three, and those that a service adds.

`CATALOGUE` holds them in the document's order; `Events` finds them by code and by the API call that means them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from hookrow.errors import EventNotFound, InvalidInput, InvalidPayload, Problem
from hookrow.hook.checks import Unfit, line
from hookrow.lang import Both, Text
from hookrow.payload import Json, JsonObject, get_pointer, normalise, pointer_parts

if TYPE_CHECKING:
    from werkzeug.routing import Map

__all__ = ["CATALOGUE", "ORDER_SUM_AUTHORISED", "Call", "Event", "Events", "redact"]

ORDER_SUM_AUTHORISED = "order_sum_authorised"
"""The condition, supplied by the host, under which checking a Sberbank payment sets an order's status."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ACTION_METHODS = frozenset({"GET", "POST", "PUT", "PATCH"})
ID_METHODS = frozenset({"POST", "PUT", "PATCH"})
CALL = r"(?:(?P<method>[A-Z]+) )?(?P<path>(?:/(?:[\w.~-]+|\{[a-z_]+\}))+)(?: if (?P<condition>[a-z][a-z0-9_]*))?"
SAMPLE_LIMIT = 1_048_576


@dataclass(frozen=True, slots=True)
class Call:
    """An API call that means an event: HTTP methods, a path with `{id}` segments, a condition that the host judges."""

    methods: frozenset[str]
    path: str
    condition: str | None = None

    @classmethod
    def read(cls, text: str) -> Call:
        """The call written as `[METHOD ]/path/{id}[ if condition]`.

        Without a method, a path that ends in an action takes GET, POST, PUT and PATCH, one that ends in `{id}` all of
        these but GET: docs/reference/events.md for what the document leaves open.

        Raises:
            ValueError: it is not written like that.
        """
        found = re.fullmatch(CALL, text, re.ASCII)
        if found is None or (found["method"] and found["method"] not in METHODS):
            raise ValueError(text)
        path = re.sub(r"\{\w+\}", "{id}", found["path"])
        if found["method"]:
            methods = frozenset({found["method"]})
        else:
            methods = ID_METHODS if path.endswith("{id}") else ACTION_METHODS
        return cls(methods, path, found["condition"])


@dataclass(frozen=True)
class Event:
    """A kind of moment that hooks can be attached to.

    Args:
        code: `[a-z][a-z0-9_.]{0,63}`.
        title: for people; one text, or `Both`.
        moment: `before` an operation, which a blocking hook may stop or change; `after` it; `on` an occasion.
        methods: the API calls that mean it, each `[METHOD ]/path/{id}[ if condition]`.
        sample: a realistic payload, for tests and the form.
        private: JSON Pointers of values that only blocking hooks receive and that are never kept.
        origin: `document`, `system` (the engine fires it itself) or `service`.

    Raises:
        InvalidInput: one sentence for each part at fault.
    """

    code: str
    title: Both | str
    moment: Literal["before", "after", "on"] = "before"
    methods: tuple[str, ...] = ()
    sample: JsonObject = field(default_factory=dict, hash=False)
    private: tuple[str, ...] = ()
    origin: Literal["document", "system", "service"] = "service"

    def __post_init__(self) -> None:
        problems = []
        if not re.fullmatch(r"[a-z][a-z0-9_.]{0,63}", self.code):
            rule = Text(
                "An event's code: a lower-case Latin letter, then up to 63 lower-case letters, digits, _ or dots."
            )
            problems.append(Problem("code", rule))
        if not str(self.title).strip():
            problems.append(Problem("title", Text("An event needs a title.")))
        for title in {self.title.en, self.title.ru} if isinstance(self.title, Both) else {self.title}:
            try:
                line(title)
            except Unfit as unfit:
                problems.append(Problem("title", unfit.text))
        if self.moment not in ("before", "after", "on"):
            problems.append(Problem("moment", Text("before, after or on.")))
        if self.origin not in ("document", "system", "service"):
            problems.append(Problem("origin", Text("document, system or service.")))
        for text in self.methods:
            try:
                Call.read(text)
            except ValueError:
                fault = Text("{call} is not of the form POST /path/{{id}} or /path/action.", call=text)
                problems.append(Problem("methods", fault))
        problems += [
            Problem("private", Text("{text} is not a JSON Pointer such as /user/password.", text=pointer))
            for pointer in self.private
            if not re.fullmatch(r"(/([^~/\ud800-\udfff]|~[01])+)+", pointer)
        ]
        try:
            object.__setattr__(self, "sample", normalise(self.sample, SAMPLE_LIMIT))
        except InvalidPayload as fault:
            problems += [Problem("sample" + fault.pointer, problem.text) for problem in fault.problems]
        if problems:
            raise InvalidInput(problems)
        object.__setattr__(self, "methods", tuple(self.methods))
        object.__setattr__(self, "private", tuple(self.private))
        if isinstance(self.title, str):
            object.__setattr__(self, "title", Both(self.title, self.title))

    @property
    def calls(self) -> tuple[Call, ...]:
        """The API calls that mean it."""
        return tuple(Call.read(text) for text in self.methods)

    @property
    def system(self) -> bool:
        """Whether the engine itself fires it."""
        return self.origin == "system"


@cache
def samples() -> JsonObject:
    text = Path(__file__).with_name("samples.json").read_text("utf-8")
    loaded: JsonObject = json.loads(text)
    return loaded


def from_document(code: str, en: str, ru: str, *methods: str, private: tuple[str, ...] = ()) -> Event:
    """An event of the document: its code says its moment."""
    moment: Any = code.partition("_")[0]
    return Event(code, Both(en, ru), moment, methods, samples()[code], private, "document")


def from_engine(code: str, en: str, ru: str) -> Event:
    return Event(code, Both(en, ru), "on", (), samples()[code], (), "system")


PASSWORD = ("/user/password",)

CATALOGUE: tuple[Event, ...] = (
    from_document(
        "before_registration", "Before registration", "До регистрации", "/organization/user/new", private=PASSWORD
    ),
    from_document(
        "after_registration", "After registration", "После регистрации", "/organization/user/new", private=PASSWORD
    ),
    from_document(
        "before_order_add",
        "Before an order is added",
        "Перед добавлением заказа",
        "/organization/order/add",
        "/user/order/add",
    ),
    from_document(
        "before_order_update",
        "Before an order is updated",
        "Перед обновлением заказа",
        "/organization/order/{id}",
        "/user/order/{id}",
    ),
    from_document(
        "before_order_setstatus",
        "Before an order's status is set",
        "Перед установкой статуса заказа",
        "/organization/order/set_status",
        f"/user/sber_get_status if {ORDER_SUM_AUTHORISED}",
    ),
    from_document(
        "before_delivery_service_calculate",
        "Calculate the cost of delivery",
        "Рассчитать стоимость доставки",
        "/organization/delivery_service/{id}/calculate",
    ),
    from_document(
        "before_user_update",
        "Before a user is updated",
        "Перед обновлением пользователя",
        "/organization/user/{id}",
        private=PASSWORD,
    ),
    from_document(
        "before_user_new", "Before a new user", "Перед новым пользователем", "POST /user/new", private=PASSWORD
    ),
    from_document("on_subscription", "On subscription", "При подписке"),
    from_engine("hook.paused", "A hook was paused", "Хук приостановлен"),
    from_engine("hook.resumed", "A hook was resumed", "Хук возобновлён"),
    from_engine("delivery.dead", "A delivery failed for good", "Доставка не удалась окончательно"),
)
"""The document's nine events in its order, then the engine's own."""


class Events:
    """The catalogue of one engine: iterable in order, with what the service added at the end."""

    def __init__(self, more: Iterable[Event] = ()) -> None:
        self.by_code: dict[str, Event] = {event.code: event for event in CATALOGUE}
        self.routes: tuple[Map, dict[str, list[tuple[Event, Call]]]] | None = None
        """The paths, and what calls of each mean; made at the first need."""
        for event in more:
            self.add(event)

    def __iter__(self) -> Iterator[Event]:
        return iter(list(self.by_code.values()))

    def __len__(self) -> int:
        return len(self.by_code)

    def __contains__(self, code: object) -> bool:
        return code in self.by_code

    def add(self, event: Event) -> None:
        """Add an event, or put it in the place of the one with its code (to mark more fields as private, say).

        Raises:
            InvalidInput: the code belongs to an event that the engine fires itself.
        """
        known = self.by_code.get(event.code)
        if known is not None and known.system and not event.system:
            raise InvalidInput([Problem("code", Text("{code} is the engine's own event.", code=event.code))])
        self.by_code = {**self.by_code, event.code: event}
        self.routes = None

    def get(self, code: str) -> Event:
        """The event of this code.

        Raises:
            EventNotFound: there is none; the message names similar ones.
        """
        found = self.by_code.get(code)
        if found is not None:
            return found
        from difflib import get_close_matches

        near = get_close_matches(code, self.by_code, n=3, cutoff=0.5)
        if near:
            raise EventNotFound(Text("There is no event {code}. Similar: {near}.", code=code, near=", ".join(near)))
        raise EventNotFound(Text("There is no event {code}. To list all: hookrow events", code=code))

    def match(self, method: str, path: str, *, holds: Collection[str] = ()) -> tuple[Event, ...]:
        """The events that an API call means, in the catalogue's order; none is an empty tuple.

        Args:
            method: the HTTP method.
            path: without host; slashes at its end or doubled, and a query, don't matter.
            holds: the conditions that the host knows to hold, such as `ORDER_SUM_AUTHORISED`.
        """
        from werkzeug.exceptions import HTTPException

        if self.routes is None:
            self.routes = self.build()
        paths, meanings = self.routes
        plain = "/" + "/".join(part for part in unquote(path.partition("?")[0]).split("/") if part)
        try:
            pattern, _ = paths.bind("service").match(plain, method="GET")
        except HTTPException:
            return ()
        verb = method.upper()
        found = {
            event.code: event
            for event, call in meanings[pattern]
            if verb in call.methods and (call.condition is None or call.condition in holds)
        }
        return tuple(found.values())

    def build(self) -> tuple[Map, dict[str, list[tuple[Event, Call]]]]:
        """One rule a path; which methods mean which event is asked afterwards, since a path may mean several."""
        from werkzeug.routing import BaseConverter, Map, Rule

        class Identifier(BaseConverter):
            """One segment that holds a digit, so that an unknown action is not taken for an id."""

            regex = "[^/]*[0-9][^/]*"

        meanings: dict[str, list[tuple[Event, Call]]] = {}
        for event in self:
            for call in event.calls:
                meanings.setdefault(call.path, []).append((event, call))
        rules = []
        for path in meanings:
            parts = [
                f"<identifier:id{place}>" if part == "{id}" else part for place, part in enumerate(path.split("/"))
            ]
            rules.append(Rule("/".join(parts), endpoint=path))
        return Map(rules, converters={"identifier": Identifier}), meanings


def redact(payload: JsonObject, pointers: Iterable[str]) -> tuple[JsonObject, tuple[str, ...]]:
    """The payload with null for every private value, and the pointers of those that it holds.

    What is given stays as it is; parts without private values are shared.
    """
    absent = object()
    hidden = []
    for pointer in pointers:
        if get_pointer(payload, pointer, absent) is absent:
            continue
        hidden.append(pointer)
        payload = without(payload, pointer_parts(pointer))
    return payload, tuple(hidden)


def without(value: Json, parts: list[str]) -> Json:
    """A copy with None at the end of a path that exists."""
    if not parts:
        return None
    if isinstance(value, dict):
        return {**value, parts[0]: without(value[parts[0]], parts[1:])}
    place = int(parts[0])
    return [*value[:place], without(value[place], parts[1:]), *value[place + 1 :]]
