"""What would happen: the plan of an event explained, a request shown before it leaves, a hook tested on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hookrow.clock import from_ms
from hookrow.core.changes.handing import COLUMNS, is_kept
from hookrow.core.context import context_for
from hookrow.core.drafts import DeliveryDraft, FiringContext
from hookrow.core.hooks import Hooks
from hookrow.core.row import Row
from hookrow.core.together import parts
from hookrow.delivery import plan
from hookrow.delivery.concealing import Concealer
from hookrow.errors import InvalidHook, KeyProblem, Problem
from hookrow.hook.checks import public_url
from hookrow.hook.dates import show
from hookrow.hook.fields import SECRETS, carried, not_carried
from hookrow.hook.modes import ROW_LIMIT, WAITING, mode, pause_reason
from hookrow.hook.stored import SEALED, StoredHook
from hookrow.hook.together import events_together
from hookrow.ids import delivery_id, firing_id, new_uid
from hookrow.payload import JsonObject, admit
from hookrow.results import Explained, Request, Tested
from hookrow.secrets.secret import Secret
from hookrow.secrets.vault import Place
from hookrow.store.aside import aside
from hookrow.store.configuration.cache import Config
from hookrow.store.log.reading import attempt_from
from hookrow.transport.attempt import Dispatch, compose, opened, outline, perform

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime
    from hookrow.hook.model import Hook

__all__ = ["Explaining", "placeholder_secrets"]

PLACEHOLDER = "whsec_" + "A" * 43 + "="


def placeholder_secrets(hook: StoredHook) -> dict[str, str]:
    """Something in the place of each secret that the hook has."""
    return {name: PLACEHOLDER for name in SEALED if getattr(hook, name) is not None}


def asked_together(row: Row, hooks: Sequence[StoredHook], steps: Sequence[Explained]) -> list[Explained]:
    """The steps of these hooks, each with the number of those with which it is asked at the same time."""
    called = {step.hook.id for step in steps if step.act == "call"}
    groups = [[hook.id for hook in part if hook.id in called] for part in parts(row, hooks)]
    several = [group for group in groups if len(group) > 1]
    numbers = {hook: number for number, group in enumerate(several, 1) for hook in group}
    return [replace(step, together=numbers.get(step.hook.id)) for step in steps]


class Explaining:
    """The engine's tools for looking at a plan or a request without an operation."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.runtime: Runtime = hooks.runtime

    def explain(
        self,
        event: str,
        payload: Mapping[str, Any] | None = None,
        *,
        at_ms: int | None = None,
        hook: int | None = None,
        url: str | None = None,
        with_auth: bool = False,
        replay_of: str | None = None,
    ) -> list[Explained]:
        """The plan of a firing, evaluated on the payload as given; nothing is sent or written.

        Raises:
            EventNotFound, InvalidPayload
        """
        runtime = self.runtime
        config = runtime.config()
        now_ms = runtime.clock.now_ms() if at_ms is None else at_ms
        found = runtime.event(config, event)
        plain, text = admit(found.sample if payload is None else payload, runtime.number(config, "payload_limit"))
        context = FiringContext(
            uid=new_uid(now_ms),
            event=found,
            at_ms=now_ms,
            deadline=ROW_LIMIT,
            payload_limit=runtime.number(config, "payload_limit"),
            replay_of=replay_of,
            url=url,
            with_auth=with_auth,
            zone=runtime.zone_of(config),
        )
        explained = []
        row = Row(context, plain, text)
        chosen = [stored for stored in config.rows.get(event, ()) if hook is None or stored.id == hook]
        for stored in chosen:
            row.veto = None  # each hook is judged for itself: what an earlier one would answer is not known
            step = self.step(row, row.turn(stored))
            if row.trials:
                step = replace(step, candidate=self.step(row, row.trials.pop()[1], candidate=True))
            explained.append(step)
        if url is None and event in events_together(config.settings):
            return asked_together(row, chosen, explained)
        return explained

    def step(self, row: Row, draft: DeliveryDraft, *, candidate: bool = False) -> Explained:
        """What a hook would do, or its candidate."""
        hook, context, request = draft.hook, row.context, None
        if draft.act is not None:
            marks = {"shadow": draft.shadow is not None, "candidate": candidate}
            to = {"url": context.url, "with_auth": context.with_auth}
            dispatch = self.dispatch(hook, context, draft.seq, draft.body or "", **marks, **to)
            with suppress(KeyProblem):  # who has no key here still sees the plan
                request = self.request(dispatch)
        return Explained(
            hook=hook.ref,
            position=hook.position,
            mode=hook.mode,
            state=plan.state(hook, context.at_ms),
            act=draft.act or ("fail" if draft.error else "skip"),
            reason=draft.error or draft.skipped,
            detail=self.why(draft),
            request=request,
            now=row.now_for(hook),
        )

    def why(self, draft: DeliveryDraft) -> str | None:
        """What there is to say beyond a reason: the false part of a condition, a period's end, why it is paused."""
        hook = draft.hook
        zone = self.runtime.zone()
        if draft.skipped == "expired" and hook.valid_until_ms is not None:
            return show(from_ms(hook.valid_until_ms), zone)
        if draft.skipped == "not_yet_valid" and hook.valid_from_ms is not None:
            return show(from_ms(hook.valid_from_ms), zone)
        if draft.act == "park":
            return str(pause_reason(hook.paused_by, hook.paused_reason)) if hook.paused_reason else None
        return None if draft.detail is None else str(draft.detail)

    def dispatch(self, hook: StoredHook, context: FiringContext, seq: int, body: str, **more: Any) -> Dispatch:
        return Dispatch(
            hook=hook,
            webhook_id=delivery_id(context.uid, seq),
            event=context.event.code,
            mode=hook.mode,
            number=1,
            occurred_ms=context.at_ms,
            body=body,
            timeout=hook.timeout,
            payload_limit=context.payload_limit,
            deadline_ms=int(hook.timeout * 1000) if hook.mode in WAITING else None,
            replay_of=None if context.replay_of is None else firing_id(context.replay_of),
            **more,
        )

    def request(self, dispatch: Dispatch) -> Request:
        """The request as it would leave, with every secret masked."""
        runtime = self.runtime
        # Every secret is masked in what is shown: who may only read the database has no key, and needs none for this.
        hook, hidden = dispatch.hook, runtime.database.read_only
        secrets = placeholder_secrets(hook) if hidden else opened(runtime.vault, hook)
        composed = compose(dispatch, outline(dispatch, secrets), runtime.clock.now_ms())
        return Request(composed.method, public_url(composed.url), composed.shown, dispatch.body)

    async def test(
        self, asked: int | str | Hook, payload: Mapping[str, Any] | None = None, *, keep_secrets: bool = False
    ) -> Tested:
        """Send a marked request (`hook-test: 1`) as the hook would, and keep nothing of it.

        Raises:
            InvalidTemplate: the body or the condition fails on this payload.
        """
        runtime = self.runtime

        def read() -> tuple[Config, StoredHook, Mapping[str, Any]]:
            if isinstance(asked, int | str):
                hook = self.hooks.find(asked)
            else:
                hook = self.unsaved_hook(asked, keep_secrets=keep_secrets)
            return runtime.config(), hook, self.hooks.example(hook.event) if payload is None else payload

        config, hook, given = await aside(read, runtime.reading())
        context = context_for(runtime, config, hook.event, ROW_LIMIT)
        plain, text = admit(given, context.payload_limit)
        row = Row(context, plain, text)
        body = row.render(hook, private=hook.mode in WAITING)
        waiting = hook.mode in WAITING
        conceal = Concealer(context.event.private if waiting else (), sample=context.event.sample)
        conceal.learn(plain)
        dispatch = replace(
            self.dispatch(hook, context, 1, body),
            test=True,
            payload=plain if waiting else None,
            can_refuse=context.before,
            conceal=conceal,
        )
        sent = await perform(runtime.tools(config), dispatch)
        request = self.request(replace(dispatch, body=row.render(hook, private=False)))
        answer = sent.answer
        return Tested(
            request=request,
            attempt=attempt_from(sent.values, body if not row.hidden else request.body),
            outcome=answer.kind,
            data=conceal.json(answer.data),
            result=conceal.json(answer.result),
            warnings=tuple(str(warning) for warning in answer.warnings),
        )

    def unsaved_hook(self, hook: Hook, *, keep_secrets: bool) -> StoredHook:
        """A hook that is not saved, as the firing path needs it; secrets left as they were come from the saved one.

        Raises:
            InvalidHook: kept secrets would go to another origin.
        """
        config: Config = self.runtime.config()
        saved = config.hooks.get(hook.id) if hook.id is not None else None
        new = {name: getattr(hook, name) for name in SECRETS if not is_kept(getattr(hook, name))}
        if saved is not None and not keep_secrets:
            held = {"url": saved.url} | {name: getattr(hook, name) for name in SECRETS}
            if taken := carried(held, {"url": hook.url, **new}):
                raise InvalidHook([Problem("keep_secrets", not_carried(taken))])
        uid = "draft" if saved is None else saved.uid
        values: JsonObject = {
            code: getattr(hook, code) for code in COLUMNS if code not in ("valid_from", "valid_until")
        }
        for name in SECRETS:
            secret: Secret | None = getattr(hook, name)
            values[name] = None if saved is None or secret is None else getattr(saved, name)
            if secret is not None and not secret.is_kept:
                place = Place("hook", uid, name)
                values[name] = self.runtime.seal(secret.value, place, values[name]) if secret.is_set else None
        return StoredHook(
            **{**values, "position": hook.position or 0},
            id=hook.id or 0,
            uid=uid,
            valid_from_ms=None,
            valid_until_ms=None,
            signing_secret_old=None,
            signing_old_until_ms=None,
            revision=hook.revision,
            paused_by=None,
            paused_reason=None,
            paused_ms=None,
            deleted_ms=None,
            mode=mode(hook.fire_and_forget, hook.wait_for_response, hook.response_has_data),
        )
