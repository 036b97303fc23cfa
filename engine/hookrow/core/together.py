"""Gates of one position asked at the same time (the setting `together:EVENT`): requests at once, answers in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from hookrow.core.drafts import DeliveryDraft
from hookrow.core.row import Row
from hookrow.delivery import plan
from hookrow.errors import KeyProblem
from hookrow.hook.stored import StoredHook
from hookrow.hook.together import runs
from hookrow.reasons.reason import Reason
from hookrow.records import Veto
from hookrow.transport.attempt import AttemptResult, Dispatch, Tools, perform, unanswered

__all__ = ["ask_together", "parts"]


def parts(row: Row, hooks: Iterable[StoredHook]) -> Iterator[Sequence[StoredHook]]:
    """The chain in the parts in which it is taken."""
    return runs(hooks, lambda hook: idle(row, hook))


def idle(row: Row, hook: StoredHook) -> bool:
    return plan.judge(hook, row.context.at_ms).act == "skip"


async def ask_together(
    row: Row,
    hooks: Sequence[StoredHook],
    tools: Tools,
    seconds_left: Callable[[], float],
    before_request: Callable[[int], Awaitable[None]],
) -> None:
    """Ask the gates of one part at the same time, and obey them in their order.

    Conditions and bodies of all are made before the first request leaves. The first refusal in the order decides, so
    that whoever stands before it is waited for; whoever stands behind it is cut off then.

    Args:
        seconds_left, before_request: as `Row.call` has them.
    """
    drafts = [row.turn(hook) for hook in hooks]
    asked = [draft for draft in drafts if draft.act == "call"]
    if not asked:
        return
    unasked = held_back(row)
    await before_request(asked[0].seq)
    left = seconds_left()
    sent: list[tuple[DeliveryDraft, Dispatch]] = []
    for draft in asked:
        dispatch = row.ready(draft, left)
        if dispatch is not None:
            sent.append((draft, dispatch))
        elif row.veto is not None:
            break
    if sent:
        await obey_in_order(row, tools, sent)
    row.left = seconds_left()
    row.veto = row.veto or unasked
    if row.veto is not None:
        leave_out(row, drafts, {draft.seq for draft, _ in sent})


def held_back(row: Row) -> Veto | None:
    """The refusal by a hook that failed without a request: at its place it refuses only if nobody before it does."""
    found, row.veto = row.veto, None
    return found


async def obey_in_order(row: Row, tools: Tools, sent: Sequence[tuple[DeliveryDraft, Dispatch]]) -> None:
    """Send all of it at once; take the answers in order as far as the first refusal, and give up the rest."""
    for _, dispatch in sent:
        with suppress(KeyProblem):  # its attempt will say so
            tools.concealer(dispatch)  # of each answer the same is kept, whichever comes first
    began_ms, began = tools.clock.now_ms(), tools.clock.monotonic()
    tasks: list[asyncio.Task[AttemptResult]] = []
    heard = 0
    try:
        for _, dispatch in sent:
            tasks.append(asyncio.create_task(perform(tools, dispatch)))
        for (draft, _), task in zip(sent, tasks, strict=True):
            await asyncio.wait([task])
            heard += 1
            row.obey(draft, task.result())
            if row.veto is not None:
                break
    finally:
        try:
            await let_go(tasks)
        finally:
            ms = round((tools.clock.monotonic() - began) * 1000)
            for (draft, dispatch), task in zip(sent[heard:], tasks[heard:], strict=False):
                if answered(task):
                    note(row, draft, task.result())
                elif row.veto is not None:
                    draft.detail, draft.ms = Reason("cut_off"), ms
                    draft.attempts.append(unanswered(dispatch, began_ms, "interrupted", draft.detail, ms))
    for task in tasks[heard:]:
        if not task.cancelled():
            task.result()  # a fault of ours is nobody's answer


def answered(task: asyncio.Task[AttemptResult]) -> bool:
    return not task.cancelled() and task.exception() is None


async def let_go(tasks: Iterable[asyncio.Task[AttemptResult]]) -> None:
    """Cancel what still runs and wait until it has let go, however often who waits is cancelled meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    for task in tasks:
        task.cancel()
    while running := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def note(row: Row, draft: DeliveryDraft, result: AttemptResult) -> None:
    """Record an answer that decides nothing: a hook before this one refused, or the caller waits no more."""
    veto, warnings = row.veto, list(row.warnings)
    row.obey(draft, result)
    row.veto, row.warnings = veto, warnings


def leave_out(row: Row, drafts: Sequence[DeliveryDraft], sent: set[int]) -> None:
    """What stands behind the refusal and was not asked is left out, as it would be one after another."""
    assert row.veto is not None
    refused = False
    for draft in drafts:
        if refused and draft.seq not in sent and not idle(row, draft.hook):
            row.drafts[draft.seq - 1] = DeliveryDraft(draft.hook, draft.seq, skipped="after_veto", shadow=draft.shadow)
        refused = refused or draft.hook.id == row.veto.hook.id
