"""The code words that people read and type: outcomes, errors, skip reasons, states and modes, in one dictionary.

The English word is the code word. Whatever is shown can be typed into a filter, in either language; so can the words
that earlier versions showed. docs/reference/outcomes.md lists them with their meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from hookrow.lang import Plural, Text, current

__all__ = [
    "ACTIONS",
    "CANDIDATE",
    "COMPARED",
    "DIFFERS",
    "ERRORS",
    "HEARD",
    "MODES",
    "OUTCOMES",
    "PROBLEM",
    "REASONS",
    "SHADOW",
    "SIGNS",
    "SKIPS",
    "STATES",
    "WOULD",
    "DeliveryOutcome",
    "FiringOutcome",
    "HookState",
    "Listing",
    "Role",
    "Sign",
    "Word",
    "begins_word",
    "firing_word",
    "outcome_code",
    "read_word",
    "taken_over",
    "time_told",
    "word",
    "would_told",
]

FiringOutcome = Literal["allowed", "vetoed", "failed", "cancelled"]
DeliveryOutcome = Literal[
    "ok",
    "changed",
    "vetoed",
    "refused",
    "failed",
    "sent",
    "queued",
    "retrying",
    "parked",
    "dead",
    "cancelled",
    "skipped",
]
HookState = Literal["on", "off", "not_yet_valid", "expired", "paused"]
Role = Literal["good", "veto", "bad", "wait", "quiet"]
"""What a colour says; each face has its own colours for them."""
Sign = Literal["ok", "changed", "veto", "bad", "wait", "parked", "quiet"]
SIGNS: Mapping[Sign, str] = {
    "ok": "✓",
    "changed": "±",
    "veto": "⊘",
    "bad": "✗",
    "wait": "→",
    "parked": "‖",
    "quiet": "·",
}


class Word:
    """A code word as `str()` shows it in the language in use.

    Args:
        code: the word of the API, which is also the English one.
        ru: the Russian one.
        old: other words for it that filters take.
        brief: the Russian and English word where there is room for seven characters only.
    """

    __slots__ = ("brief", "code", "old", "role", "ru", "sign")

    def __init__(
        self,
        code: str,
        ru: str,
        sign: Sign = "quiet",
        role: Role = "quiet",
        *,
        old: tuple[str, ...] = (),
        brief: tuple[str, str] | None = None,
    ) -> None:
        self.code: Final = code
        self.ru: Final = ru
        self.sign: Final = sign
        self.role: Final = role
        self.old: Final = old
        self.brief: Final = brief or (ru, code)

    def __str__(self) -> str:
        return self.ru if current() == "ru" else self.code

    def __repr__(self) -> str:
        return f"Word({self.code!r})"

    @property
    def short(self) -> str:
        """The word in at most seven characters, of a state."""
        return self.brief[0 if current() == "ru" else 1]

    @property
    def typed(self) -> tuple[str, ...]:
        """Everything that means it where it is typed."""
        return self.code, self.ru, *self.brief, *self.old


class Listing:
    """Words one after another, in the language in use when it is shown."""

    __slots__ = ("words",)

    def __init__(self, words: Iterable[Word]) -> None:
        self.words: Final = tuple(words)

    def __str__(self) -> str:
        return ", ".join(map(str, self.words))


def dictionary(*words: Word) -> Mapping[str, Word]:
    return {each.code: each for each in words}


OUTCOMES = dictionary(
    Word("running", "выполняется", old=("идёт",)),
    Word("allowed", "разрешено", "ok", "good"),
    Word("vetoed", "отклонено", "veto", "veto", old=("отказ",)),
    Word("failed", "ошибка", "bad", "bad", old=("сбой", "error")),
    Word("cancelled", "отменено"),
    Word("ok", "принято", "ok", "good", old=("успех", "готово", "accepted", "done")),
    Word(
        *("changed", "данные изменены", "changed", "good"),
        old=("изменил", "изменено", "изменил данные", "changed data", "changed the data"),
    ),
    Word(
        *("refused", "возражение", "veto", "veto"),
        old=("возразил", "отказ записан", "objected", "refusal noted"),
    ),
    Word("sent", "отправлено", "ok", "good"),
    Word("queued", "в очереди", "wait", "wait", old=("очередь",)),
    Word(
        *("retrying", "ждёт попытки", "wait", "bad"),
        old=("попытка", "повторяется", "будет повторено", "will be repeated"),
    ),
    Word("parked", "отложено", "parked", "wait", old=("отложен", "held back")),
    Word("dead", "не доставлено", "bad", "bad", old=("сдались", "мёртвая", "given up")),
    Word("skipped", "пропущено", old=("пропущен",)),
)
"""What came of firings and deliveries."""
REFUSED_BY_FAILURE = Word("failed", "отклонено, ошибка", "bad", "bad")
ALLOWED_FAILED = Word("allowed, failed", "разрешено, ошибка", "bad", "bad", old=("allowed, with an error",))
"""Of a firing whose hook failed. The outcome `failed` finds both, the second by that hook's delivery."""

