"""A secret as programs hold it: it is printed nowhere, and compared without telling how much is right."""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import Final

from hookrow.errors import Misuse
from hookrow.lang import Text
from hookrow.secrets.keyring import KEY_BYTES

__all__ = ["MASK", "Secret", "new_signing_secret"]

MASK: Final = "••••••••"
"""What stands for a secret wherever people look. Its length says nothing."""
SIGNING_PREFIX: Final = "whsec_"


class Secret:
    """A write-only value of a hook: `Secret("x")` is new, to be encrypted; `Secret.kept()` is set but not readable.

    Printing, formatting and comparing never show the value.
    """

    __slots__ = ("kept_sealed", "text")

    def __init__(self, value: str) -> None:
        self.text: Final = value
        self.kept_sealed: bool = False

    @classmethod
    def kept(cls) -> Secret:
        """A secret that is set, and whose value stays encrypted: writing it again changes nothing."""
        secret = cls("")
        secret.kept_sealed = True
        return secret

    @property
    def is_kept(self) -> bool:
        """Whether this stands for a value that stays as it is stored."""
        return self.kept_sealed

    @property
    def is_set(self) -> bool:
        """Whether there is a value, here or stored. `Secret("")` is not set."""
        return self.kept_sealed or bool(self.text)

    @property
    def value(self) -> str:
        """The value. Raises Misuse for a kept one."""
        if self.kept_sealed:
            raise Misuse(Text("this secret is stored encrypted; its value is not here"))
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
