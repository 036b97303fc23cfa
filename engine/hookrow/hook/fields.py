"""A hook's fields: what they are, and the rules that check them together.

The declarations stand in `hookrow.hook.form`, one field's rule in `hookrow.hook.checks`; both are handed on here, so
that the form, the command line and `Hook` need this module only. It loads nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from hookrow.errors import Problem
from hookrow.hook.checks import (
    EMPTY_SECRET,
    RESERVED_HEADERS,
    RESERVED_PREFIXES,
    Unfit,
    check_header,
    header_parts,
    is_empty,
    is_other_origin,
    is_reserved,
    readable,
    take_userinfo,
    trim,
)
from hookrow.hook.dates import Here
from hookrow.hook.form import (
    FIELD,
    FIELDS,
    FLAGS_TITLE,
    GROUPS,
    PAGE_TITLE,
    PERIOD_TITLE,
    SAVE_AND_CLOSE,
    Field,
)
from hookrow.hook.modes import WAITING, Mode, mode, mode_sentence
from hookrow.lang import Text

__all__ = [
    "FIELD",
    "FIELDS",
    "FLAGS_TITLE",
    "GROUPS",
    "HEADER_VALUE",
    "KNOWN",
    "PAGE_TITLE",
    "PERIOD_TITLE",
    "RESERVED_HEADERS",
    "RESERVED_PREFIXES",
    "SAVE_AND_CLOSE",
    "SECRETS",
    "WAITING",
    "Cleaned",
    "Field",
    "Here",
    "Mode",
    "Unfit",
    "carried",
    "clean",
    "clean_change",
    "hide_given",
    "is_reserved",
    "mode",
    "mode_sentence",
    "no_field",
    "not_carried",
]

HEADER_VALUE = "custom_header_value"
"""Where the sealed half of the custom header is kept; `custom_header` itself keeps the name."""
SECRETS = ("auth_password", "signing_secret", HEADER_VALUE)
KNOWN = frozenset({*FIELD, HEADER_VALUE})
READ_ONLY = frozenset(
    {"id", "revision", "state", "mode", "paused_by", "paused_at", "paused_reason", "deleted", "notes", "candidate"}
)
"""What a hook has that nobody gives it."""
ANSWER_FLAGS = ("wait_for_response", "response_has_data")


@dataclass(slots=True)
class Cleaned:
    """Checked fields: `values` to keep, `problems` that forbid it (one a field), `notes` on what was changed.

    `custom_header` is split: its name stays in `custom_header`, its value goes to `custom_header_value`. New secrets
    are `hookrow.secrets.secret.Secret`, so that no printing shows them.
    """

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Text] = field(default_factory=list)

    def refuse(self, code: str, text: Text) -> None:
        """Add a field's fault, unless one of this field is known."""
        if all(problem.field != code for problem in self.problems):
            self.problems.append(Problem(code, text))


def clean(
    values: Mapping[str, object], *, new: bool = False, stored: bool = False, here: Here | None = None
) -> Cleaned:
    """Check fields that are given by one person at once, all of them, and complete what follows from them.

    Args:
        values: Python values or typed text by field code, any subset. A secret is text (a new value), None (none), or
            an object with `is_set`, which passes through.
        new: a new hook: required fields must be there, the others get their defaults.
        stored: flags that contradict each other are kept, as a form, a file or a row may hold them (docs/concepts.md).
        here: the moment and zone that typed dates are read in; without it moments need an offset.
    """
    return examine(values, {each.code: each.default for each in FIELDS} if new else {}, new, stored, here)


def clean_change(
    current: Mapping[str, object], change: Mapping[str, object], *, stored: bool = False, here: Here | None = None
) -> Cleaned:
    """Check a change of a hook that exists: rules over several fields see the whole, but only what changes is at fault.

    `values` holds the changed fields and what follows from them. Arguments as of `clean`; `current` holds kept values.
    """
    return examine(change, current, False, stored, here)


def examine(
    given: Mapping[str, object], base: Mapping[str, object], new: bool, stored: bool, here: Here | None
) -> Cleaned:
    cleaned = Cleaned()
    for code, value in given.items():
        if code == HEADER_VALUE or code == "custom_header":
            continue
        if code not in FIELD:
            cleaned.refuse(code, no_field(code))
            continue
        try:
            cleaned.values[code], note = FIELD[code].read(value, here)
        except Unfit as fault:
            cleaned.refuse(code, fault.text)
        else:
            cleaned.notes.extend([note] if note else [])
    if new:
        for each in FIELDS:
            if each.required and each.code not in given:
                cleaned.refuse(each.code, Text("A value is required."))
    custom_header(given, base, cleaned)
    credentials(base, cleaned)
    flags(given, base, stored, cleaned)
    period(base, cleaned)
    if new:
        cleaned.values = {**base, HEADER_VALUE: None, **cleaned.values}
    hide(cleaned.values)
    return cleaned


def no_field(name: str) -> Text:
    """Why a value under this name is refused."""
    if name in READ_ONLY:
        return Text("It is read only: the engine sets it.")
    close = get_close_matches(name, KNOWN, 1)
    return (
        Text("There is no such field; did you mean {name}?", name=close[0])
        if close
        else Text("There is no such field.")
    )


def hide(values: dict[str, Any], codes: Iterable[str] = SECRETS) -> None:
    """Put new secrets where they can't be seen: error trackers record the local variables of every frame."""
    for code in codes:
        if isinstance(values.get(code), str):
            from hookrow.secrets.secret import Secret

            values[code] = Secret(values[code])


def hide_given(values: dict[str, Any]) -> None:
    """The same for fields that are not checked yet: a whole custom header has its value in it."""
    header = values.get("custom_header")
    hide(values, [*SECRETS, *(["custom_header"] if isinstance(header, str) and ":" in header else [])])


