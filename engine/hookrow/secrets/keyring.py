"""The keys that seal: read from the environment, a file or systemd's credentials, and written for their owner only.

They are looked for in three places; the first that holds any wins:

1. `HOOKROW_KEYS`: `id:base64` entries with commas between them, the first one is active. No path is taken here.
2. `$CREDENTIALS_DIRECTORY/hookrow.key` (systemd guards that directory itself, so the file's mode is not judged).
3. `hookrow.key` beside the database file, readable by its owner only.

A file is text: a line `id base64` for each key, the active one first; empty lines and lines that begin with `#` are
comments. A key's id is taken from its hash, so that no other key can pass under it. A key is 32 bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hookrow.errors import KeyMissing, KeyUnsafe, KeyWrong
from hookrow.lang import Text
from hookrow.reasons.reason import Reason

__all__ = ["KeyRing", "key_file_beside", "make_key_file", "write_key_file"]

KEY_BYTES: Final = 32
FILE_NAME: Final = "hookrow.key"
HEADING: Final = "# Hookrow's keys: the first encrypts, all decrypt. Without them the secrets are lost. Keep a copy.\n"


def key_id(key: bytes) -> str:
    """The id of a key: eight hexadecimal digits of a hash made for this purpose only."""
    return hashlib.sha256(b"hookrow key id\0" + key).hexdigest()[:8]


def decode_key(entry: str, encoded: str, source: Text | str) -> tuple[str, bytes]:
    """A key and its id. Raises KeyWrong."""
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
        """This ring with a fresh key before all others: what is encrypted from now on is encrypted with it."""
        return KeyRing({**KeyRing.new().keys, **self.keys}, self.source, self.path)

    def without(self, forgotten: str) -> KeyRing:
        """This ring without one key."""
        return KeyRing({name: key for name, key in self.keys.items() if name != forgotten}, self.source, self.path)

    def text(self) -> str:
        """The ring as the content of a key file. This is the secret itself."""
        lines = (f"{name} {base64.b64encode(key).decode()}\n" for name, key in self.keys.items())
        return HEADING + "".join(lines)

    def entries(self) -> str:
        """The ring as the value of HOOKROW_KEYS. This is the secret itself."""
        return ",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in self.keys.items())

    @staticmethod
    def file_beside(database: Path) -> Path:
        """The key file of a SQLite database."""
        return key_file_beside(database)

    @staticmethod
    def make_file(path: Path) -> bool:
        """Make a key file with a fresh key; False where there is one, which is left alone. Raises OSError."""
        return make_key_file(path)

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
        """The keys of a file; an empty ring if there is none. `private`: only its owner may have access to it.

        Raises:
            KeyUnsafe, KeyWrong
        """
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
