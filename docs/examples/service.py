"""A small ordering platform whose every moment has hooks: the document's nine events, on SQLite or PostgreSQL.

    PLATFORM_DB=sqlite:///platform.db uvicorn --factory --app-dir docs/examples service:make_app
    hookrow --db platform.db

The database is the one setting: `postgresql+psycopg://user@host/platform` runs the same on PostgreSQL. The hooks'
tables lie beside the platform's own: what nobody waits for goes out with the platform's own commit, or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from sqlalchemy import JSON, Column, Connection, Engine, Integer, MetaData, String, Table, create_engine, event, select

from hookrow import ORDER_SUM_AUTHORISED, Firing, HookEngine
from hookrow.asgi import ApiCall, HookMiddleware, Shape, fired, problem

__all__ = ["make_app"]

Json = dict[str, Any]
Sent = Annotated[Json, Body()]
TABLES = MetaData()
CUSTOMERS = Table(
    "customer",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("login", String(40), nullable=False, unique=True),
    Column("phone", String(40)),
    Column("password", String(64), nullable=False),
)
ORDERS = Table(
    "purchase",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("number", String(20), nullable=False, unique=True),
    Column("status", String(20), nullable=False, default="new"),
    Column("items", JSON, nullable=False, default=list),
    Column("sum", Integer, nullable=False),
    Column("paid", Integer, nullable=False, default=0),
)
SUBSCRIPTIONS = Table(
    "subscription",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("user_id", Integer, nullable=False),
    Column("ended_at", String(20), nullable=False),
    Column("status", String(20), nullable=False, default="active"),
)
WRITING = ["before_order_add", "before_order_update", "before_order_setstatus", "before_user_update", "before_user_new"]
"""Before-events whose handlers write: what nobody waits for goes out with the handler's own commit."""


def open_database(url: str) -> Engine:
    """The platform's own connections. On SQLite a transaction takes the lock at its beginning."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def leave_transactions_alone(driver: Any, record: Any) -> None:
            driver.isolation_level = None

        @event.listens_for(engine, "begin")
        def take_the_lock(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    TABLES.create_all(engine)
    return engine


class Platform:
    """What the handlers do; they run in threads, so the engine is the one for threads."""

    def __init__(self, url: str) -> None:
        self.hooks = HookEngine(url)
        self.database = open_database(url)

    # -- customers ----------------------------------------------------------------------------------------------------

    def register(self, body: Sent) -> Any:
        """`before_registration` after our own checks; `after_registration` with the customer's row, or not at all."""
        user = body.get("user") or {}
        if not user.get("login") or not user.get("password"):
            raise HTTPException(422, "login and password are needed")
        with self.database.connect() as connection:
            if connection.execute(select(CUSTOMERS.c.id).where(CUSTOMERS.c.login == user["login"])).first():
                raise HTTPException(409, "this login is taken")
        asked = self.hooks.fire("before_registration", body, defer=True)
        if not asked.allowed:
            return refused(asked)
        with self.database.begin() as connection:
            made = self.insert(connection, asked.data["user"])
            asked.enqueue(connection)
            self.hooks.fire("after_registration", {**asked.data, "user": made}, connection=connection)
        return JSONResponse({"user": made}, 201)

    def sign_up(self, request: Request, body: Sent) -> Any:
        """`before_user_new`: the middleware has asked, and what a hook changed is in the body."""
        with self.database.begin() as connection:
            made = self.insert(connection, body["user"])
            fired(request)["before_user_new"].enqueue(connection)
        return JSONResponse({"user": made}, 201)

    def insert(self, connection: Connection, user: Json) -> Json:
        secret = hashlib.scrypt(user["password"].encode(), salt=user["login"].encode(), n=2**10, r=8, p=1).hex()
        values = {"login": user["login"], "phone": user.get("phone"), "password": secret[:64]}
        number = connection.execute(CUSTOMERS.insert().values(values)).inserted_primary_key
        return {"id": number[0] if number else None, "login": user["login"], "phone": user.get("phone")}

    def update_user(self, number: int, request: Request, body: Sent) -> Any:
        """`before_user_update`: the payload was shaped from this body and the stored customer."""
        with self.database.begin() as connection:
            connection.execute(CUSTOMERS.update().where(CUSTOMERS.c.id == number).values(phone=body["phone"]))
            fired(request)["before_user_update"].enqueue(connection)
        return {"user": {"id": number, "phone": body["phone"]}}

    # -- orders -------------------------------------------------------------------------------------------------------

    def add_order(self, request: Request, body: Sent) -> Any:
        """`before_order_add`: a hook may have refused the order before we are called, or have changed its sum."""
        order = body["order"]
        values = {"number": order["number"], "items": order.get("items", []), "sum": order["sum"]}
        with self.database.begin() as connection:
            number = connection.execute(ORDERS.insert().values(values)).inserted_primary_key
            fired(request)["before_order_add"].enqueue(connection)
        return JSONResponse({"order": {"id": number[0] if number else None, **values}}, 201)

    def update_order(self, number: int, request: Request, body: Sent) -> Any:
        """`before_order_update`."""
        values = {name: body[name] for name in ("items", "sum") if name in body}
        with self.database.begin() as connection:
            connection.execute(ORDERS.update().where(ORDERS.c.id == number).values(values))
            fired(request)["before_order_update"].enqueue(connection)
        return {"order": self.order(number)}

    def set_status(self, request: Request, body: Sent) -> Any:
        """`before_order_setstatus`, by the back office."""
        with self.database.begin() as connection:
            connection.execute(ORDERS.update().where(ORDERS.c.id == body["id"]).values(status=body["status"]))
            fired(request)["before_order_setstatus"].enqueue(connection)
        return {"order": self.order(body["id"])}

    def sber_get_status(self, request: Request, number: int) -> Any:
        """The same event, where the bank has authorised the order's full sum (else the middleware fires nothing)."""
        firing = fired(request).get("before_order_setstatus")
        if firing is not None:
            with self.database.begin() as connection:
                connection.execute(ORDERS.update().where(ORDERS.c.id == number).values(status="paid"))
                firing.enqueue(connection)
        return {"order": self.order(number)}

    def order(self, number: int) -> Json:
        found = self.stored(number)
        if not found:
            raise HTTPException(404, "there is no such order")
        return found

    def stored(self, number: int) -> Json:
        with self.database.connect() as connection:
            found = connection.execute(select(ORDERS).where(ORDERS.c.id == number)).mappings().first()
        return {} if found is None else dict(found)

    def calculate(self, number: int, request: Request) -> Any:
        """`before_delivery_service_calculate`: what a hook answered stands in the place of our own figure."""
        firing = fired(request)["before_delivery_service_calculate"]
        return firing.result if firing.has_result else {"cost": 500, "currency": "RUB", "service": number}

    # -- subscriptions ------------------------------------------------------------------------------------------------

    def subscribe(self, body: Sent) -> Any:
        """A subscription; no event of the document belongs to it."""
        with self.database.begin() as connection:
            number = connection.execute(SUBSCRIPTIONS.insert().values(**body)).inserted_primary_key
        return JSONResponse({"id": number[0] if number else None}, 201)

    def end_subscriptions(self) -> Any:
        """What a timer would call: `on_subscription` for each that has ended, in the transaction that ends it."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        over = (SUBSCRIPTIONS.c.status == "active") & (SUBSCRIPTIONS.c.ended_at <= now)
        with self.database.begin() as connection:
            ended = connection.execute(
                SUBSCRIPTIONS.update().where(over).values(status="ended").returning(SUBSCRIPTIONS)
            )
            rows = [dict(row) for row in ended.mappings()]
            for row in rows:
                self.hooks.fire("on_subscription", {"subscription": row}, connection=connection)
        return {"ended": [row["id"] for row in rows]}

    # -- what the middleware asks -------------------------------------------------------------------------------------

    async def authorised(self, call: ApiCall) -> bool:
        """The Sberbank rule: the bank holds the order's full sum. (Here the orders' table plays the bank.)"""
        order = await asyncio.to_thread(self.stored, number_in(call))
        return bool(order and order["paid"] >= order["sum"])

    async def status_payload(self, call: ApiCall) -> Json:
        """What is about to be set, and what stands there now."""
        wanted = call.body or {"id": number_in(call), "status": "paid"}
        order = await asyncio.to_thread(self.stored, wanted.get("id", 0))
        return {"order": {**order, **wanted, "old_status": order.get("status")}}

    async def order_payload(self, call: ApiCall) -> Json:
        """The order as it is to be, and as it is."""
        number = number_in(call)
        order = await asyncio.to_thread(self.stored, number)
        return {"order": {**order, **(call.body or {}), "id": number}, "old": {"order": order}}

    def user_payload(self, call: ApiCall) -> Json:
        """The customer's new data, with their id."""
        return {"user": {**(call.body or {}), "id": number_in(call)}}


