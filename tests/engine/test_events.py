"""The catalogue, the API calls that mean its events, and private fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.errors import EventNotFound, InvalidInput
from hookrow.events import CATALOGUE, ORDER_SUM_AUTHORISED, Event, Events, redact
from hookrow.lang import Both
from hookrow.payload import dumps, get_pointer, normalise

DOCUMENT = [
    ("before_registration", "До регистрации", "before"),
    ("after_registration", "После регистрации", "after"),
    ("before_order_add", "Перед добавлением заказа", "before"),
    ("before_order_update", "Перед обновлением заказа", "before"),
    ("before_order_setstatus", "Перед установкой статуса заказа", "before"),
    ("before_delivery_service_calculate", "Рассчитать стоимость доставки", "before"),
    ("before_user_update", "Перед обновлением пользователя", "before"),
    ("before_user_new", "Перед новым пользователем", "before"),
    ("on_subscription", "При подписке", "on"),
]
ALL = ("GET", "POST", "PUT", "PATCH")
CHANGING = ("POST", "PUT", "PATCH")
REGISTRATION = ["before_registration", "after_registration"]


def codes(method: str, path: str, **more: object) -> list[str]:
    """The codes of the events that a call means."""
    return [event.code for event in Events().match(method, path, **more)]  # type: ignore[arg-type]


def test_the_documents_nine_events_in_order() -> None:
    """Codes, Russian titles and moments are the document's, in its order; the engine's own three come after them."""
    found = [(event.code, event.title.ru, event.moment) for event in CATALOGUE if isinstance(event.title, Both)]
    assert found[:9] == DOCUMENT
    assert [code for code, _, _ in found[9:]] == ["hook.paused", "hook.resumed", "delivery.dead"]
    assert [event.system for event in CATALOGUE] == [False] * 9 + [True] * 3


def test_every_event_has_a_title_in_both_languages_and_a_sample() -> None:
    """Each event can be shown, and tried out, at once."""
    for event in CATALOGUE:
        assert isinstance(event.title, Both)
        assert event.title.en != event.title.ru
        assert event.sample
        assert normalise(event.sample, 10_000) == event.sample


def test_passwords_are_private_on_registration_and_user_events() -> None:
    """The events that carry a new user's password mark it, and no others do."""
    private = {event.code for event in CATALOGUE if event.private == ("/user/password",)}
    assert private == {*REGISTRATION, "before_user_update", "before_user_new"}
    assert all(not event.private for event in CATALOGUE if event.code not in private)


@pytest.mark.parametrize(
    ("path", "methods", "expected"),
    [
        ("/organization/user/new", ALL, REGISTRATION),
        ("/organization/order/add", ALL, ["before_order_add"]),
        ("/user/order/add", ALL, ["before_order_add"]),
        ("/organization/order/7", CHANGING, ["before_order_update"]),
        ("/user/order/7", CHANGING, ["before_order_update"]),
        ("/organization/order/set_status", ALL, ["before_order_setstatus"]),
        ("/organization/delivery_service/3/calculate", ALL, ["before_delivery_service_calculate"]),
        ("/organization/user/48213", CHANGING, ["before_user_update"]),
        ("/user/new", ("POST",), ["before_user_new"]),
    ],
)
def test_every_call_of_the_document(path: str, methods: tuple[str, ...], expected: list[str]) -> None:
    """Each API method that the document names means its event with exactly these HTTP methods."""
    for method in (*ALL, "DELETE", "HEAD", "OPTIONS"):
        assert codes(method, path) == (expected if method in methods else []), method


@pytest.mark.parametrize("method", ALL)
def test_payment_check_sets_the_status_only_if_the_sum_is_authorised(method: str) -> None:
    """The Sberbank check means the event only where the host says that the full sum is authorised."""
    assert codes(method, "/user/sber_get_status") == []
    assert codes(method, "/user/sber_get_status", holds={"something_else"}) == []
    assert codes(method, "/user/sber_get_status", holds={ORDER_SUM_AUTHORISED}) == ["before_order_setstatus"]
    assert ORDER_SUM_AUTHORISED == "order_sum_authorised"


@pytest.mark.parametrize("identifier", ["7", "A-10492", "c0ffee00-1234-4abc-8def-000000000001", "заказ-7", "7.1"])
def test_an_id_is_one_segment_with_a_digit(identifier: str) -> None:
    """Numbers, codes and UUIDs are ids."""
    assert codes("POST", f"/organization/order/{identifier}") == ["before_order_update"]
    calculate = f"/organization/delivery_service/{identifier}/calculate"
    assert codes("POST", calculate) == ["before_delivery_service_calculate"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/organization/order/delete"),
        ("POST", "/organization/user/list"),
        ("DELETE", "/organization/order/set_status"),
        ("POST", "/organization/order/set%5Fstatu"),
        ("POST", "/organization/order"),
        ("POST", "/organization/order/7/8"),
        ("POST", "/organization/order/7%2F8"),
        ("POST", "/organization/orders/7"),
        ("POST", "/Organization/Order/7"),
        ("POST", "/api/organization/order/7"),
        ("POST", "/organization/delivery_service/calculate"),
        ("POST", "/organization/delivery_service/courier/calculate"),
        ("POST", "/organization/delivery_service/3/calculate/now"),
        ("POST", "/organization/delivery_service/3"),
        ("GET", "/organization/order/7"),
        ("GET", "/user/new"),
        ("POST", "/user/7"),
        ("POST", "/user/order"),
        ("POST", "/"),
        ("POST", ""),
        ("", "/user/new"),
    ],
)
def test_near_misses_mean_nothing(method: str, path: str) -> None:
    """An unknown action, another method, a longer or shorter path means no event."""
    assert codes(method, path) == []


