"""Seals what must not be read from the database, and hides it from whoever prints it.

`Vault.seal` and `Vault.open` use AES-GCM with the table, row and field as associated data, so that a sealed value that
is copied to another place does not open there. The keys are a `KeyRing`, looked for in three places; the first that
holds any wins:

1. `HOOKROW_KEYS`: `id:base64` entries with commas between them, the first one is active. No path is taken here.
2. `$CREDENTIALS_DIRECTORY/hookrow.key` (systemd guards that directory itself, so the file's mode is not judged).
3. `hookrow.key` beside the database file, readable by its owner only.

A key file is text: a line `id base64` for each key, the active one first; empty lines and lines that begin with `#` are
comments. A key's id is taken from its hash, so that no other key can pass under it. A key is 32 bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hookrow.errors import KeyMissing, KeyUnsafe, KeyWrong, Misuse
from hookrow.lang import Text
from hookrow.reasons.reason import Reason

__all__ = [
    "MASK",
    "KeyRing",
    "Place",
    "Secret",
    "Vault",
    "check_signing_secret",
    "key_file_beside",
    "make_key_file",
    "new_signing_secret",
    "write_key_file",
]

MASK: Final = "••••••••"
"""What stands for a secret wherever people look. Its length says nothing."""

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12  # 96 bits, by NIST SP 800-38D
VERSION: Final = "v1"
FILE_NAME: Final = "hookrow.key"
SIGNING_PREFIX: Final = "whsec_"
HEADING: Final = "# Hookrow's keys: the first seals, all open. Without them the sealed secrets are lost. Keep a copy.\n"


class Secret:
    """A write-only value of a hook: `Secret("x")` is a new one to be sealed, `Secret.kept()` is set but not readable.

    Printing, formatting and comparing never show the value.
    """

    __slots__ = ("kept_sealed", "text")

    def __init__(self, value: str) -> None:
        self.text = value
        self.kept_sealed = False

    @classmethod
    def kept(cls) -> Secret:
        """A secret that is set, and whose value stays sealed: writing it again changes nothing."""
        secret = cls("")
        secret.kept_sealed = True
        return secret

    @property
    def is_kept(self) -> bool:
        """Whether this stands for a value that stays as it is sealed."""
        return self.kept_sealed

    @property
    def is_set(self) -> bool:
        """Whether there is a value, here or sealed. `Secret("")` is not set."""
        return self.kept_sealed or bool(self.text)

    @property
    def value(self) -> str:
        """The value. Raises Misuse for a kept one."""
        if self.kept_sealed:
            raise Misuse(Text("this secret is kept sealed; its value is not here"))
        return self.text

    def __repr__(self) -> str:
        return "Secret(set)" if self.is_set else "Secret(not set)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret) or self.kept_sealed is not other.kept_sealed:
            return False
        return hmac.compare_digest(
            self.text.encode("utf-8", "surrogatepass"), other.text.encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash((Secret, self.kept_sealed))  # equal ones agree; a hash of the value could be looked up


def new_signing_secret() -> Secret:
    """A fresh signing secret of Standard Webhooks: `whsec_` and the base64 of 32 random bytes."""
    return Secret(SIGNING_PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())


def check_signing_secret(text: str) -> Text | None:
    """What is wrong with a signing secret, or None: `whsec_` and base64 of 24 to 64 bytes (Standard Webhooks)."""
    if not text.startswith(SIGNING_PREFIX):
        return Text("a signing secret begins with whsec_")
    try:
        raw = base64.b64decode(text.removeprefix(SIGNING_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return Text("after whsec_ a signing secret is base64")
    if not 24 <= len(raw) <= 64:
        return Text("a signing secret holds 24 to 64 bytes, this one {n}", n=len(raw))
    return None


def key_id(key: bytes) -> str:
    """The id of a key: eight hexadecimal digits of a hash made for this purpose only."""
    return hashlib.sha256(b"hookrow key id\0" + key).hexdigest()[:8]


def decode_key(entry: str, encoded: str, source: Text | str) -> tuple[str, bytes]:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyWrong(Reason("key_list_unreadable", source=source))
    if entry != key_id(key):
        # The name that was written may be a misplaced secret: only the derived id is shown.
        raise KeyWrong(Reason("key_id_differs", source=source, id=key_id(key)))
    return entry, key


@dataclass(frozen=True)
class KeyRing:
    """Keys by id, the active one first; `source` says in words where they come from, `path` is their file, if any."""

    keys: Mapping[str, bytes] = field(repr=False)
    source: Text | str = ""
    path: Path | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, the active one first."""
        return tuple(self.keys)

    @property
    def active_id(self) -> str:
        """The id of the key that seals. Raises KeyMissing for an empty ring."""
        for found in self.keys:
            return found
        raise KeyMissing(Reason("key_missing"))

    @classmethod
    def new(cls) -> KeyRing:
        """A ring of one fresh random key."""
        key = secrets.token_bytes(KEY_BYTES)
        return cls({key_id(key): key}, Reason("source_new"))

    def with_new_key(self) -> KeyRing:
        """This ring with a fresh key before all others: what is sealed from now on is sealed with it."""
        return KeyRing({**KeyRing.new().keys, **self.keys}, self.source, self.path)

    def only(self, *ids: str) -> KeyRing:
        """This ring without all other keys: the end of a rotation."""
        return KeyRing({name: key for name, key in self.keys.items() if name in ids}, self.source, self.path)

    def text(self) -> str:
        """The ring as the content of a key file. This is the secret itself."""
        lines = (f"{name} {base64.b64encode(key).decode()}\n" for name, key in self.keys.items())
        return HEADING + "".join(lines)

    def entries(self) -> str:
        """The ring as the value of HOOKROW_KEYS. This is the secret itself."""
        return ",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in self.keys.items())

    @classmethod
    def parse(cls, text: str, source: Text | str = "", path: Path | None = None) -> KeyRing:
        """Read a key file's content or a value of HOOKROW_KEYS. Raises KeyWrong for what is no key."""
        keys: dict[str, bytes] = {}
        for line in text.splitlines():
            if line.lstrip().startswith("#"):
                continue
            for entry in line.split(","):
                words = entry.replace(":", " ", 1).split()
                if words:
                    name, key = decode_key(words[0], "".join(words[1:]), source)
                    keys.setdefault(name, key)
        return cls(keys, source, path)

    @classmethod
    def load(cls, database_path: Path | None, environ: Mapping[str, str]) -> KeyRing:
        """The keys of the first source that holds any (see the module); an empty ring where there is none.

        Raises:
            KeyUnsafe: the file beside the database can be read or written by others.
            KeyWrong: what is there is no list of keys, or can't be read.
        """
        given = cls.parse(environ.get("HOOKROW_KEYS", ""), Reason("source_variable"))
        if given.keys:
            return given
        if folder := environ.get("CREDENTIALS_DIRECTORY"):
            ring = cls.read(Path(folder) / FILE_NAME, private=False)
            if ring.keys:
                return ring
        if database_path is not None:
            return cls.read(key_file_beside(database_path), private=True)
        return cls({}, Reason("source_nowhere"))

    @classmethod
    def read(cls, path: Path, *, private: bool) -> KeyRing:
        """The keys of a file; an empty ring if there is none. `private`: only its owner may have access to it."""
        source = Reason("source_file", path=path)
        try:
            with path.open(encoding="ascii") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if private and mode & 0o077:
                    raise KeyUnsafe(Reason("key_file_unsafe", path=path))
                return cls.parse(file.read(), source, path)
        except FileNotFoundError:
            return cls({}, source, path)
        except (OSError, UnicodeDecodeError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else Reason("keys_none")
            raise KeyWrong(Reason("key_file_unreadable", path=path, reason=reason)) from None


def key_file_beside(database_path: Path) -> Path:
    """Where a database's own key file is."""
    return database_path.absolute().parent / FILE_NAME


@contextmanager
def finished_file(path: Path, content: str) -> Iterator[Path]:
    """A file beside `path` with this content, complete on disk and its owner's alone; gone when the block ends."""
    handle, name = tempfile.mkstemp(prefix=".hookrow-key-", dir=path.parent)  # O_EXCL
    try:
        with open(handle, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            with suppress(FileNotFoundError):
                before = path.stat()
                if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)  # the service must still read it
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def sync_folder(path: Path) -> None:
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_key_file(path: Path, ring: KeyRing) -> None:
    """Put the ring in place of what the file holds, all at once: a crash leaves the old keys or the new ones.

    The file is its owner's alone (0600); an existing file keeps its owner. Raises OSError.
    """
    path = path.resolve()
    with finished_file(path, ring.text()) as made:
        os.replace(made, path)
    sync_folder(path)


def make_key_file(path: Path) -> bool:
    """Make a key file with a fresh key (0600 under any umask); False if there already is one, which is left alone.

    Of several processes that try at once exactly one makes it, and none sees a half-written one. Raises OSError.
    """
    with finished_file(path, KeyRing.new().text()) as made:
        try:
            os.link(made, path)
        except FileExistsError:
            return False
    sync_folder(path)
    return True


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
        self.lock = threading.Lock()
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
        """The keys as they now are: another process may have made or rotated them. Raises KeyUnsafe, KeyWrong."""
        ring = self.given or KeyRing.load(self.database_path, self.environ)
        if self.loaded and self.loaded.keys and not ring.keys:
            raise KeyMissing(Reason("keys_gone", source=self.loaded.source))
        self.loaded = ring
        return ring

    def ready(self) -> KeyRing:
        """The keys to seal with; makes the key file beside the database where there is no key anywhere."""
        with self.lock:
            ring = self.reload()  # sealing with a key that was rotated away would lose the value
            if ring.keys:
                return ring
            if self.database_path is None:
                raise KeyMissing(
                    Text("there is no key to seal secrets with; make one with «hookrow keys new» and set HOOKROW_KEYS")
                )
            path = key_file_beside(self.database_path)
            try:
                if make_key_file(path):
                    self.made = path
                    self.notice = Text(
                        "made the key file {path}; keep a copy: without it the secrets are lost", path=path
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