LOOP = Word("loop", "хуки ходят по кругу", old=("hooks go round in a circle",))
ERRORS = dictionary(
    Word("timeout", "таймаут"),
    Word("connect_error", "нет соединения", old=("no connection",)),
    Word("tls_error", "ошибка TLS", old=("сбой TLS", "TLS failed")),
    Word("name_error", "имя не найдено", old=("имя узла не найдено", "name not found", "host name not found")),
    Word("blocked_address", "адрес запрещён", old=("адрес не разрешён", "address forbidden", "address not allowed")),
    Word("bad_status", "код ответа не 2xx", old=("плохой статус",)),
    Word("redirect", "перенаправление"),
    Word("reply_too_large", "слишком большой ответ", old=("ответ слишком велик", "ответ велик")),
    Word("bad_reply", "ответ не разобран", old=("ответ не понят", "плохой ответ", "reply not understood")),
    Word(
        *("template_error", "ошибка в шаблоне тела"),
        old=("ошибка в теле", "body template failed", "fault in the body"),
    ),
    Word("condition_error", "ошибка в условии", old=("condition failed", "fault in the condition")),
    Word("deadline", "не хватило времени", old=("нет времени", "no time left")),
    Word("paused", "хук на паузе", old=("хук приостановлен", "hook paused", "hook is paused")),
    Word("interrupted", "прервано"),
    Word("damaged", "запись испорчена"),
    Word("local_error", "ошибка на этой машине", old=("ошибка на нашей стороне",)),
    Word("unseen_body", "тело не видно хукам", old=("hooks can't see the call's body",)),
    LOOP,
    Word("key_error", "секрет не расшифрован", old=("секрет не открывается", "secret can't be opened")),
)
"""Why a delivery failed."""

SKIPS = dictionary(
    Word("inactive", "хук выключен", old=("выключен", "switched off", "left out: off")),
    Word(
        *("not_yet_valid", "период не начался"),
        old=("период ещё не начался", "ещё не срок", "period has not begun", "left out: too early"),
    ),
    Word("expired", "период истёк", old=("период закончился", "срок истёк", "period is over", "left out: expired")),
    Word(
        *("condition_false", "условие ложно"),
        old=("условие не выполнено", "пропущен по условию", "condition not met", "left out by condition"),
    ),
    Word(
        *("after_veto", "операция уже отклонена"),
        old=("стоит после отказа", "пропущен после отказа", "stands after a veto", "left out after a veto"),
    ),
    Word(
        *("not_enqueued", "не встало в очередь"),
        old=("не поставлено в очередь", "не передан в очередь", "never enqueued", "was never enqueued"),
    ),
    LOOP,
    Word("hook_deleted", "хук удалён", old=("hook removed",)),
    Word("restored", "взято из копии"),
    Word("no_candidate", "кандидата больше нет"),
)
"""Why a delivery was not to be sent."""
REASONS: Mapping[str, Word] = {**SKIPS, **ERRORS}

HEARD = ("ok", "sent", "changed", "vetoed", "refused")
"""Outcomes of a delivery whose receiver is known to have it."""

PROBLEM = Word("problem", "проблема", old=("problems", "проблемы", "trouble", "сбои", "failures"))
"""What a filter by outcome takes for anything that failed or waits for another attempt, in one word."""

DIFFERS = Word("differs", "расходится", old=("differ", "расходятся"))
"""What a filter by outcome takes for firings in which a candidate would have decided otherwise than its hook."""

STATES = dictionary(
    Word("off", "выключен", role="quiet", brief=("выкл", "off")),
    Word("expired", "истёк", role="wait"),
    Word("not_yet_valid", "ещё не действует", role="quiet", brief=("ещё нет", "not yet"), old=("not yet valid",)),
    Word("paused", "на паузе", role="wait", brief=("пауза", "paused"), old=("приостановлен",)),
    Word("on", "включён", role="good", brief=("вкл", "on")),
)
"""How a hook stands."""

ACTIONS: Mapping[str, Text] = {
    "add": Text("created"),
    "edit": Text("changed"),
    "move": Text("moved"),
    "remove": Text("deleted"),
    "restore": Text("restored"),
    "pause": Text("paused"),
    "resume": Text("resumed"),
    "secret": Text("new signing secret"),
    "rollback": Text("rolled back"),
    "import": Text("imported"),
    "prune": Text("deleted by an import"),
    "undo": Text("undone"),
    "keys": Text("encrypted with a new key"),
    "abandon": Text("secrets of a lost key removed"),
    "try": Text("candidate tried"),
    "promote": Text("promoted"),
    "drop_candidate": Text("candidate dropped"),
}
"""What was done to a hook, as its revisions have it."""

