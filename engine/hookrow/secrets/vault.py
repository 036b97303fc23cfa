"""Seals what must not be read from the database, and hides it from whoever prints it.

`Vault.seal` and `Vault.open` use AES-GCM with the table, row and field as associated data, so that a sealed value that
is copied to another place does not open there.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hookrow.errors import KeyMissing, KeyWrong
from hookrow.lang import Text
from hookrow.reasons.reason import Reason
from hookrow.secrets.keyring import KeyRing, key_file_beside, make_key_file
from hookrow.secrets.secret import Secret
from hookrow.system.locks import lock_for

__all__ = ["Place", "Vault", "load_cipher"]


NONCE_BYTES: Final = 12  # 96 bits, by NIST SP 800-38D
VERSION: Final = "v1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs: table, row (the row's unchanging name, as text) and field."""

    table: str
    row: str
    field: str

    def __bytes__(self) -> bytes:
        return json.dumps([VERSION, self.table, self.row, self.field]).encode()


class Vault:
    """Seals and opens values with the keys of one database. The keys are loaded at first need; safe between threads.

    `made` is the key file that this vault had to make, `notice` the same in words for the one who saved the secret.
    """

    def __init__(self, database_path: Path | None, environ: Mapping[str, str], keys: KeyRing | None = None) -> None:
        self.database_path = database_path
        self.environ = environ
        self.given = keys
        self.loaded: KeyRing | None = None
        self.lock: threading.RLock = lock_for(self)
        self.made: Path | None = None
        self.notice: Text | None = None

    @classmethod
    def for_database(cls, path: Path | None, environ: Mapping[str, str], keys: KeyRing | str | None = None) -> Vault:
        """The vault of a database file; `path` is None for a database that is no file (PostgreSQL, memory).

        `keys` come before all other sources: a ring, or text as in HOOKROW_KEYS. Raises KeyWrong for text that is none.
        """
        return cls(path, environ, KeyRing.parse(keys, Reason("source_argument")) if isinstance(keys, str) else keys)

    def __repr__(self) -> str:
        return f"Vault({str(self.database_path)!r})"

    @property
    def ring(self) -> KeyRing:
        """The keys, loaded once. Raises KeyUnsafe, KeyWrong."""
        return self.loaded or self.reload()

    def reload(self) -> KeyRing:
        """The keys as they now are: another process may have made or rotated them. Raises KeyProblem."""
        ring = self.given or KeyRing.load(self.database_path, self.environ)
        if self.loaded and self.loaded.keys and not ring.keys:
            raise KeyMissing(Reason("keys_gone", source=self.loaded.source))
        self.loaded = ring
        return ring

    def ready(self) -> KeyRing:
        """The keys to seal with; makes the key file beside the database where there is no key anywhere.

        Raises:
            KeyMissing: and it can't be made; else as `reload` does.
        """
        with self.lock:
            ring = self.reload()  # sealing with a key that was rotated away would lose the value
            if ring.keys:
                return ring
            if self.database_path is None:
                raise KeyMissing(
                    Text(
                        "there is no key to encrypt secrets with; create one with hookrow keys new and set HOOKROW_KEYS"
                    )
                )
            path = key_file_beside(self.database_path)
            try:
                if make_key_file(path):
                    self.made = path
                    self.notice = Text(
                        "created the key file {path}; keep a copy: without it the secrets are lost", path=path
                    )
            except OSError as problem:
                raise KeyMissing(
                    Text("can't make the key file {path}: {reason}", path=path, reason=problem.strerror)
                ) from problem
            return self.reload()

    def seal(self, secret: Secret | str, place: Place) -> str:
        """The value sealed for this place: `v1.<key id>.<base64url>`. Raises KeyMissing, KeyUnsafe, KeyWrong."""
        secret = Secret(secret) if isinstance(secret, str) else secret  # not in the open while something may fail
        ring = self.ready()
        nonce = os.urandom(NONCE_BYTES)
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        cipher = AESGCM(ring.keys[ring.active_id])
        sealed = cipher.encrypt(nonce, secret.value.encode("utf-8", "surrogatepass"), bytes(place))
        body = base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")
        return f"{VERSION}.{ring.active_id}.{body}"

    def open(self, token: str, place: Place) -> str:
        """The value that was sealed for this place.

        Raises:
            KeyMissing: the key that sealed it is in no place where keys are looked for.
            KeyWrong: the token was changed, cut, or sealed for another place.
            KeyUnsafe: the key file can be read by others.
        """
        name, nonce, sealed = taken_apart(token, place)
        key = self.ring.keys.get(name) or self.reload().keys.get(name)
        if key is None:
            raise KeyMissing(
                Reason(
                    "key_not_in_ring",
                    id=name,
                    field=place.field,
                    source=self.ring.source,
                )
            )
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(key).decrypt(nonce, sealed, bytes(place)).decode("utf-8", "surrogatepass")
        except InvalidTag:
            raise damaged(place) from None

    def reseal(self, token: str, place: Place) -> str:
        """The same value sealed with the active key; the token itself if it already is. Raises as seal and open do."""
        secret = Secret(self.open(token, place))
        return token if token.split(".")[1] == self.reload().active_id else self.seal(secret, place)


def load_cipher() -> None:
    """Load the cipher, which processes without secrets do without."""
    import cryptography.exceptions
    import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401


def taken_apart(token: str, place: Place) -> tuple[str, bytes, bytes]:
    """The key id, nonce and ciphertext of a token. Raises KeyWrong if it is none."""
    parts = token.split(".")
    if len(parts) != 3 or parts[0] != VERSION:
        raise damaged(place)
    try:
        raw = base64.b64decode(parts[2] + "=" * (-len(parts[2]) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise damaged(place) from None
    if len(raw) < NONCE_BYTES + 16:
        raise damaged(place)
    return parts[1], raw[:NONCE_BYTES], raw[NONCE_BYTES:]


def damaged(place: Place) -> KeyWrong:
    return KeyWrong(Reason("sealed_damaged", field=place.field))