def number_in(call: ApiCall) -> int:
    """The number that a call names: at the end of its path, else in its query; 0 where it is none."""
    named = call.path.rpartition("/")[2], *parse_qs(call.query).get("number", ())
    return next((int(each) for each in named if each.isdigit()), 0)


def refused(firing: Firing) -> JSONResponse:
    """A veto of a firing of our own, as the middleware says it."""
    found = problem(firing)
    return JSONResponse(found, found["status"], media_type="application/problem+json")


def make_app(url: str | None = None) -> FastAPI:
    """The service on a database: `PLATFORM_DB` unless given."""
    platform = Platform(url or os.environ.get("PLATFORM_DB", "sqlite:///platform.db"))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with platform.hooks:
            yield
        platform.database.dispose()

    app = FastAPI(lifespan=lifespan, title="Platform")
    app.add_middleware(
        HookMiddleware,
        engine=platform.hooks,
        bind={"after_registration": []},  # with `before_registration` ours: fired in `register`
        conditions={ORDER_SUM_AUTHORISED: platform.authorised},
        shapes={
            "before_order_update": Shape(
                platform.order_payload, lambda call, data: {name: data["order"][name] for name in call.body}
            ),
            "before_order_setstatus": Shape(platform.status_payload),
            "before_user_update": Shape(
                platform.user_payload, lambda call, data: {name: data["user"][name] for name in call.body}
            ),
        },
        defer=WRITING,
    )
    for paths, handler in (
        (["/organization/user/new"], platform.register),
        (["/user/new"], platform.sign_up),
        (["/organization/user/{number}"], platform.update_user),
        (["/organization/order/add", "/user/order/add"], platform.add_order),
        (["/organization/order/set_status"], platform.set_status),
        (["/organization/order/{number}", "/user/order/{number}"], platform.update_order),
        (["/user/sber_get_status"], platform.sber_get_status),
        (["/organization/delivery_service/{number}/calculate"], platform.calculate),
        (["/organization/subscription/new"], platform.subscribe),
        (["/organization/subscription/end"], platform.end_subscriptions),
    ):
        for path in paths:
            app.add_api_route(path, handler, methods=["POST"])
    return app
