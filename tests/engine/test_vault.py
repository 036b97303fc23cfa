"""Secrets: sealed in their place, opened with the right key only, shown to nobody."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookrow.errors import KeyMissing, KeyUnsafe, KeyWrong
from hookrow.secrets import vault
from hookrow.secrets.keyring import KeyRing, key_file_beside, make_key_file, write_key_file
from hookrow.secrets.vault import Place, Vault
from warm import Warm

HERE = Place("hook", "a1", "auth_password")
PROPERTY = settings(max_examples=60, deadline=None)


@pytest.fixture
def wide_umask() -> Iterator[None]:
    """A process that takes no bits away from the files that it makes."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def with_ring(ring: KeyRing) -> Vault:
    """A vault that has these keys and no file."""
    return Vault.for_database(None, {}, ring)


# Sealing


@PROPERTY
@given(st.text(), st.text(), st.text(), st.text())
def test_what_is_sealed_opens_in_its_place(value: str, table: str, row: str, field: str) -> None:
    """Any text comes back from any place, and is not readable in the token."""
    safe = with_ring(KeyRing.new())
    token = safe.seal(value, Place(table, row, field))
    assert safe.open(token, Place(table, row, field)) == value


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place("hook", "a2", "auth_password"),
        Place("hook", "a1", "signing_secret"),
        Place("setting", "a1", "auth_password"),
        Place("hooka", "1", "auth_password"),
        Place("hook", "a1auth", "_password"),
    ],
)
def test_a_sealed_value_does_not_open_elsewhere(elsewhere: Place) -> None:
    """A token moved to another table, row or field is refused, also where the names run together the same."""
    safe = with_ring(KeyRing.new())
    with pytest.raises(KeyWrong, match=elsewhere.field):
        safe.open(safe.seal("S3cret", HERE), elsewhere)


def test_every_changed_character_is_noticed() -> None:
    """No character of the token can be changed, dropped or added: never another value, always a refusal."""
    safe = with_ring(KeyRing.new())
    token = safe.seal("S3cret", HERE)
    for at, character in enumerate(token):
        for instead in ("", "A" if character != "A" else "B", character + "A"):
            changed = token[:at] + instead + token[at + 1 :]
            try:
                # The last base64 character carries spare bits: another spelling of the same bytes may open.
                assert safe.open(changed, HERE) == "S3cret"
                assert at >= len(token) - 1
            except (KeyWrong, KeyMissing):
                pass


@PROPERTY
@given(st.text())
def test_no_text_opens_by_accident(token: str) -> None:
    """Whatever stands in a sealed column is refused by name, not by a stray exception."""
    with pytest.raises(KeyWrong):
        with_ring(KeyRing.new()).open(token, HERE)


def test_the_same_value_is_sealed_differently_each_time() -> None:
    """Equal passwords can't be told from their tokens."""
    safe = with_ring(KeyRing.new())
    assert len({safe.seal("same", HERE) for _ in range(100)}) == 100


def test_a_token_names_version_and_key() -> None:
    """The token's form is `v1.<key id>.<base64url>`, without padding."""
    ring = KeyRing.new()
    version, name, body = with_ring(ring).seal("S3cret", HERE).split(".")
    assert (version, name) == ("v1", ring.active_id)
    assert len(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) == 12 + len("S3cret") + 16


def test_a_missing_key_is_named() -> None:
    """What another key sealed is KeyMissing; the message names the key's id and where keys are looked for."""
    first = KeyRing.new()
    token = with_ring(first).seal("S3cret", HERE)
    with pytest.raises(KeyMissing) as caught:
        with_ring(KeyRing.new()).open(token, HERE)
    for word in (first.active_id, "HOOKROW_KEYS", "CREDENTIALS_DIRECTORY", "hookrow.key", "auth_password"):
        assert word in str(caught.value)


# Rotation


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    """Between rotation and resealing every value stays readable; after it the old key is no longer needed."""
    old = KeyRing.new()
    token = with_ring(old).seal("S3cret", HERE)
    both = old.with_new_key()
    assert both.active_id != old.active_id
    fresh = with_ring(both).reseal(token, HERE)
    assert fresh.split(".")[1] == both.active_id
    alone = with_ring(both.without(old.active_id))
    assert alone.open(fresh, HERE) == "S3cret"
    with pytest.raises(KeyMissing):
        alone.open(token, HERE)
    with pytest.raises(KeyMissing):
        with_ring(old).open(fresh, HERE)


def test_resealing_twice_changes_nothing() -> None:
    """A value under the active key keeps its token, so an interrupted rotation can simply be run again."""
    safe = with_ring(KeyRing.new())
    token = safe.seal("S3cret", HERE)
    assert safe.reseal(token, HERE) == token


