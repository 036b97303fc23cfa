"""Values that are written and never read: Secret, and the secrets that sign."""

from __future__ import annotations

import base64
import copy
import json
import pickle

import pytest
import standardwebhooks
from pydantic import BaseModel, ConfigDict

from hookrow.errors import Misuse
from hookrow.hook.checks import Unfit, check_signing_secret
from hookrow.secrets.keyring import KeyRing
from hookrow.secrets.secret import MASK, Secret, new_signing_secret
from hookrow.secrets.vault import Place, Vault


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    password: Secret | None = None


def test_a_secret_is_never_shown() -> None:
    """No way of printing shows a value; keys and vaults are as discreet."""
    secret = Secret("S3cret")
    ring = KeyRing.new()
    safe = Vault.for_database(None, {}, ring)
    safe.seal("S3cret", Place("hook", "a1", "auth_password"))
    key = ring.keys[ring.active_id]
    shown = f"{secret} {secret!r} {secret!s:>20} {[secret]} {Holder(password=secret)!r} {ring!r} {safe!r} {MASK}"
    for hidden in ("S3cret", base64.b64encode(key).decode(), repr(key)[2:-1], key.hex()):
        assert hidden not in shown
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_a_kept_secret_has_no_value() -> None:
    """Set, but not here: asking for the value is a mistake of the program."""
    kept = Secret.kept()
    assert (kept.is_set, kept.is_kept) == (True, True)
    with pytest.raises(Misuse):
        _ = kept.value
    assert (Secret("x").is_set, Secret("x").is_kept, Secret("x").value) == (True, False, "x")
    assert Secret("").is_set is False


def test_secrets_compare_by_value() -> None:
    """Equal values are equal, a kept one equals only a kept one; the hash does not depend on the value."""
    assert Secret("ж") == Secret("ж")
    assert Secret("a") != Secret("b")
    assert Secret("") != Secret.kept()
    assert Secret.kept() == Secret.kept()
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("b"))


@pytest.mark.parametrize("secret", [Secret("S3cret"), Secret.kept(), Secret("")])
def test_secrets_can_be_copied(secret: Secret) -> None:
    """Copies, deep copies, pickles and pydantic's copies are equal to the original."""
    for other in (
        copy.copy(secret),
        copy.deepcopy(secret),
        pickle.loads(pickle.dumps(secret)),
        Holder(password=secret).model_copy(deep=True).password,
    ):
        assert other == secret
        assert isinstance(other, Secret)
        assert other.is_kept is secret.is_kept


# Signing secrets


def test_a_new_signing_secret_signs() -> None:
    """Each is new, accepted by our own check, and by the reference library."""
    first, second = new_signing_secret(), new_signing_secret()
    assert first != second
    assert check_signing_secret(first.value) == first.value
    assert len(base64.b64decode(first.value.removeprefix("whsec_"))) == 32
    standardwebhooks.Webhook(first.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "S3cretS3cretS3cretS3cretS3cretS3cret",
        "whsec_????",
        "whsec_ж",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
    ],
)
def test_what_is_no_signing_secret_is_refused(text: str) -> None:
    """The sentence says what is wrong and does not repeat the text."""
    with pytest.raises(Unfit) as fault:
        check_signing_secret(text)
    assert "x" * 8 not in str(fault.value)
    assert "S3cret" not in str(fault.value)


@pytest.mark.parametrize("length", [24, 32, 64])
def test_signing_secrets_of_every_allowed_length(length: int) -> None:
    """24 to 64 bytes, both bounds included."""
    text = "whsec_" + base64.b64encode(b"x" * length).decode()
    assert check_signing_secret(text) == text
