"""`hookrow.contrib.fastapi` and `.flask`: how long the engine lives, who gets it, and what clients are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from flask import Flask

from hookrow import AsyncHookEngine, Hook, HookEngine
from hookrow.contrib.fastapi import add_problem_handlers, answer, get_blocking_engine, get_engine, lifespan
from hookrow.contrib.flask import Hookrow
from hookrow.errors import InvalidInput, Misuse
from hookrow.testing import AsyncMemoryEngine, HookReceiver, MemoryEngine, vetoes
from hosting import gate, served

STOCK = vetoes("sold out", code="STOCK", status=409)


def problems(refused: httpx.Response | Any, conflicting: httpx.Response | Any) -> None:
    """What a client is told of a veto, and of a key that was used for another payload."""
    told = refused.json() if callable(refused.json) else refused.json
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
    assert (told["code"], told["detail"], told["event"]) == ("STOCK", "sold out", "before_order_add")
    told = conflicting.json() if callable(conflicting.json) else conflicting.json
    assert (conflicting.status_code, conflicting.headers["content-type"]) == (422, "application/problem+json")
    assert (told["code"], "irina" in str(told)) == ("idempotency_conflict", False)


def test_fastapi_with_the_engine_of_its_loop(tmp_path: Path, hook_receiver: HookReceiver) -> None:
    """Open around the service's own lifespan, whose last firing is sent as well; a mounted application has it, too."""
    engine = AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db")

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        await engine.hooks.add(gate("before_order_add", hook_receiver.on("gate", STOCK)))
        await engine.hooks.add(Hook(key="crm", name="CRM", event="after_registration", url=hook_receiver.url))
        yield {"shop": "ours"}
        await engine.fire("after_registration", {"user": {"id": 7}})

    app, mounted = FastAPI(lifespan=lifespan(engine, own)), FastAPI()
    app.mount("/mounted", mounted)
    for each in (app, mounted):
        add_problem_handlers(each)

        @each.post("/fire/{number}")
        async def fire(
            number: int, request: Request, found: Annotated[AsyncHookEngine, Depends(get_engine)]
        ) -> dict[str, Any]:
            firing = await found.fire("before_order_add", {"order": {"id": number}}, idempotency_key="irina")
            firing.raise_for_veto()
            return {"shop": request.state.shop}

    with served(app) as url, httpx.Client(base_url=url) as client:
        problems(client.post("/mounted/fire/1"), client.post("/fire/2"))
    assert engine.runtime.closed
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as admin:
        assert admin.drain(timeout=30)
    assert hook_receiver.received[-1].event == "after_registration"


def test_fastapi_with_the_engine_for_threads(tmp_path: Path) -> None:
    """Handlers in threads; its worker runs from the start."""
    engine = HookEngine(f"sqlite:///{tmp_path}/hooks.db")
    app = FastAPI(lifespan=lifespan(engine))

    @app.get("/")
    def fire(found: Annotated[HookEngine, Depends(get_blocking_engine)]) -> list[Any]:
        return [found is engine, found.sending.takes_over, found.fire("before_order_add", {}).outcome]

    with served(app) as url:
        assert httpx.get(url).json() == [True, True, "allowed"]
    assert engine.runtime.closed


@pytest.mark.anyio
async def test_the_wrong_engine_is_refused(hook_engine: MemoryEngine) -> None:
    """In words: none, or one of the other kind; and no other error is answered for."""
    asked = Request({"type": "http", "state": {}})
    with pytest.raises(Misuse, match="no AsyncHookEngine"):
        get_engine(asked)
    async with AsyncMemoryEngine() as engine, lifespan(engine)(FastAPI()) as state:
        asked = Request({"type": "http", "state": dict(state)})
        assert get_engine(asked) is engine
        with pytest.raises(Misuse, match="no HookEngine"):
            get_blocking_engine(asked)
    with pytest.raises(KeyError):
        await answer(asked, KeyError())


def test_flask(hook_engine: MemoryEngine, hook_receiver: HookReceiver, tmp_path: Path) -> None:
    """One extension, several applications: an engine that is given, or made by the configuration; refusals are told."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.on("gate", STOCK)))
    hooks, app = Hookrow(), Flask("shop")
    hooks.init_app(app, hook_engine)

    @app.post("/fire/<int:number>")
    def fire(number: int) -> Any:
        hooks.engine.fire("before_order_add", {"order": {"id": number}}, idempotency_key="irina").raise_for_veto()

    client = app.test_client()
    problems(client.post("/fire/1"), client.post("/fire/2"))
    other = Flask("other")
    with other.app_context(), pytest.raises(Misuse, match="init_app"):
        hooks.engine.fire("before_order_add", {})
    other.config["HOOKROW"] = {"URL": f"sqlite:///{tmp_path}/other.db", "WORKER": False}
    Hookrow(other)
    with other.app_context(), hooks.engine as made:
        assert (made.path, made.runtime.wants_worker) == (tmp_path / "other.db", False)
    other.config["HOOKROW"] = {"URI": "postgresql://irina:hunter2@db/shop"}
    with pytest.raises(InvalidInput, match=r"HOOKROW\['URI'\]: there is no such setting; did you mean URL\?"):
        hooks.init_app(other)
