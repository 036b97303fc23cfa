"""docs/examples/service.py: the document's platform, driven through its real HTTP API, on SQLite and PostgreSQL."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text

from hookrow import Hook, HookEngine
from hookrow.events import CATALOGUE
from hookrow.testing import Answer, HookReceiver, Received, allows, vetoes
from hosting import served

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "service.py"
NINE = [event.code for event in CATALOGUE if not event.system]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The one setting."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/platform.db"
    given: str = request.getfixturevalue("postgres_url")
    # The platform's tables are in `public`: the databases of the tests have no `search_path`.
    return f"{given.replace('postgresql://', 'postgresql+psycopg://')}&options=-csearch_path%3Dpublic"


def judged(came: Received) -> Answer:
    """What the receiver of the waiting hooks answers."""
    data = came.data
    if came.event == "before_order_add" and data["order"]["sum"] > 100_000:
        return vetoes(
            "over the limit", code="LIMIT", errors=[{"path": "/order/sum", "code": "max", "message": "100000"}]
        )
    if came.event == "before_order_add":
        return allows(data={"order": {"sum": data["order"]["sum"] - 120}})
    if came.event == "before_order_update":
        return allows(data={"order": {"sum": data["old"]["order"]["sum"]}})
    if came.event == "before_registration" and data["user"]["login"] == "banned":
        return vetoes("not you", status=403)
    if came.event == "before_delivery_service_calculate":
        return allows(result={"cost": 390, "currency": "RUB"})
    return allows()


@pytest.fixture
def receiver() -> Iterator[HookReceiver]:
    """`/ask` answers waiting hooks, `/tell` takes what nobody waits for."""
    with HookReceiver() as made:
        made.on("ask", judged)
        yield made


def told(receiver: HookReceiver) -> list[tuple[str | None, Any]]:
    """What came to the background hooks: event and payload."""
    return [(each.event, each.data) for each in receiver.received if each.path == "/tell"]


@pytest.fixture
def service(url: str, receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """The service on that database, with a waiting hook for each before-event and a background one for all nine."""
    with HookEngine(url, worker=False) as admin:
        for code in NINE:
            if code.startswith("before"):
                ask = Hook(key=f"ask-{code.replace('_', '-')}", name="Ask", event=code, url=receiver.url + "ask")
                admin.hooks.add(ask)
                admin.hooks.update(ask.key, {"wait_for_response": True, "response_has_data": True})
            admin.hooks.add(
                Hook(key=f"tell-{code.replace('_', '-')}", name="Tell", event=code, url=receiver.url + "tell")
            )
    monkeypatch.setenv("PLATFORM_DB", url)
    spec = importlib.util.spec_from_file_location("service_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where FastAPI looks for the annotations' names
    spec.loader.exec_module(module)
    with served(module.make_app()) as address, httpx.Client(base_url=address) as client:
        yield client


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    """What the platform's own tables hold."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return found


def test_all_nine_events(service: httpx.Client, receiver: HookReceiver, url: str) -> None:
    """Each is fired at its moment; what hooks said is obeyed; all that was told in background arrives."""
    user = {"login": "irina", "password": "secret", "phone": "+7 916"}
    assert service.post("/organization/user/new", json={"user": user, "source": "site"}).status_code == 201
    assert service.post("/user/new", json={"user": {**user, "login": "petr"}}).json()["user"]["id"] == 2
    assert service.post("/organization/user/2", json={"phone": "+7 926"}).json()["user"]["phone"] == "+7 926"
    order = service.post("/organization/order/add", json={"order": {"number": "A-1", "sum": 2700}}).json()["order"]
    assert order["sum"] == 2580
    assert service.post("/user/order/1", json={"sum": 1, "items": [1]}).json()["order"]["sum"] == 2580
    changed = service.post("/organization/order/set_status", json={"id": 1, "status": "completed"}).json()
    assert changed["order"]["status"] == "completed"
    calculated = service.post("/organization/delivery_service/3/calculate", json={"order": {"weight": 780}}).json()
    assert calculated == {"cost": 390, "currency": "RUB"}
    service.post("/organization/subscription/new", json={"user_id": 2, "ended_at": "2026-01-01T00:00:00Z"})
    assert service.post("/organization/subscription/end").json() == {"ended": [1]}
    waiting = [code for code in NINE if code.startswith("before")]
    receiver.wait(len(waiting) + len(NINE), seconds=15)
    assert sorted(str(each.event) for each in receiver.received if each.path == "/ask") == sorted(waiting)
    data = dict(told(receiver))
    assert sorted(str(code) for code in data) == sorted(NINE)
    assert data["after_registration"]["user"] == {"id": 1, "login": "irina", "phone": "+7 916"}
    assert data["before_registration"]["user"]["password"] is None
    assert (data["before_order_setstatus"]["order"]["old_status"], data["before_order_add"]["order"]["sum"]) == (
        "new",
        2580,
    )
    assert data["on_subscription"]["subscription"]["user_id"] == 2
    assert rows(url, "SELECT login, phone FROM customer ORDER BY id") == [("irina", "+7 916"), ("petr", "+7 926")]
    assert rows(url, "SELECT number, status, sum FROM purchase") == [("A-1", "completed", 2580)]


def test_what_did_not_happen_is_not_told(service: httpx.Client, receiver: HookReceiver, url: str) -> None:
    """A veto stops the operation and says why; a transaction that is rolled back takes its hooks along."""
    refused = service.post("/organization/order/add", json={"order": {"number": "A-1", "sum": 200_000}})
    assert (refused.status_code, refused.json()["code"], refused.json()["errors"][0]["path"]) == (
        422,
        "LIMIT",
        "/order/sum",
    )
    banned = {"user": {"login": "banned", "password": "x"}}
    mine = service.post("/organization/user/new", json=banned)
    assert (mine.status_code, mine.headers["content-type"]) == (403, "application/problem+json")
    user = {"login": "irina", "password": "secret"}
    assert service.post("/user/new", json={"user": user}).status_code == 201
    # The table's own constraint. A server closes the connection after an exception: this one is not used again.
    assert service.post("/user/new", json={"user": user}, headers={"connection": "close"}).status_code == 500
    assert (
        service.post("/organization/user/new", json={"user": user}).status_code == 409
    )  # our own check: no hook asked
    assert service.post("/user/sber_get_status?number=1", json={}).status_code == 404
    service.post("/organization/order/add", json={"order": {"number": "A-2", "sum": 500}})
    assert service.post("/user/sber_get_status?number=1").json()["order"]["status"] == "new"  # not paid: no event
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE purchase SET paid = 500"))
    engine.dispose()
    assert service.post("/user/sber_get_status?number=1").json()["order"]["status"] == "paid"
    receiver.wait(9, seconds=15)
    asked = [each.event for each in receiver.received if each.path == "/ask"]
    assert asked == [
        "before_order_add",
        "before_registration",
        "before_user_new",
        "before_user_new",
        "before_order_add",
        "before_order_setstatus",
    ]
    assert {event for event, _ in told(receiver)} == {"before_user_new", "before_order_add", "before_order_setstatus"}
    with HookEngine(url, worker=False) as admin:
        left_out = [each.skipped for firing in admin.log.page() for each in firing.deliveries if each.skipped]
    assert sorted(left_out) == ["after_veto", "after_veto", "not_enqueued"]
