"""«Why»: the hooks of an event with what each would do now, on the last recorded payload, and what it did last time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, ClassVar

from hookrow.errors import InvalidInput
from hookrow.hook.together import PREFIX
from hookrow.records import LogFilter
from hookrow_tui.actions import Group, bindings
from hookrow_tui.presenters.changes import when
from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.presenters.reasons import Reason, act_sentence, lines_of
from hookrow_tui.presenters.styled import Line
from hookrow_tui.widgets.dialogs import ask
from hookrow_tui.widgets.list_page import ListPage
from hookrow_tui.widgets.listing import Listing
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import ConditionMatches, Hook, HookEngine

__all__ = ["Plan", "WhyScreen", "read_plan"]

NAME = 24
YES, NO = Say("Yes"), Say("No")
AT_ONCE = Say(
    "Neighbouring gates of the same position are asked at the same time: the operation waits only for the slowest."
)
BEHIND = Say(
    "Gates behind a refusal are asked too, unlike one after another: their receivers may act. The first refusal in the "
    "chain decides; what runs behind it is cut off."
)
STRICT = Say("Each gate is asked after the one before it has answered; hooks behind a refusal are not asked.")
TOGETHER = Say("gates together")
WHY, HOOK, IF_NOW = Say("Why"), Say("Hook"), Say("If it happened now")


@dataclass(frozen=True, slots=True)
class Plan:
    """An event's hooks in their order; when the payload was recorded that they are judged on, None for the sample;
    whether its gates are asked together."""

    reasons: list[Reason]
    recorded_ms: int | None
    together: bool = False


def read_plan(engine: HookEngine, event: str) -> Plan:
    """What every hook of the event would do now; nothing is sent."""
    newest = engine.log.page(LogFilter(event=event), limit=1)
    payload = newest[0].payload if newest else None
    hooks = {hook.id: hook for hook in engine.hooks.list(event)}
    moment = next((each.moment for each in engine.events.list() if each.code == event), "before")
    hidden = newest[0].hidden if newest else ()
    reasons = []
    for step in engine.explain(event, payload):
        hook = hooks.get(step.hook.id)
        if hook is not None:
            last = engine.log.page(LogFilter(hook=hook.id), limit=1)
            verdict = judge_condition(engine, event, hook.condition)
            reasons.append(Reason(hook, step, verdict, last[0] if last else None, moment, hidden))
    return Plan(reasons, newest[0].at_ms if newest else None, event in engine.settings.together())


def judge_condition(engine: HookEngine, event: str, condition: str) -> ConditionMatches | None:
    """How a condition fares; None where there is none, or where the plan itself says what is wrong with it."""
    try:
        return engine.condition_matches(event, condition) if condition else None
    except InvalidInput:
        return None


class PlanLines(Listing[Reason]):
    """The event's hooks, one a line: order, name, what it would do."""

    def ident(self, row: Reason) -> object:
        return row.hook.id

    def line(self, row: Reason) -> tuple[str, str]:
        text = f" {row.hook.position:>4}  {fit(steady(row.hook.name), NAME)}  {act_sentence(row)}"
        kind = {"fail": "bad", "call": "", "queue": ""}.get(row.step.act, "quiet")
        return fit(text, self.size.width), kind


class WhyScreen(ListPage[None]):
    """The plan of a hook's event, with the cursor on that hook."""

    GROUPS: ClassVar[tuple[Group, ...]] = ("why",)
    BINDINGS: ClassVar[list[Any]] = [*bindings("why")]
    DEFAULT_CSS = "WhyScreen #lower { height: 60%; }"

    def __init__(self, hook: Hook, *, zone: tzinfo) -> None:
        super().__init__(PlanLines(), zone=zone)
        self.hook = hook
        self.reading = False
        self.together = False

    def columns(self) -> str:
        return f"    №  {fit(str(HOOK), NAME)}  {IF_NOW}"

    def heading(self) -> str:
        return f"{WHY} › {steady(self.hook.event)}"

    def about(self, row: Reason) -> Iterable[Line]:
        return lines_of(row, self.zone)

    def read(self, *, background: bool = False) -> None:
        if not self.reading:
            self.reading = True
            event = self.hook.event
            self.hookrow.ask(
                self, lambda engine: read_plan(engine, event), self.take, self.refused, background=background
            )

    def take(self, plan: Plan) -> None:
        self.reading = False
        moment = plan.recorded_ms
        data = (
            Say("on the event's sample")
            if moment is None
            else Say("on the data of {when}", when=when(moment, self.zone))
        )
        self.together = plan.together
        self.entitle(" · ".join(map(str, [TOGETHER, data] if plan.together else [data])))
        first = not self.listing.rows
        if first or plan.reasons != self.listing.rows:
            self.listing.show(plan.reasons, self.hook.id if first else None)

    def refused(self, error: Exception) -> None:
        self.reading = False
        self.notice(str(error))

    # What can be done

    @property
    def chosen(self) -> Hook | None:
        """The hook under the cursor."""
        row = self.listing.row
        return None if row is None else row.hook

    def action_open(self) -> None:
        from hookrow_tui.form.screen import FormScreen

        if self.chosen is not None:
            self.app.push_screen(FormScreen(self.chosen, zone=self.zone), lambda _: self.read())

    def action_together(self) -> None:
        """Ask the event's gates together, or one after another again; what that means is said first."""
        if not self.hookrow.writable():
            return
        event, on = self.hook.event, not self.together

        def switch() -> None:
            name, value = f"{PREFIX}{event}", "on" if on else "off"
            self.hookrow.ask(self, lambda engine: engine.settings.set(name, value), lambda _: self.read())

        if not on:
            ask(self, Say("Ask gates one after another?"), [STRICT], [("no", NO, None), ("yes", YES, switch)])
        else:
            title = Say("Ask gates of one position together?")
            ask(self, title, [AT_ONCE, BEHIND], [("no", NO, None), ("yes", YES, switch)])

    def action_log(self) -> None:
        from hookrow_tui.log.screen import LogScreen

        if self.chosen is not None:
            self.app.push_screen(LogScreen(hook=self.chosen))
