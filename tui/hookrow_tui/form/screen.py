"""The form of one hook: saving, testing, leaving, drafts; what it shows stands in `hookrow_tui.form.view`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from textual import on

from hookrow.errors import CandidateInTheWay, ChangedMeanwhile, HookNotFound, HookrowError, InvalidInput
from hookrow.hook.form import FIELD, PAGE_TITLE, SAVE_AND_CLOSE
from hookrow.hook.modes import ROW_LIMIT
from hookrow.safetext import covered
from hookrow_tui.actions import cap_of
from hookrow_tui.form.body import Body
from hookrow_tui.form.fields import Edited, SecretLine
from hookrow_tui.form.view import FormView
from hookrow_tui.hooks.promoting import NAMED, shadow_lines
from hookrow_tui.presenters.changes import changed_codes, label_of
from hookrow_tui.presenters.failures import sentence
from hookrow_tui.presenters.form import drafts
from hookrow_tui.presenters.form.state import (
    FLAGS,
    SECRETS,
    FormState,
    Merged,
    Texts,
    Value,
    longest_wait,
    merge,
    texts_of,
    too_long,
)
from hookrow_tui.presenters.spans import here
from hookrow_tui.terminal.editor import NotRun, edit_text
from hookrow_tui.widgets.dialogs import Answer, Choices, Question, ask
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Hook, HookEngine, Rehearsal, ShadowFigures
    from hookrow.records import Revision

__all__ = ["FormScreen"]

RECENT = 500
"""Firings that body and condition are tried on before they are saved."""


class FormScreen(FormView):
    """The form; it gives the id of the hook that it wrote, or None.

    Args:
        hook: the hook to edit or to copy; None for a new one.
        zone: in which moments are typed and shown.
    """

    def __init__(self, hook: Hook | None, *, zone: tzinfo, copy: bool = False) -> None:
        super().__init__(hook, zone=zone, copy=copy)
        self.saving = False
        """Whether the engine was asked to write: no key comes before its answer but those that end things."""
        self.kept_secrets = False
        """Whether secrets were to go along to another origin when it was asked last."""
        self.afterwards: Callable[[], Any] | None = None
        self.leaving: Question | None = None
        """The question whether to save."""

    def on_mount(self) -> None:  # besides FormView's: Textual calls both
        if not self.hookrow.read_only:
            self.offer_draft()

    def action_editor(self) -> None:
        """The body in $EDITOR."""
        body = self.widget("body")
        assert isinstance(body, Body)
        try:
            body.text = edit_text(self.app, body.text, "body.json")
        except NotRun as error:
            self.hookrow.notice(str(error))
        else:
            self.edited(Edited("body", body.text))  # at once: if the line was lost meanwhile, the draft is to have it

    # Saving

    @on(Choices.Chosen)
    def press(self, message: Choices.Chosen) -> None:
        {"save": self.action_save, "test": self.action_test, "cancel": self.action_back}[message.code]()

    def action_save(self) -> None:
        """«Записать и закрыть»."""
        if not self.hookrow.writable():
            return
        if self.state.hook is not None and not self.dirty:
            self.close(None)
        elif not self.find_fault():
            seconds = longest_wait(self.hooks, self.state, self.together)
            if seconds > ROW_LIMIT and {"timeout", "active", "event", "wait_for_response", "fire_and_forget"} & set(
                self.state.changed
            ):
                answers: list[Answer] = [("back", Say("Keep editing"), None), ("save", Say("Save anyway"), self.save)]
                ask(self, SAVE_AND_CLOSE, [too_long(seconds)], answers)
            else:
                self.save()

    def save(self) -> None:
        """Write it, after a rehearsal where body or condition are new."""
        texts = self.state.texts
        if {"body", "condition", "event"} & set(self.state.changed) and (texts["body"] or texts["condition"]):
            self.rehearse(self.write)
        else:
            self.write()

    def find_fault(self) -> bool:
        """Check all; go to the first field at fault."""
        checked = self.state.checked(here(self.zone))
        self.problems = checked.problems
        if not self.problems:
            return False
        self.afterwards = None
        self.hookrow.unexpected()
        code = next((code for code in FIELD if code in self.problems), None)
        if code is None:
            self.notice(next(iter(self.problems.values())))
        else:
            self.go_to(code)
            self.draw_hint()
        return True

    def ask_about_secrets(self, codes: list[str], go_on: Callable[[bool], None]) -> None:
        """The new address is somebody else's: are the kept secrets to go there?

        Args:
            go_on: called where they are kept or removed, with whether they are kept.
        """

        def remove() -> None:
            for code in codes:
                field = self.widget(code)
                assert isinstance(field, SecretLine)
                field.remove_secret()
                self.state.texts[code] = ""
            go_on(False)

        def enter_again() -> None:
            self.stay()
            self.go_to(codes[0])

        names = ", ".join(f"«{label_of(code)}»" for code in codes)
        text = Say("The new URL has another origin. These would be sent to it: {names}.", names=names)
        answers: list[Answer] = [
            ("back", Say("Keep editing"), None),
            ("keep", Say("Keep them"), lambda: go_on(True)),
            ("new", Say("Enter again"), enter_again),
            ("remove", Say("Remove them"), remove),
        ]
        ask(self, Say("Secrets and the new URL"), [text], answers, self.stay)

    def stay(self) -> None:
        """What was to follow on leaving does not: the person goes on editing."""
        self.afterwards = None

    def ask_to_promote(self, go_on: Callable[[], None]) -> None:
        """The hook's responses are to decide from now on: show first what they would have done."""
        number = 0 if self.state.hook is None else self.state.hook.id or 0

        def show(figures: ShadowFigures | None) -> None:
            answers: list[Answer] = [
                ("back", Say("Keep editing"), None),
                ("promote", Say("Let it decide"), go_on),
            ]
            ask(self, Say("Its responses decide from now on"), shadow_lines(figures), answers, self.stay)

        self.hookrow.ask(self, lambda engine: engine.log.shadow(number), show, self.refused)

    def rehearse(self, go_on: Callable[[], None]) -> None:
        """Try body and condition on the event's newest firings, and ask where they would fail on some."""
        checked, stored = self.state.checked(here(self.zone)), self.state.hook
        self.saving = True

        def tried(engine: HookEngine) -> Rehearsal:
            from hookrow import Hook

            hook = Hook.stored(checked.values) if stored is None else stored.model_copy(update=checked.values)
            return engine.rehearse(hook, limit=RECENT)

        def show(found: Rehearsal) -> None:
            self.saving = False
            if not found.failed:
                go_on()
                return
            answers: list[Answer] = [("back", Say("Keep editing"), None), ("save", Say("Save anyway"), go_on)]
            ask(self, SAVE_AND_CLOSE, list(found.told())[:NAMED], answers, self.stay)

        self.hookrow.ask(self, tried, show, self.refused)

    # Trying beside the hook

    def action_try(self) -> None:
        """Keep the changes as the hook's candidate."""
        if not self.hookrow.writable():
            return
        if self.state.hook is None or not self.dirty:
            self.hookrow.notice(str(Say("Change a field of a saved hook first: the change is tried beside it.")))
        elif not self.find_fault():
            self.try_beside()

    def try_beside(self, keep_secrets: bool = False, replace: bool = False) -> None:
        """Once its secrets, and a candidate from before, were asked about."""
        stored, values = self.state.hook, self.state.checked(here(self.zone)).values
        assert stored is not None
        if not replace and stored.candidate is not None:
            answers: list[Answer] = [
                ("back", Say("Keep editing"), None),
                ("replace", Say("Replace it"), lambda: self.try_beside(keep_secrets, replace=True)),
            ]
            text = Say("The hook has a candidate already. A new one begins its figures anew.")
            ask(self, Say("Try in shadow"), [text], answers, self.stay)
            return
        if not keep_secrets and (codes := self.state.carried(values)):
            self.ask_about_secrets(codes, lambda keep: self.try_beside(keep, replace))
            return
        number, revision = stored.id or 0, stored.revision
        changed = {code: value for code, value in values.items() if code not in FLAGS or value != getattr(stored, code)}
        self.saving = True

        def tried(hook: Hook) -> None:
            key = cap_of("hooks.promote")
            text = Say('Asked in shadow beside "{name}" from now on. Promote it: {key}', name=hook.name, key=key)
            self.app.notify(covered(str(text)), markup=False)
            self.close(hook.id)

        self.hookrow.ask(
            self,
            lambda engine: engine.hooks.try_candidate(number, changed, revision=revision, keep_secrets=keep_secrets),
            tried,
            self.refused,
        )

    def ask_to_drop(self, error: CandidateInTheWay) -> None:
        """The hook's candidate does not go with these changes."""
        answers: list[Answer] = [
            ("back", Say("Keep editing"), None),
            ("drop", Say("Drop it and save"), lambda: self.write(self.kept_secrets, promote=True, drop=True)),
        ]
        ask(self, Say("The candidate does not go with it"), [sentence(error)], answers, self.stay)

    def write(self, keep_secrets: bool = False, promote: bool = False, drop: bool = False) -> None:
        checked = self.state.checked(here(self.zone))
        before = self.state.hook
        if not promote and before is not None and before.shadow and checked.values.get("shadow") is False:
            self.ask_to_promote(lambda: self.write(keep_secrets, promote=True))
            return
        if not keep_secrets and (codes := self.state.carried(checked.values)):
            self.ask_about_secrets(codes, lambda keep: self.write(keep, promote))
            return
        stored = self.state.hook
        number = None if stored is None else stored.id
        self.saving, self.kept_secrets = True, keep_secrets
        how = {"keep_secrets": keep_secrets, **({"drop_candidate": True} if drop else {})}

        def call(engine: HookEngine) -> Any:
            if stored is None or number is None:
                from hookrow import Hook

                return engine.hooks.add(Hook.stored(checked.values))
            return engine.hooks.update(number, checked.values, revision=stored.revision, stored=True, **how)

        def written(hook: Hook) -> None:
            for note in dict.fromkeys([*checked.notes, *map(str, hook.notes)]):
                self.app.notify(covered(note), markup=False)
            self.close(hook.id)

        self.hookrow.ask(self, call, written, self.refused)

    def refused(self, error: HookrowError) -> None:
        """What the engine says against it: a field, a colleague's edit, a deleted hook, the database."""
        if isinstance(error, ChangedMeanwhile):
            self.hookrow.ask(self, self.read_theirs, self.settle, self.refused)
            return
        self.saving = False
        if isinstance(error, CandidateInTheWay):
            self.ask_to_drop(error)
            return
        if isinstance(error, HookNotFound):
            self.ask_about_deleted(str(error))
            return
        self.afterwards = None
        self.hookrow.unexpected()
        if isinstance(error, InvalidInput):
            self.problems = {problem.field: str(problem.text) for problem in error.problems}
            code = next((code for code in FIELD if code in self.problems), None)
            if code is not None:
                self.go_to(code)
            self.notice("" if code else sentence(error))
        else:
            self.notice(sentence(error))

    def ask_about_deleted(self, text: str) -> None:
        """A colleague deleted the hook: bring it back with these changes, with its secrets and queue; or make a new
        one."""
        answers: list[Answer] = [
            ("restore", Say("Restore it"), self.restore),
            ("new", Say("Save as new"), self.save_as_new),
            ("back", Say("Keep editing"), None),
        ]
        more = Say("A restored hook keeps its secrets and its queue; a new one starts without them.")
        ask(self, Say("Somebody deleted the hook"), [text, more], answers)

    def restore(self) -> None:
        """Bring the deleted hook back, then go on as where a colleague changed it."""
        number = 0 if self.state.hook is None else self.state.hook.id or 0
        self.saving = True
        self.hookrow.ask(
            self,
            lambda engine: engine.hooks.restore(number),
            lambda _: self.hookrow.ask(self, self.read_theirs, self.settle, self.refused),
            self.refused,
        )

    def save_as_new(self) -> None:
        """A new hook of what stands here; the kept secrets went with the old one."""
        texts: Texts = {code: "" if value is None else value for code, value in self.state.texts.items()}
        self.state = FormState(FormState.of(None, self.zone).base, {**texts, "key": ""})
        self.action_save()

    def read_theirs(self, engine: HookEngine, mine: int | None = None) -> tuple[Hook, list[Revision]]:
        """The hook as it is now, and what was done to it since my revision (left out: the one that this form was opened
        on), newest first."""
        assert self.state.hook is not None
        number = self.state.hook.id or 0
        mine = self.state.hook.revision if mine is None else mine
        since = [each for each in engine.hooks.history(number) if each.revision > mine]
        return engine.hooks.get(number), since

    def settle(self, read: tuple[Hook, list[Revision]]) -> None:
        """A colleague saved this hook meanwhile: take what only they changed, ask about what both did."""
        self.saving = False
        theirs, since = read
        also = SECRETS.intersection(changed_codes(since))
        merged = merge(self.state.base, self.state.texts, texts_of(theirs, self.zone), also=also)

        def taken() -> None:
            self.write() if self.dirty else self.close(theirs.id)

        self.compare(self.state.texts, theirs, merged, since, taken)

    def compare(
        self,
        mine: Texts,
        theirs: Hook,
        merged: Merged,
        since: list[Revision],
        taken: Callable[[], None],
        *,
        draft: bool = False,
    ) -> None:
        """Show both sides, where anything is to be told; what is decided stands in the form then, on the hook as it is
        now, and `taken` is called."""
        from hookrow_tui.form.conflict import ConflictScreen

        texts = texts_of(theirs, self.zone)

        def decided(choice: dict[str, Value] | None) -> None:
            if choice is None:
                return
            self.state.hook = theirs
            self.state.base = dict(texts)
            self.fill({**texts, **merged.texts, **choice})
            taken()

        if merged.conflicts or merged.theirs_only:
            self.app.push_screen(ConflictScreen(mine, texts, merged, since, self.zone, draft=draft), decided)
        else:
            decided({})  # paused, resumed, deleted and brought back: nothing that this form holds

    # Testing

    def action_test(self) -> None:
        """The marked request, without saving."""
        if self.find_fault():
            return
        codes = self.state.carried(self.state.checked(here(self.zone)).values)
        if codes:
            self.ask_about_secrets(codes, self.try_it)
        else:
            self.try_it()

    def try_it(self, keep_secrets: bool = False) -> None:
        from hookrow_tui.widgets.check import CheckScreen

        values = self.state.checked(here(self.zone)).values if self.dirty else None
        self.app.push_screen(CheckScreen(self.state.hook, values, keep_secrets=keep_secrets))

    # Leaving

    def action_back(self) -> None:
        if not self.leave_writing():
            self.leave()

    def leave(self, then: Callable[[], Any] | None = None) -> None:
        """Close, asking first if something was changed; then go on with `then`. A save under way closes by itself."""
        self.afterwards = then
        if self.saving or self.leaving in self.app.screen_stack:
            return
        if not self.dirty or self.hookrow.read_only:
            self.close(None)
            return

        answers: list[Answer] = [
            ("back", Say("Keep editing"), None),
            ("save", Say("Save"), self.action_save),
            ("drop", Say("Don't save"), lambda: self.close(None)),
        ]
        self.leaving = ask(self, PAGE_TITLE, [Say("The changes are not saved.")], answers, self.stay)

    def close(self, hook_id: int | None) -> None:
        """Go, and leave no draft."""
        if self not in self.app.screen_stack:
            return
        while self.app.screen is not self:  # `dismiss` takes away what is uppermost, whatever that is
            self.app.pop_screen()
        if self.draft_timer is not None:
            self.draft_timer.stop()
        drafts.forget(self.hookrow.url, self.draft_id)
        self.dismiss(hook_id)
        if self.afterwards is not None:
            self.afterwards()

    # Drafts

    def offer_draft(self) -> None:
        """What a lost session left for this hook."""
        kept = drafts.drafts_of(self.hookrow.url, self.draft_id)
        if not kept:
            return
        draft = kept[0]

        answers: list[Answer] = [
            ("take", Say("Open the draft"), lambda: self.take_draft(draft)),
            ("drop", Say("Delete the draft"), draft.drop),
            ("later", Say("Decide later"), None),
        ]
        text = Say("An interrupted session left unsaved changes. Passwords are not among them.")
        ask(self, Say("Draft"), [text], answers)

    def take_draft(self, draft: drafts.Draft) -> None:
        """Put the draft's changes on the hook as it is now; where somebody changed that since, both sides are shown.
        Whoever goes back from there finds the draft again."""
        if self.state.hook is None:
            self.fill(dict(draft.texts))
            draft.drop()
            return

        def take(read: tuple[Hook, list[Revision]]) -> None:
            theirs, since = read
            texts = texts_of(theirs, self.zone)
            now = {code: texts[code] for code in draft.base if code in texts}
            mine = {code: draft.texts.get(code, draft.base[code]) for code in now}
            self.compare(mine, theirs, merge(draft.base, mine, now), since, draft.drop, draft=True)

        self.hookrow.ask(self, lambda engine: self.read_theirs(engine, draft.revision), take)
