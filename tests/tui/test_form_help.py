"""What the form tells before one saves: mistakes by label and count, what an event means, ways to every field."""

from __future__ import annotations

from typing import Any

import pytest
from apps import shown, until
from fake_engine import FakeEngine
from forms import closed, fill, new_form, open_form
from screens import drawn

from hookrow.errors import DatabaseBusy, InvalidTemplate
from hookrow.lang import Text
from hookrow_tui.form.fields import SecretLine
from hookrow_tui.form.page import FormPage
from hookrow_tui.presenters.form.event_notes import DOCUMENT, explain_event

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("on_the_day")]


async def test_every_wrong_label_is_marked_and_counted_and_a_key_goes_to_the_next() -> None:
    """Two mistakes on the first page, one on the second: F8 goes round them; a mended one is no mistake any more."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "position", "x")
        await fill(at, form, "timeout", "99")
        await fill(at, form, "key", "hook-5")
        assert "ошибки: 3, F8" in drawn(at.app).splitlines()[0]
        assert "✗ Ключ: " in drawn(at.app)
        assert "«Остатки склада»" in drawn(at.app)
        seen = []
        for _ in range(4):
            await at.press("f8")
            await at.pilot.pause()
            seen.append(form.focused.code)
        assert seen == ["position", "timeout", "key", "position"]
        assert "Порядок применения✗" in drawn(at.app)
        assert "Таймаут ожидания✗" in drawn(at.app)
        await fill(at, form, "position", "7")
        assert "Порядок применения✗" not in drawn(at.app)
        assert "ошибки: 2, F8" in drawn(at.app).splitlines()[0]


async def test_a_body_that_can_not_be_saved_is_marked_by_its_label() -> None:
    """What is wrong with the body is said under its Russian label, not under the field's code."""
    engine = FakeEngine()

    def refuse(event: str, body: str, payload: Any = None) -> str:
        raise InvalidTemplate("template_error", Text("line {line}: {reason}", line=3, reason="…"), field="body")

    engine.hooks.preview = refuse  # type: ignore[method-assign]
    async with shown(engine=engine) as at:
        form = await open_form(at)
        form.go_to("body")
        await until(at.pilot, lambda: "✗ Тело: " in drawn(at.app), "the mistake")
        assert "Тело✗" in drawn(at.app)
        assert "body:" not in drawn(at.app)


async def test_a_link_local_address_is_warned_of_while_it_is_typed() -> None:
    """It is no mistake that keeps one from saving, and it is said before the first firing fails."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "url", "http://169.254.169.254/latest")
        await until(at.pilot, lambda: "никогда не вызывается" in drawn(at.app), "the warning")
        assert not form.faults()


async def test_the_words_in_an_empty_period_mean_what_they_say() -> None:
    """«без срока», typed, is no mistake and no date."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "valid_until", "без срока")
        assert not form.faults()
        await at.press("f2")
        await until(at.pilot, lambda: closed(at), "the list")
        assert at.engine.hooks.get(4).valid_until is None


async def test_two_hours_are_two_hours_away() -> None:
    """«+2ч» is counted from this minute; so it is said."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "valid_until", "+2ч")
        assert "через 2 ч" in drawn(at.app)


async def test_an_event_is_explained_where_it_is_chosen() -> None:
    """The document's words, what a hook can do then, and the API calls of the marked event; of the next one after
    Down."""
    async with shown() as at:
        form = await open_form(at)
        form.go_to("event")
        await at.pilot.pause()
        await at.press("enter")
        await at.pilot.pause()
        assert "перед добавлением заказа" in drawn(at.app)
        assert "API: /organization/order/add, /user/order/add" in drawn(at.app)
        await at.press("down")
        await at.pilot.pause()
        assert "API: /organization/order/{id}, /user/order/{id}" in drawn(at.app)


def test_every_event_of_the_catalogue_is_explained() -> None:
    """The nine of the document and the engine's own three, in lines that fit the box at 80 columns."""
    events = FakeEngine().events.list()
    assert {event.code for event in events} == set(DOCUMENT)
    for event in events:
        assert all(len(line) <= 140 for line in explain_event(event)), event.code


async def test_digits_go_to_groups_and_words_to_fields() -> None:
    """F9 3 is the flags, F9 1 the buttons; F9 and a part of a label is that field, on whatever page."""
    async with shown() as at:
        form = await open_form(at)
        await at.press("f9", "3")
        await at.pilot.pause()
        assert form.focused.code == "active"
        await at.press("f9", "6")
        await at.pilot.pause()
        assert form.focused.code == "key"
        await at.press("f9")
        await at.type("парол")
        await at.press("enter")
        await at.pilot.pause()
        assert form.focused.code == "auth_password"
        await at.press("f9", "1")
        await at.pilot.pause()
        assert form.focused.id == "buttons"