MODES = dictionary(
    Word("forget", "без ответа"),
    Word("notify", "уведомление"),
    Word("record", "запись ответа"),
    Word("gate", "разрешение"),
    Word("transform", "разрешение и правка"),
)


def word(words: Mapping[str, Word], code: str | None) -> str:
    """The word for a code; a code that this version does not know stands for itself."""
    return "" if code is None else str(words.get(code, code))


def taken_over(times: int) -> Text:
    """Of a delivery that was in the hands of processes that ended."""
    return Plural(
        "A process ended while it had this delivery, {n} time; whether a request left is not known.",
        "A process ended while it had this delivery, {n} times; whether a request left is not known.",
        times,
    )


SHADOW = Word("shadow", "наблюдение", brief=("наблюд", "shadow"))
WOULD = dictionary(
    Word("allow", "пропустил бы", "ok", "quiet"),
    Word("change", "изменил бы", "changed", "quiet"),
    Word("veto", "отказал бы", "veto", "veto"),
    Word("fail", "не ответил бы", "bad", "bad"),
)
"""What the answer of a hook in shadow would have done."""


CANDIDATE = Word("candidate", "кандидат", brief=("кандид", "cand"))
COMPARED = dictionary(
    Word("same", "то же"),
    Word("decision", "другое решение", "bad", "wait"),
    Word("refusal", "другой отказ", "bad", "wait"),
    Word("data", "другие данные", "bad", "wait"),
)
"""Whether a candidate would have decided as its hook did, and if not, in what they differ."""


def would_told(would: str | None, *, candidate: bool = False, compared: str | None = None) -> str:
    """That a hook was in shadow, or asked as a candidate, and what its answer would have done, once that is known."""
    if candidate:
        return candidate_told(would, compared)
    if would is None:
        return str(SHADOW)
    return str(Text("shadow: would {what}", what=word(WOULD, would)))


def candidate_told(would: str | None, compared: str | None) -> str:
    """The same of a candidate, and whether its hook did otherwise."""
    said = str(CANDIDATE) if would is None else str(Text("candidate: would {what}", what=word(WOULD, would)))
    return said if compared in (None, "same") else f"{said} ({DIFFERS}: {word(COMPARED, compared)})"


def time_told(now: Mapping[str, object]) -> Text:
    """What `now` means to a body or a condition, as a line beside a plan or a replay."""
    return Text(
        "now.hour = {hour}, now.weekday = {weekday}, now.date = {date}",
        hour=now["hour"],
        weekday=now["weekday"],
        date=now["date"],
    )


def begins_word(known: Word, text: str) -> bool:
    """Whether what was typed is the beginning of a word that means this one."""
    return any(folded(each).startswith(folded(text)) for each in known.typed)


def firing_word(outcome: str | None, moment: str, *, failing: bool) -> Word:
    """What came of a firing: before the operation a failed hook lets it pass, or refuses it.

    Args:
        failing: one of its deliveries failed, or waits for another attempt.
    """
    if outcome == "failed" and moment == "before":
        return REFUSED_BY_FAILURE
    if outcome == "allowed" and failing:
        return ALLOWED_FAILED if moment == "before" else OUTCOMES["failed"]
    code = outcome or "running"
    return OUTCOMES.get(code) or Word(code, code)


def folded(text: str) -> str:
    """What a typed word is compared by: capitals, spaces, hyphens and «ё» make no difference."""
    return "".join(filter(str.isalnum, text.casefold().replace("ё", "е")))


def read_word(words: Mapping[str, Word], text: str) -> str | None:
    """The code of a word that was typed: the code itself, its word in either language, or an old one; else None."""
    typed = folded(text)
    if not typed:
        return None
    by_code = (code for code in words if folded(code) == typed)
    by_word = (code for code, each in words.items() if typed in map(folded, each.typed))
    return next(by_code, None) or next(by_word, None)


def outcome_code(text: str) -> str | None:
    """What a filter by outcome means by this word: a firing's or a delivery's outcome, or the reason for one."""
    found = read_word(OUTCOMES, text) or read_word(REASONS, text)
    if found is None and folded(text) in map(folded, (*REFUSED_BY_FAILURE.typed, *ALLOWED_FAILED.typed)):
        return "failed"
    if found is None and folded(text) in map(folded, PROBLEM.typed):
        return PROBLEM.code
    if found is None and folded(text) in map(folded, DIFFERS.typed):
        return DIFFERS.code
    return found
