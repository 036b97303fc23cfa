"""The hook as people write it and read it back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import ConfigDict, PrivateAttr, ValidationInfo, field_serializer, model_validator
from sqlmodel import Field, SQLModel

from hookrow.errors import InvalidHook
from hookrow.hook import fields
from hookrow.hook.candidate import HookCandidate
from hookrow.hook.checks import public_url
from hookrow.hook.modes import WAITING, Mode
from hookrow.lang import Text as Message
from hookrow.secrets.secret import Secret
from hookrow.words import HookState

__all__ = ["Hook"]


class Hook(SQLModel):
    """One configured receiver, as a person or a program writes it and reads it back.

    `Hook(...)` checks every field and raises `InvalidHook` with one sentence for each that is at fault. A secret that
    was read back is `Secret.kept()`: set, but not readable; writing it again leaves it as it is.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)  # type: ignore[assignment]

    key: str = Field(default="", max_length=64)
    name: str = Field(max_length=120)
    url: str
    event: str = Field(max_length=64)
    position: int | None = None  # left out: after the event's last
    timeout: float = 5.0
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    active: bool = True
    fire_and_forget: bool = True
    wait_for_response: bool = False
    response_has_data: bool = False
    body: str = ""
    auth_login: str = ""
    condition: str = ""
    on_failure: str = Field(default="continue", max_length=8)
    fallback_message: str = Field(default="", max_length=300)
    order_key: str = ""
    shadow: bool = False
    id: int | None = None
    auth_password: Secret | None = None
    custom_header: str = ""
    custom_header_value: Secret | None = None
    signing_secret: Secret | None = None
    revision: int = 0
    state: HookState = "on"
    paused_reason: str | None = None
    paused_by: str | None = None
    paused_at: datetime | None = None
    deleted: bool = False
    candidate: HookCandidate | None = None

    _notes: list[Message] = PrivateAttr(default_factory=list)

    if not TYPE_CHECKING:  # the types of the fields are those of the constructor

        def __init__(self, **given: Any) -> None:
            fields.hide_given(given)
            for name in given.keys() - fields.KNOWN:
                given[name] = None  # it may be a password under a misspelled name
            super().__init__(**given)

    @model_validator(mode="wrap")
    @classmethod
    def checked(cls, values: Any, handler: Any, info: ValidationInfo) -> Self:
        """Check and complete what was given, all fields at once. Raises InvalidHook."""
        if isinstance(values, cls):
            return values
        cleaned = fields.clean(values, new=True, stored=bool(info.context))
        if cleaned.problems:
            raise InvalidHook(cleaned.problems)
        hook: Self = handler(cleaned.values)
        hook._notes = list(cleaned.notes)
        return hook

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Self:
        """A hook whose flags may contradict each other, as a form, a file or a row may hold them (docs/concepts.md).

        Raises:
            InvalidHook: any other fault.
        """
        return cls.model_validate(dict(values), context={"stored": True})

    @property
    def mode(self) -> Mode:
        """What the three flags mean together (docs/concepts.md)."""
        return fields.mode(self.fire_and_forget, self.wait_for_response, self.response_has_data)

    @property
    def shadowed(self) -> bool:
        """Whether it is asked in shadow: the fields alone say so, the event's moment left out of account."""
        return self.shadow and self.mode in WAITING

    @property
    def waits(self) -> bool:
        """Whether the operation waits for it."""
        return self.mode in WAITING and not self.shadow

    @property
    def public_url(self) -> str:
        """The address without credentials and with the values of its query masked: for lists and logs."""
        return public_url(self.url)

    @property
    def notes(self) -> list[Message]:
        """What was changed on the way in, in words: credentials moved out of the URL, a flag turned off."""
        return self._notes

    @field_serializer("auth_password", "custom_header_value", "signing_secret")
    def hide(self, secret: Secret | None) -> dict[str, bool]:
        """A secret leaves only as whether it is set."""
        return {"set": secret is not None and secret.is_set}

    @field_serializer("candidate")
    def tried(self, candidate: HookCandidate | None) -> dict[str, Any] | None:
        """A candidate, of its secrets only whether they are set."""
        return None if candidate is None else candidate.as_json()