def test_a_rotation_by_another_process_is_noticed(tmp_path: Path) -> None:
    """A running vault opens what a new key sealed, and itself seals with the new key, without a restart."""
    database = tmp_path / "hooks.db"
    running = Vault.for_database(database, {})
    token = running.seal("S3cret", HERE)
    write_key_file(key_file_beside(database), running.ring.with_new_key())
    resealed = Vault.for_database(database, {}).reseal(token, HERE)
    assert running.open(resealed, HERE) == "S3cret"
    rotated = KeyRing.load(database, {})
    write_key_file(key_file_beside(database), rotated.with_new_key())
    assert running.seal("x", HERE).split(".")[1] == KeyRing.load(database, {}).active_id


# Where keys come from


def test_the_first_source_that_holds_keys_wins(tmp_path: Path) -> None:
    """HOOKROW_KEYS, then the credentials directory, then the file beside the database; the ring says which."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    database = tmp_path / "hooks.db"
    rings = [KeyRing.new() for _ in range(3)]
    environ = {"HOOKROW_KEYS": rings[0].entries(), "CREDENTIALS_DIRECTORY": str(credentials)}
    (credentials / "hookrow.key").write_text(rings[1].text())
    write_key_file(tmp_path / "hookrow.key", rings[2])

    found = KeyRing.load(database, environ)
    assert (found.ids, found.path) == (rings[0].ids, None)
    assert "HOOKROW_KEYS" in str(found.source)
    del environ["HOOKROW_KEYS"]
    assert KeyRing.load(database, environ).path == credentials / "hookrow.key"
    (credentials / "hookrow.key").unlink()
    found = KeyRing.load(database, environ)
    assert (found.ids, found.path) == (rings[2].ids, tmp_path / "hookrow.key")
    assert str(tmp_path / "hookrow.key") in str(found.source)
    (tmp_path / "hookrow.key").unlink()
    assert KeyRing.load(database, environ).ids == ()
    assert KeyRing.load(None, {"HOOKROW_KEYS": ""}).ids == ()


def test_a_credential_of_systemd_may_be_readable_by_its_group(tmp_path: Path) -> None:
    """systemd's access lists show as group bits; the directory is what protects a credential."""
    (tmp_path / "hookrow.key").write_text(KeyRing.new().text())
    (tmp_path / "hookrow.key").chmod(0o440)
    assert KeyRing.load(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).ids


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o602, 0o601])
def test_a_key_file_that_others_reach_is_refused(tmp_path: Path, bits: int) -> None:
    """KeyUnsafe says which file and how to mend it."""
    write_key_file(tmp_path / "hookrow.key", KeyRing.new())
    (tmp_path / "hookrow.key").chmod(bits)
    with pytest.raises(KeyUnsafe, match=r"chmod 600 .*hookrow\.key"):
        KeyRing.load(tmp_path / "hooks.db", {})


def test_a_ring_survives_both_of_its_notations() -> None:
    """File and variable hold the same keys in the same order; comments, blanks and Windows ends are no keys."""
    ring = KeyRing.new().with_new_key()
    assert KeyRing.parse(ring.text()).keys == ring.keys
    assert KeyRing.parse(ring.entries()).keys == ring.keys
    assert KeyRing.parse("\r\n# note, with: marks\r\n " + ring.text().replace("\n", "\r\n")).ids == ring.ids


@pytest.mark.parametrize(
    "text",
    ["nonsense", "ab12cd34 short", "ab12cd34:" + base64.b64encode(b"x" * 31).decode(), "ab12cd34 ☃", "a b c"],
)
def test_what_is_no_key_is_refused_unseen(text: str) -> None:
    """A malformed list is KeyWrong, and the message repeats nothing of it: it may hold a real secret."""
    with pytest.raises(KeyWrong) as caught:
        KeyRing.parse(text, "the variable HOOKROW_KEYS")
    assert "HOOKROW_KEYS" in str(caught.value)
    for word in text.replace(":", " ").split():
        assert len(word) < 4 or word not in str(caught.value)


def test_no_other_key_passes_under_an_id() -> None:
    """An id belongs to its key: exchanged lines are found when the ring is read, not when a value fails to open."""
    one, other = KeyRing.new(), KeyRing.new()
    swapped = f"{one.active_id} {base64.b64encode(other.keys[other.active_id]).decode()}"
    with pytest.raises(KeyWrong, match=other.active_id):
        KeyRing.parse(swapped, "here")


def test_a_key_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes, or a directory in the file's place, are KeyWrong with the path."""
    (tmp_path / "hookrow.key").write_bytes(b"\xff\x00")
    (tmp_path / "hookrow.key").chmod(0o600)
    with pytest.raises(KeyWrong, match=r"hookrow\.key"):
        KeyRing.load(tmp_path / "hooks.db", {})
    (tmp_path / "hookrow.key").unlink()
    (tmp_path / "hookrow.key").mkdir(mode=0o700)
    with pytest.raises(KeyWrong, match=r"hookrow\.key"):
        KeyRing.load(tmp_path / "hooks.db", {})


# The key file is made at the first secret


