"""One firing's row of hooks: the plan carried out hook by hook. The only place that calls blocking hooks.

What a hook did or was kept from doing becomes its `DeliveryDraft`, which `hookrow.core.firing` writes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from hookrow.core.drafts import LONGEST_KEY, DeliveryDraft, FiringContext
from hookrow.delivery import plan
from hookrow.delivery.comparing import Against, Effect, compare, left, unusual
from hookrow.delivery.concealing import Concealer, private_targets, public_changes
from hookrow.delivery.message import envelope
from hookrow.delivery.states import would
from hookrow.errors import InvalidTemplate
from hookrow.events import redact
from hookrow.hook.local_time import NOW, LocalTime
from hookrow.hook.modes import WAITING, pause_reason
from hookrow.hook.stored import StoredHook
from hookrow.ids import delivery_id, firing_id
from hookrow.lang import Text
from hookrow.payload import canonical_hash, dumps, get_pointer, storable
from hookrow.reasons.reason import Reason, warned
from hookrow.records import Veto, rfc3339
from hookrow.store.outbox.breaker import Note
from hookrow.system.lazy import cached_property
from hookrow.template.compiled import Body, Condition, View, prepare, reads_now
from hookrow.transport.attempt import AttemptResult, Dispatch, Tools, perform

__all__ = ["FALLBACK", "Row"]

FALLBACK = Reason("unavailable")
"""What the caller is told where a hook set to `stop` failed and names no message of its own."""
FIXED = Reason("data_for_form")
CALLED_OFF = Reason("called_off")
ABSENT: Any = object()


class Row:
    """Takes a payload through the hooks of an event, in order."""

    def __init__(self, context: FiringContext, payload: dict[str, Any], text: str) -> None:
        """`text` is the payload as JSON."""
        self.context = context
        self.data: dict[str, Any] = payload
        self.original = payload
        self.text = text
        self.result: Any = None
        self.has_result: bool = False
        self.veto: Veto | None = None
        self.warnings: list[Text | str] = []
        self.drafts: list[DeliveryDraft] = []
        self.trials: list[tuple[DeliveryDraft, DeliveryDraft]] = []
        """Hooks' shares with their candidates', which come after all others once it is known what the hooks did."""
        self.troubled: bool = False
        """A hook that should have run failed."""
        self.hidden: tuple[str, ...] = ()
        self.private: tuple[str, ...] = context.event.private
        """The event's private pointers, and those to which a blocking hook has copied such a value, or a secret."""
        self.barred: bool = False
        """Nothing of this firing is queued: it is refused without asking."""
        self.left: float = context.deadline
        """Seconds until the row's deadline, as the last call of a blocking hook left them."""
        self.views: dict[bool, tuple[dict[str, Any], View | None]] = {}
        self.envelopes: dict[bool, str] = {}
        self.show(payload)

    # -- what a hook sees ---------------------------------------------------------------------------------------------

    def show(self, data: dict[str, Any]) -> None:
        """Let the hooks from here on see this payload: whole, and with null for what is private."""
        self.data = data
        kept, self.hidden = redact(data, self.private) if self.private else (data, ())
        self.views = {True: (data, None), False: (kept, None)}
        self.envelopes.clear()

    @property
    def kept(self) -> dict[str, Any]:
        """The payload as it may be kept and queued."""
        return self.views[False][0]

    def view(self, private: bool) -> View:
        data, view = self.views[private]
        if view is None:
            moment = LocalTime(self.context.at_ms, self.context.zone)
            view = prepare(data, self.text if data is self.original else None, moment)
            self.views[private] = (data, view)
        return view

    def now_for(self, hook: StoredHook) -> Mapping[str, Any] | None:
        """What `now` means to this hook; None where neither body nor condition asks the time."""
        if NOW in self.data or not reads_now(hook.body, hook.condition):
            return None
        return LocalTime(self.context.at_ms, self.context.zone).names()

    @property
    def kept_result(self) -> Any:
        """The result as it may be kept and queued."""
        return None if self.result is None else self.concealer.json(self.result)

    @cached_property
    def concealer(self) -> Concealer:
        """What takes private values, and the secrets of the hooks that were asked, out of what is kept."""
        return Concealer(self.context.event.private, sample=self.context.event.sample)

    def webhook(self, private: bool) -> dict[str, Any]:
        """The names under `webhook` in a template."""
        context = self.context
        return {
            "id": firing_id(context.uid),
            "type": context.event.code,
            "timestamp": rfc3339(context.at_ms),
            "result": self.result if private else self.kept_result,
        }

    def render(self, hook: StoredHook, private: bool) -> str:
        """The body of a request to this hook.

        Raises:
            InvalidTemplate: its template fails on this payload.
        """
        if hook.body:
            return Body.compile(hook.body).render(
                self.view(private), self.webhook(private), limit=self.context.payload_limit
            )
        if private not in self.envelopes:
            context, data = self.context, self.views[private][0]
            result = self.result if private else self.kept_result
            text = self.text if data is self.original else dumps(data)
            self.envelopes[private] = envelope(
                context.uid, context.event.code, context.at_ms, text, self.has_result, result
            )
        return self.envelopes[private]

    # -- a hook's turn ------------------------------------------------------------------------------------------------

    def turn(self, hook: StoredHook, trial: DeliveryDraft | None = None) -> DeliveryDraft:
        """What becomes of the next hook: left out with a reason, failed before any request, to be called or queued.

        Args:
            trial: the share of a candidate, which has its turn at its hook's place.
        """
        draft = trial or DeliveryDraft(hook, len(self.drafts) + 1)
        if trial is None:
            self.drafts.append(draft)
        verdict = plan.judge(hook, self.context.at_ms)
        context = self.context
        if (  # spelled out: a candidate costs no more calls than a background hook
            hook.candidate is not None
            and verdict.act == "call"
            and (self.veto is None and context.event.moment == "before" and not context.in_background)
            and (context.url is None and context.arrival.barrier is None)
        ):
            self.trials.append((draft, self.turn(hook.candidate, DeliveryDraft(hook.candidate, draft.seq))))
        if verdict.act == "skip":
            draft.skipped = verdict.reason
            return draft
        shadow = hook.shadow and hook.mode in WAITING and self.context.event.moment == "before"
        waits = hook.mode in WAITING and not shadow and not self.context.in_background
        if shadow:
            draft.shadow = round(min(hook.timeout, self.left) * 1000)
        if self.veto is not None and not self.barred:
            draft.skipped = "after_veto"
            return draft
        if self.context.arrival.barrier is not None and self.hold_back(draft, waits):
            return draft
        if verdict.act == "fail" and (waits or shadow) and hook.paused_by == "key":
            self.fail(draft, "key_error", pause_reason("key", hook.paused_reason))
            return draft
        if verdict.act == "fail" and (waits or shadow):
            self.fail(draft, "paused", pause_reason(hook.paused_by, hook.paused_reason))
            return draft
        try:
            if hook.condition and not self.holds(hook, private=waits):
                draft.skipped, draft.detail = "condition_false", self.unmet(hook, private=waits)
                return draft
            draft.sends = self.render(hook, private=waits)
        except InvalidTemplate as error:
            draft.body = None
            self.fail(draft, error.code, error.problems[0].text)
            return draft
        draft.body = self.body_to_keep(hook) if waits and self.hidden else draft.sends
        draft.order_key = self.key_of(hook) if hook.order_key and not shadow else None
        if shadow and draft.shadow is not None and draft.shadow < plan.LEAST_WAIT * 1000:
            self.fail(draft, "deadline", Reason("deadline_passed"))
            return draft
        if shadow:
            kept = self.views[False][0]
            draft.shown = self.text if kept is self.original else dumps(kept)
        if waits:
            draft.act = "call"
        else:
            draft.act = "park" if verdict.act in ("park", "fail") else "queue"
        return draft

    def take_turns(self, hooks: Iterable[StoredHook]) -> None:
        """The turns of hooks of which none is to be asked now."""
        for hook in hooks:
            self.turn(hook)

    def waits(self, hook: StoredHook) -> bool:
        """Whether the operation waits for this hook: not for one in shadow, whose answer could decide something."""
        shadow = hook.shadow and self.context.event.moment == "before"  # spelled out: it costs no call
        return hook.mode in WAITING and not (self.context.in_background or shadow)

    def end_trials(self) -> None:
        """After the last hook's turn: note what each candidate's hook did; one that both left out is none."""
        for own, trial in self.trials:
            left_out = own.skipped is not None and trial.skipped is not None
            if left_out or own.state == "cancelled" or own.skipped not in (None, "condition_false"):
                continue  # behind a refusal, among gates that are asked together: its turn did not come
            veto = self.veto if self.veto is not None and self.veto.hook.id == own.hook.id else None
            trial.seq, trial.against = len(self.drafts) + 1, f"{own.seq} {trial.hook.on_failure}"
            if veto is not None or own.made is not None or self.private or self.context.arrival.fixed:
                data = None if own.made is None else left(own.made, own.changes, self.private)
                refusal = None if veto is None else (veto.status, veto.code)
                trial.against += unusual(Effect(refusal, data), self.private, self.context.arrival.fixed)
            if trial.act is None:
                against = Against.read(trial.against)
                its = Effect() if trial.skipped is not None else against.failing(trial.error)
                trial.compared = compare(against.effect, its)
            self.drafts.append(trial)
        self.trials.clear()

    def refuse_beforehand(self, hooks: Iterable[StoredHook]) -> None:
        """Judge beforehand whether these hooks, of which none may be asked, make the firing refused."""
        barrier = self.context.arrival.barrier
        if barrier is not None and not barrier.on_failure and self.context.before:
            self.barred = any(
                (barrier.skip is not None or self.waits(hook)) and plan.judge(hook, self.context.at_ms).act != "skip"
                for hook in hooks
            )

    def hold_back(self, draft: DeliveryDraft, waits: bool) -> bool:
        """Whether a hook that should run is kept from it by what the firing's call brought along."""
        barrier = self.context.arrival.barrier
        if barrier is None:
            return False
        if waits and self.barred:
            draft.state, draft.error, draft.detail = "failed", barrier.code, barrier.text
        elif waits:
            self.fail(draft, barrier.code, barrier.text, barrier.status)
        elif self.barred or barrier.skip is not None:
            draft.skipped = barrier.skip or "after_veto"
        else:
            return False
        if self.barred and self.veto is None and (waits or barrier.skip is not None):
            text = barrier.text
            self.veto = Veto(
                by="failure",
                hook=draft.hook.ref,
                message=text.said(self.context.language) if isinstance(text, Text) else text,
                code=barrier.code,
                status=barrier.status,
                reason=text if isinstance(text, Reason) else None,
            )
        return True

    def holds(self, hook: StoredHook, *, private: bool) -> bool:
        return Condition.compile(hook.condition).test(self.view(private), self.webhook(private))

    def unmet(self, hook: StoredHook, *, private: bool) -> str:
        """The parts of the hook's condition that are false, as they are written: no value of the payload."""
        return "; ".join(Condition.compile(hook.condition).unmet(self.view(private), self.webhook(private)))

    def body_to_keep(self, hook: StoredHook) -> str | None:
        """The body without private values, for the log; None where the template needs them."""
        try:
            return self.render(hook, private=False)
        except InvalidTemplate:
            return None

    def key_of(self, hook: StoredHook) -> str | None:
        """The value at the hook's `order_key`, a long one's hash; None where there is none, or no order asked."""
        if hook.mode in WAITING and not self.context.in_background:
            return None
        value = get_pointer(self.kept, hook.order_key, ABSENT)
        if value is ABSENT or value is None:
            return None
        key = value if isinstance(value, str) else dumps(value)
        return storable(key) if len(key) <= LONGEST_KEY else canonical_hash(key)

    def fail(self, draft: DeliveryDraft, error: str, detail: Text | str | None, status: int = 503) -> None:
        """A hook that should have run could not. A waiting one's `on_failure` decides; a background one is dead."""
        hook = draft.hook
        draft.error, draft.detail = error, detail
        if draft.shadow is not None:
            draft.state, draft.would = "failed", "fail"
            return
        self.troubled = True
        if hook.mode not in WAITING or self.context.in_background:
            draft.state = "dead"
            return
        draft.state = "failed"
        if not plan.allowed_after_failure(hook.on_failure, self.context.event.moment):
            built_in = (FALLBACK.said("ru"), FALLBACK.said("en"))  # the form used to fill it in
            own = "" if hook.fallback_message in built_in else hook.fallback_message
            message = own or FALLBACK.said(self.context.language)
            self.veto = Veto(
                by="failure",
                hook=hook.ref,
                message=message,
                code=error,
                status=status,
                reason=None if own else FALLBACK,
            )

    def unrecorded(self, why: Text | str) -> Text | str:
        """Why nothing of it could be recorded, and which hooks had been asked by then."""
        asked = [delivery_id(self.context.uid, draft.seq) for draft in self.drafts if draft.attempts]
        if not asked:
            return why
        return Text("{reason}; sent, but not recorded: {deliveries}", reason=why, deliveries=", ".join(asked))

    async def call(
        self,
        draft: DeliveryDraft,
        tools: Tools,
        seconds_left: Callable[[], float],
        before_request: Callable[[int], Awaitable[None]],
    ) -> None:
        """Ask a blocking hook and obey its answer; or, in a replay to another URL, send a background one, once.

        Args:
            seconds_left: seconds until the row's deadline.
            before_request: awaited before the request leaves: what stands before this place in the row is committed.
        """
        await before_request(draft.seq)
        dispatch = self.ready(draft, seconds_left())
        if dispatch is not None:
            result = await perform(tools, dispatch)
            self.left = seconds_left()
            self.obey(draft, result)

    def ready(self, draft: DeliveryDraft, left: float) -> Dispatch | None:
        """What is to be sent, with so many seconds left; None where that is too little, and it failed."""
        hook, context, waits = draft.hook, self.context, draft.hook.mode in WAITING
        draft.act = None
        wait = plan.wait_for(hook.timeout, left)
        if wait is None:
            self.fail(draft, "deadline", Reason("deadline_passed"))
            return None
        if waits:
            self.concealer.learn(self.data)
        draft.state, draft.detail = "cancelled", CALLED_OFF  # until it has answered
        return Dispatch(
            hook=hook,
            webhook_id=delivery_id(context.uid, draft.seq),
            event=context.event.code,
            mode=hook.mode,
            number=1,
            occurred_ms=context.at_ms,
            body=draft.sends or "",
            timeout=wait,
            payload_limit=context.payload_limit,
            payload=self.data if waits else None,
            can_refuse=context.before,
            deadline_ms=int(wait * 1000) if waits else None,
            replay_of=None if context.replay_of is None else firing_id(context.replay_of),
            depth=context.arrival.depth,
            traceparent=context.arrival.traceparent,
            url=context.url,
            with_auth=context.with_auth,
            asked_by=context.asked_by,
            shadow=draft.shadow is not None,
            conceal=self.concealer if waits else None,
        )

    def obey(self, draft: DeliveryDraft, result: AttemptResult) -> None:
        """Take over what the blocking hook answered."""
        answer, conceal = result.answer, self.concealer
        draft.attempts.append(result.values)
        draft.status, draft.ms, draft.detail = result.status, result.ms, None
        if self.context.url is None:
            draft.gone = result.gone
            reason = f"{result.error or ''} {result.status or ''}".strip()
            draft.note = Note(
                draft.hook.id, answer.kind != "failed", result.countable, result.status is not None, reason=reason
            )
        if answer.warnings:
            self.warnings += [warned(draft.hook.name, warning) for warning in answer.warnings]
        if answer.kind == "changed" and self.context.arrival.fixed:
            self.warnings.append(warned(draft.hook.name, FIXED))
            answer = replace(answer, kind="ok", data=None, changes=())
        if answer.kind == "failed":
            self.fail(draft, result.error or "bad_reply", result.detail)
            return
        if draft.shadow is not None:  # in a replay to another URL, too, its answer decides nothing
            draft.state, draft.would = "ok", would(answer.kind)
            draft.changes = public_changes(answer.changes, self.private)
            return
        draft.state = answer.kind
        if answer.veto is not None:
            refusal = answer.veto
            draft.detail = refusal.message or None
            if answer.kind == "vetoed":
                self.veto = Veto(
                    by="hook",
                    hook=draft.hook.ref,
                    message=refusal.message,
                    code=refusal.code,
                    status=refusal.status,
                    errors=refusal.errors,
                )
            return
        if answer.has_result:
            self.result, self.has_result = answer.result, True
            self.envelopes.clear()
        if answer.data is not None:
            held = [conceal.held(pointer, new, self.original) for pointer, _, new in answer.changes]
            moved = [(source, conceal.held(target, None, self.original) or target) for source, target in answer.moved]
            self.private = private_targets((*self.private, *filter(None, held)), moved)
            draft.changes = public_changes(answer.changes, self.private)
            self.show(answer.data)
            if draft.hook.candidate is not None:
                draft.made = self.kept