@pytest.mark.parametrize("lang", ["ru", "en"])
async def test_what_happens_on_failure_is_never_cut(lang: Any) -> None:
    """The longest sentence of a mode stands whole, on two lines where it must, whatever time limit is typed."""
    async with shown((80, 20), lang=lang) as at:
        form = await open_form(at)
        await fill(at, form, "timeout", "29.5")
        page = at.app.screen.query(FormPage).first()
        for size in ((80, 20), (80, 24), (100, 24), (120, 40)):
            await at.pilot.resize_terminal(*size)
            await at.pilot.pause()
            assert page.size.width == size[0]
            assert len(page.said(size[0])) <= 2
            assert " ".join(" ".join(page.said(size[0])).split()) == page.remark
            for part in page.said(size[0]):
                assert part in drawn(at.app)


# Secrets


async def secret_field(at: Any, form: Any, code: str = "auth_password") -> SecretLine:
    """The field of a secret, with the focus in it."""
    form.go_to(code)
    await at.pilot.pause()
    field = form.widget(code)
    assert isinstance(field, SecretLine)
    return field


async def test_no_stray_key_takes_a_secret_away() -> None:
    """Backspace, ctrl+u, ctrl+w, ctrl+k leave the dots; typing and taking back leaves it unchanged, and says so."""
    async with shown() as at:
        form = await open_form(at)
        field = await secret_field(at, form)
        await at.press("end", "backspace", "ctrl+u", "ctrl+w", "ctrl+k", "home", "ctrl+k")
        assert form.state.texts["auth_password"] is None
        assert "••••••••" in drawn(at.app)
        assert "только Delete" in drawn(at.app)
        await at.type("q")
        assert form.state.texts["auth_password"] == "q"
        await at.press("backspace")
        assert form.state.texts["auth_password"] is None
        assert "без изменений" in drawn(at.app)
        assert not form.dirty
        assert field.value == ""


async def test_delete_removes_a_secret_after_a_question_only() -> None:
    """«Go back» is marked first; after «remove» the box says what saving does, and ctrl+r takes it back."""
    async with shown() as at:
        form = await open_form(at)
        await secret_field(at, form)
        await at.press("delete", "enter")
        await at.pilot.pause()
        assert form.state.texts["auth_password"] is None
        await at.press("delete", "right", "enter")
        await at.pilot.pause()
        assert form.state.texts["auth_password"] == ""
        assert "будет удалён" in drawn(at.app)
        await at.press("ctrl+r")
        assert form.state.texts["auth_password"] is None
        await at.press("delete", "right", "enter")
        await at.pilot.pause()
        await at.press("f2")
        await until(at.pilot, lambda: closed(at), "the list")
        assert at.engine.hooks.get(4).auth_password is None


async def test_a_secret_that_is_typed_into_a_new_hook_can_not_be_read() -> None:
    """Dots for the password; of a header the value is hidden as soon as the field is left."""
    async with shown() as at:
        form = await new_form(at)
        await fill(at, form, "auth_password", "qwerty")
        assert "qwerty" not in drawn(at.app)
        assert "••••••" in drawn(at.app)
        await fill(at, form, "custom_header", "X-Key: s3cret")
        assert "X-Key: s3cret" in drawn(at.app)
        form.go_to("name")
        await at.pilot.pause()
        assert "s3cret" not in drawn(at.app)
        assert "X-Key:" in drawn(at.app)
        assert form.state.texts["custom_header"] == "X-Key: s3cret"


async def test_a_signing_secret_is_made_in_the_form_and_shown_once() -> None:
    """The button shows it; it goes into the form, is masked there, and saved with the rest. Escape leaves the field."""
    async with shown() as at:
        form = await open_form(at)
        form.go_to("signing_secret")
        await at.pilot.pause()
        await at.press("tab", "enter")
        await at.pilot.pause()
        assert "whsec_" in drawn(at.app)
        await at.press("escape")
        await at.pilot.pause()
        assert form.state.texts["signing_secret"] is None
        await at.press("enter")
        await at.pilot.pause()
        made = at.app.screen.secret
        assert made in drawn(at.app)
        await at.press("enter")
        await at.pilot.pause()
        assert form.state.texts["signing_secret"] == made
        assert "whsec_" not in drawn(at.app)
        assert not form.faults()


async def test_leaving_by_escape_and_enter_loses_nothing_and_saves_nothing() -> None:
    """The question over a changed form has «go back» marked first."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "name", "Другое")
        await at.press("escape", "enter")
        await at.pilot.pause()
        assert at.app.screen is form
        assert form.state.texts["name"] == "Другое"


async def test_a_busy_database_is_said_without_advice_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The person at the screen calls no `fire(connection=…)`."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "name", "Другое")

        def busy(*_: Any, **__: Any) -> Any:
            raise DatabaseBusy(Text("use fire(connection=...)"))

        monkeypatch.setattr(at.engine.hooks, "update", busy)
        await at.press("f2")
        await until(at.pilot, lambda: "База занята" in drawn(at.app), "the refusal")
        assert "connection" not in drawn(at.app)
