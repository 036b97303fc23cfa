"""A proxy before PostgreSQL that stops passing bytes while its connections stay: a failover behind a balancer."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL

__all__ = ["Silent"]


class Silent:
    """Passes bytes on, in a thread of its own, until `silent` is set; then neither an answer nor an end comes."""

    def __init__(self, address: URL) -> None:
        self.place: Any = address.query.get("host") or (address.host or "127.0.0.1", address.port or 5432)
        self.silent = threading.Event()
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.door.getsockname()[1]
        self.wires: dict[socket.socket, socket.socket] = {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, name="silent", daemon=True)

    def url(self, address: URL) -> str:
        """The same database, through here."""
        through = address.difference_update_query(["host"]).set(host="127.0.0.1", port=self.port)
        return through.render_as_string(hide_password=False)

    def leading_to(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The driver's parameters, through here."""
        return {**parameters, "host": "127.0.0.1", "port": self.port}

    def run(self) -> None:
        with selectors.DefaultSelector() as looking:
            looking.register(self.door, selectors.EVENT_READ)
            while not self.ended.is_set():
                for key, _ in looking.select(0.02):
                    wire = key.fileobj
                    assert isinstance(wire, socket.socket)
                    if wire is self.door:
                        self.open(looking)
                    elif not self.silent.is_set():
                        self.pass_on(looking, wire)
                    else:
                        self.ended.wait(0.01)

    def open(self, looking: selectors.BaseSelector) -> None:
        near, _ = self.door.accept()
        try:
            if isinstance(self.place, str):
                far = socket.socket(socket.AF_UNIX)
                far.connect(f"{self.place}/.s.PGSQL.5432")
            else:
                far = socket.create_connection(self.place)
        except OSError:  # the server is away: who came is told so
            near.close()
            return
        self.wires |= {near: far, far: near}
        looking.register(near, selectors.EVENT_READ)
        looking.register(far, selectors.EVENT_READ)

    def passing(self, data: bytes) -> tuple[bytes, bool]:
        """What of this is passed on, and whether more is afterwards."""
        return data, True

    def pass_on(self, looking: selectors.BaseSelector, wire: socket.socket) -> None:
        other = self.wires.get(wire)
        if other is None:
            return
        with contextlib.suppress(OSError):
            if data := wire.recv(65536):
                passed, more = self.passing(data)
                other.sendall(passed)
                if more:
                    return
        for each in (wire, other):
            looking.unregister(each)
            self.wires.pop(each)
            each.close()

    def __enter__(self) -> Silent:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()
        for wire in (self.door, *self.wires):
            wire.close()