def custom_header(given: Mapping[str, object], base: Mapping[str, object], cleaned: Cleaned) -> None:
    """Split `Name: value`, or join what came as two, and check the whole."""
    if "custom_header" not in given and HEADER_VALUE not in given:
        return
    text = given.get("custom_header", base.get("custom_header"))
    content = given.get(HEADER_VALUE)
    if content is not None and is_empty(content):
        cleaned.refuse("custom_header", EMPTY_SECRET)
        return
    inside = readable(text)
    if inside is None or (isinstance(inside, str) and not trim(inside)):
        if not filled(content):
            cleaned.values |= {"custom_header": "", HEADER_VALUE: None}
        else:
            cleaned.refuse("custom_header", Text("The header's name is missing."))
        return
    whole = inside
    if isinstance(inside, str) and ":" not in inside:
        known = content if HEADER_VALUE in given else base.get(HEADER_VALUE)
        secret = readable(known)
        if secret is None and filled(known):  # a kept value can't be read: the name alone is checked
            secret = "kept"
        whole = f"{inside}: {secret or ''}"
    try:
        name, value = header_parts(check_header(whole))
    except Unfit as fault:
        cleaned.refuse("custom_header", fault.text)
        return
    cleaned.values["custom_header"] = name
    if isinstance(inside, str) and ":" in inside:
        cleaned.values[HEADER_VALUE] = value
    elif HEADER_VALUE in given:
        cleaned.values[HEADER_VALUE] = value if isinstance(content, str) else content


def credentials(base: Mapping[str, object], cleaned: Cleaned) -> None:
    """One source of Authorization: the fields, the URL (whose part moves to the fields), or the custom header."""
    values = cleaned.values
    url = values.get("url")
    if url:
        try:
            bare, login, password = take_userinfo(url)
        except Unfit as fault:
            cleaned.refuse("url", fault.text)
            return
        if login is not None:
            merged = {**base, **values}
            if filled(merged.get("auth_login")) or filled(merged.get("auth_password")):
                cleaned.refuse("url", Text("A login and password are given both in the URL and in their own fields."))
            else:
                move(cleaned, bare, login, password)
    merged = {**base, **values}
    signs_in = [code for code in ("auth_login", "auth_password") if filled(merged.get(code))]
    header = str(merged.get("custom_header") or "").lower()
    if signs_in and header == "authorization":
        twice = Text("Authorization is already made of the login and password: remove one of the two.")
        for code in ("custom_header", *signs_in):
            if code in values:
                cleaned.refuse(code, twice)
                break
    if len(signs_in) == 1 and signs_in[0] in values:
        if signs_in == ["auth_login"]:
            cleaned.notes.append(Text("There is a login without a password: it is sent with an empty password."))
        else:
            cleaned.notes.append(Text("There is a password without a login: it is sent with an empty login."))


def move(cleaned: Cleaned, bare: str, login: str, password: str | None) -> None:
    """Take the URL's login and password into their fields."""
    try:
        moved = {"auth_login": FIELD["auth_login"].read(login)[0]}
        moved["auth_password"] = FIELD["auth_password"].read(password or None)[0]
    except Unfit as fault:
        cleaned.refuse("url", Text("Its login or password can't be used: {reason}", reason=fault.text))
        return
    cleaned.values |= {"url": bare, **moved}
    cleaned.notes.append(Text("The login and password were moved from the URL to their own fields."))


def carried(current: Mapping[str, object], values: Mapping[str, object]) -> tuple[str, ...]:
    """The kept secrets that a change would send to another origin, though nobody entered them for it.

    Args:
        current: the hook's values; `values`: those that change, as `clean_change` gives them.
    """
    before, after = current.get("url"), values.get("url")
    if not before or not after or not is_other_origin(str(before), str(after)):
        return ()
    return tuple(code for code in SECRETS if filled(current.get(code)) and code not in values)


def not_carried(secrets: Iterable[str]) -> Text:
    """Why such a change is refused, with the ways out."""
    labels = [str(FIELD["custom_header" if code == HEADER_VALUE else code].label) for code in secrets]
    return Text(
        "The new URL has another origin, and these secrets would be sent to it: {names}. Enter them again, remove "
        "them, or keep them (--keep-secrets, keep_secrets=True).",
        names=", ".join(labels),
    )


def filled(value: object) -> bool:
    """Whether a login or password is there; a secret knows it itself."""
    is_set = getattr(value, "is_set", None)
    return bool(value) if is_set is None else bool(is_set)


def flags(given: Mapping[str, object], base: Mapping[str, object], stored: bool, cleaned: Cleaned) -> None:
    """«Блок без ответа» beside the other two flags (docs/concepts.md)."""
    values = cleaned.values
    if stored or not any(values.get(code) for code in ANSWER_FLAGS):
        return
    if "fire_and_forget" in given:
        if values.get("fire_and_forget"):
            both = Text("--fire-and-forget can't be combined with --wait-for-response or --response-has-data.")
            cleaned.refuse("fire_and_forget", both)
    elif base.get("fire_and_forget", True):  # whoever names one of them wants it to work
        values["fire_and_forget"] = False
        cleaned.notes.append(
            Text("Note: fire_and_forget was turned off because wait_for_response or response_has_data is on.")
        )


def period(base: Mapping[str, object], cleaned: Cleaned) -> None:
    """The period must not end before it begins."""
    merged: dict[str, Any] = {**base, **cleaned.values}
    start, end = merged.get("valid_from"), merged.get("valid_until")
    if start is not None and end is not None and start >= end:
        code = "valid_until" if "valid_until" in cleaned.values else "valid_from"
        if code in cleaned.values:
            cleaned.refuse(code, Text("The period ends before it begins."))