@pytest.mark.usefixtures("wide_umask")
def test_the_first_secret_makes_the_key_and_says_where(tmp_path: Path) -> None:
    """The file is beside the database, 0600 under any umask, alone; and the vault tells the one who saved."""
    safe = Vault.for_database(tmp_path / "hooks.db", {})
    assert list(tmp_path.iterdir()) == []
    token = safe.seal("S3cret", HERE)
    assert safe.made == tmp_path / "hookrow.key"
    assert str(safe.made) in str(safe.notice)
    assert list(tmp_path.iterdir()) == [safe.made]
    assert mode(safe.made) == 0o600

    again = Vault.for_database(tmp_path / "hooks.db", {})
    assert again.open(token, HERE) == "S3cret"
    again.seal("other", HERE)
    assert (again.made, again.notice) == (None, None)


def test_a_tight_umask_leaves_the_key_readable_by_its_owner(tmp_path: Path) -> None:
    """0600 means that the owner can read it, whatever the umask takes away."""
    before = os.umask(0o777)
    try:
        assert make_key_file(tmp_path / "hookrow.key")
        write_key_file(tmp_path / "other.key", KeyRing.new())
    finally:
        os.umask(before)
    assert mode(tmp_path / "hookrow.key") == mode(tmp_path / "other.key") == 0o600


def test_opening_never_makes_a_key(tmp_path: Path) -> None:
    """A lost key is KeyMissing; a new one in its place would only hide the loss."""
    token = with_ring(KeyRing.new()).seal("S3cret", HERE)
    with pytest.raises(KeyMissing):
        Vault.for_database(tmp_path / "hooks.db", {}).open(token, HERE)
    assert list(tmp_path.iterdir()) == []


def test_without_a_file_nothing_is_made() -> None:
    """A database that is no file needs HOOKROW_KEYS; the error says how to come by it."""
    with pytest.raises(KeyMissing, match=r"hookrow keys new.*HOOKROW_KEYS"):
        Vault.for_database(None, {}).seal("S3cret", HERE)


def test_keys_that_vanish_are_not_replaced(tmp_path: Path) -> None:
    """When a running service's key file is gone, sealing fails rather than going on with a new key."""
    safe = Vault.for_database(tmp_path / "hooks.db", {})
    safe.seal("S3cret", HERE)
    (tmp_path / "hookrow.key").unlink()
    with pytest.raises(KeyMissing, match="gone"):
        safe.seal("other", HERE)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The error says which file could not be made, and why."""
    with pytest.raises(KeyMissing, match=r"nowhere/hookrow\.key"):
        Vault.for_database(tmp_path / "nowhere" / "hooks.db", {}).seal("S3cret", HERE)


def test_threads_that_race_make_one_key(tmp_path: Path) -> None:
    """Sixteen vaults that seal their first secret at once agree on one key; nobody sees a half-written file."""
    start = threading.Barrier(16)

    def save(number: int) -> tuple[str, bool]:
        safe = Vault.for_database(tmp_path / "hooks.db", {})
        start.wait()
        return safe.seal(str(number), HERE), safe.made is not None

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(save, range(16)))
    reader = Vault.for_database(tmp_path / "hooks.db", {})
    assert [reader.open(token, HERE) for token, _ in results] == [str(number) for number in range(16)]
    assert sum(made for _, made in results) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["hookrow.key"]


def test_processes_that_race_make_one_key(tmp_path: Path) -> None:
    """Two processes that wait for the same signal seal with the same key."""
    script = (
        "import sys; from pathlib import Path; from hookrow.secrets.vault import Place, Vault\n"
        "safe = Vault.for_database(Path(sys.argv[1]), {}); print('ready', flush=True); sys.stdin.readline()\n"
        "print(safe.seal('S3cret', Place('hook', 'a1', 'auth_password')))\n"
    )
    database = tmp_path / "hooks.db"
    environ = {**os.environ, "PYTHONPATH": str(Path(vault.__file__).parents[2])}
    command = [sys.executable, "-c", script, str(database)]
    children = [Warm(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) for _ in range(2)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    tokens = []
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        tokens.append(child.communicate(timeout=60)[0].strip())
        assert child.returncode == 0
    reader = Vault.for_database(database, {})
    assert [reader.open(token, HERE) for token in tokens] == ["S3cret", "S3cret"]


def test_replacing_the_key_file_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails, the old keys stand and no other file is left; through a link the target is replaced."""
    path = tmp_path / "hookrow.key"
    old = KeyRing.new()
    write_key_file(path, old)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_key_file(path, old.with_new_key())
    assert KeyRing.read(path, private=True).ids == old.ids
    assert [each.name for each in tmp_path.iterdir()] == ["hookrow.key"]

    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "hookrow.key").symlink_to(path)
    new = old.with_new_key()
    write_key_file(tmp_path / "link" / "hookrow.key", new)
    assert (tmp_path / "link" / "hookrow.key").is_symlink()
    assert KeyRing.read(path, private=True).ids == new.ids


# The check value


def test_importing_the_vault_loads_no_cryptography() -> None:
    """A command that touches no secret does not pay for the library."""
    script = "import sys, hookrow.secrets.vault; print(any(name.startswith('cryptography') for name in sys.modules))"
    environ = {**os.environ, "PYTHONPATH": str(Path(vault.__file__).parents[2])}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environ, check=True)
    assert ran.stdout == "False\n"