@pytest.mark.parametrize(
    "path",
    [
        "/organization/order/set_status/",
        "//organization//order///set_status",
        "organization/order/set_status",
        "/organization/order/set_status?id=7",
        "/organization/order/set%5Fstatus",
    ],
)
def test_slashes_and_queries_do_not_matter(path: str) -> None:
    """Doubled and trailing slashes, a query and percent signs change nothing; it never becomes an id."""
    assert codes("post", path) == ["before_order_setstatus"]


def test_a_service_adds_its_own_event() -> None:
    """An added event is found by code and by its calls, after the document's."""
    invoice = Event("invoice.paid", "Invoice paid", "after", methods=("PUT /invoice/{number}/pay", "/user/new"))
    events = Events()
    assert events.match("PUT", "/invoice/17/pay") == ()
    events.add(invoice)
    assert events.get("invoice.paid") is invoice
    assert "invoice.paid" in events
    assert [event.code for event in events][-1] == "invoice.paid"
    assert events.match("PUT", "/invoice/17/pay") == (invoice,)
    assert events.match("POST", "/invoice/17/pay") == ()
    assert [event.code for event in events.match("POST", "/user/new")] == ["before_user_new", "invoice.paid"]
    assert len(Events([invoice])) == len(CATALOGUE) + 1


def test_a_service_may_mark_more_fields_of_a_document_event_but_not_take_the_engines_own() -> None:
    """A document's event can be replaced in its place; those that the engine fires can't."""
    events = Events([Event("before_order_add", "Order", private=("/order/comment",))])
    assert next(iter(events)).code == "before_registration"
    assert [event.code for event in events] == [event.code for event in CATALOGUE]
    assert events.get("before_order_add").private == ("/order/comment",)
    with pytest.raises(InvalidInput, match="the engine's own"):
        events.add(Event("hook.paused", "mine"))


def test_unknown_event_names_similar_ones() -> None:
    """A misspelt code is answered with the codes that are near."""
    with pytest.raises(EventNotFound, match="before_order_setstatus"):
        Events().get("before_order_set_status")
    with pytest.raises(EventNotFound, match="hookrow events"):
        Events().get("zzz")


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"code": "Bad"}, "code"),
        ({"code": "a" * 65}, "code"),
        ({"title": " "}, "title"),
        ({"moment": "during"}, "moment"),
        ({"methods": ("user/new",)}, "methods"),
        ({"methods": ("FETCH /user/new",)}, "methods"),
        ({"methods": ("/user/new?x",)}, "methods"),
        ({"methods": ("/user/new if",)}, "methods"),
        ({"private": ("user",)}, "private"),
        ({"private": ("",)}, "private"),
        ({"sample": {"a": {"b": float("nan")}}}, "sample/a/b"),
        ({"sample": []}, "sample"),
    ],
)
def test_a_faulty_event_is_refused_with_its_reason(parts: dict[str, object], field: str) -> None:
    """Each part of an event is checked, and the fault names it."""
    with pytest.raises(InvalidInput) as raised:
        Event(**{"code": "a", "title": "A", **parts})  # type: ignore[arg-type]
    assert [problem.field for problem in raised.value.problems] == [field]
    assert str(raised.value)


def test_redacting_leaves_the_payload_alone() -> None:
    """Private values become null in a copy; the hidden pointers are named, absent ones are not."""
    payload = {"user": {"password": "S3cret", "cards": [{"pin": 1}, {"pin": 2}]}, "order": {"id": 7}}
    before = dumps(payload)
    shown, hidden = redact(
        payload, ["/user/password", "/user/cards/1/pin", "/user/inn", "/order/id/x", "/user/cards/9"]
    )
    assert shown == {"user": {"password": None, "cards": [{"pin": 1}, {"pin": None}]}, "order": {"id": 7}}
    assert hidden == ("/user/password", "/user/cards/1/pin")
    assert dumps(payload) == before
    assert redact(payload, []) == (payload, ())


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["user", "password", "0"]), inner),
    ).map(lambda value: {"user": value}),
    st.lists(st.sampled_from(["/user", "/user/password", "/user/0", "/user/0/password", "/user/password/0"])),
)
def test_a_redacted_value_is_null_wherever_it_was(payload: dict[str, object], pointers: list[str]) -> None:
    """After redacting, nothing but null stands at any private pointer."""
    shown, hidden = redact(payload, pointers)
    assert all(get_pointer(shown, pointer) is None for pointer in pointers)
    assert set(hidden) <= set(pointers)
