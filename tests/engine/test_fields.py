"""The document's fields: labels, what each accepts, and the rules over several of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow import Hook, lang
from hookrow.errors import InvalidHook
from hookrow.hook import fields
from hookrow.hook.fields import FIELD, FIELDS, clean, clean_change
from hookrow.secrets.secret import Secret
from hookrow.store.database.tables import HOOKS

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
HERE = fields.Here(NOW, MOSCOW)
BASE = {"name": "Stock", "url": "https://stock.example/hold", "event": "before_order_add"}

DOCUMENT = [
    "Наименование",
    "Адрес",
    "Событие",
    "Порядок применения",
    "Таймаут ожидания",
    "С",
    "по",
    "Активно",
    "Блок без ответа",
    "Ожидание ответа",
    "Ответ содержит данные",
    "Тело",
    "URL адрес базовой аутентификации и логин",
    "URL адрес базовой аутентификации и пароль",
    "Пользовательский заголовок URL",
]


def faults(cleaned: fields.Cleaned) -> set[str]:
    """The fields that are at fault."""
    return {problem.field for problem in cleaned.problems}


def test_the_table_has_each_field_as_the_model_has_it() -> None:
    """They are named in both: as many characters, the same default. A place and secrets are the engine's to fill in."""
    for code in FIELD:
        column, given = HOOKS.c[code], Hook.model_fields[code]
        longest = [each.max_length for each in given.metadata if hasattr(each, "max_length")]
        assert longest in ([], [getattr(column.type, "length", None)]), code
        if code not in (*fields.SECRETS, "position", "name", "url", "event"):
            assert given.default == getattr(column.default, "arg", None), code


def test_labels_are_the_documents_letter_for_letter_in_its_order() -> None:
    """The Russian labels are those of the document, in its order, and ours come after them."""
    assert [field.label.ru for field in FIELDS][: len(DOCUMENT)] == DOCUMENT
    assert {field.group for field in FIELDS[len(DOCUMENT) :]} == {"beyond"}
    assert fields.PAGE_TITLE.ru == "Настройка веб-хуков"
    assert fields.SAVE_AND_CLOSE.ru == "Записать и закрыть"
    groups = ["Основные параметры", "Период действия", "Признаки", "Тело", "Дополнительные параметры"]
    assert [title.ru for title in fields.GROUPS.values()][:5] == groups


def test_every_field_explains_itself_in_both_languages() -> None:
    """Each field has a label and a hint in Russian and English, without the document's colon."""
    for field in FIELDS:
        assert all([field.label.en, field.label.ru, field.hint.en, field.hint.ru])
        assert field.hint.en != field.hint.ru
        assert not field.label.ru.endswith(":")
        assert field.group in fields.GROUPS


def test_new_hook_has_the_documents_defaults() -> None:
    """A new hook is active with «Блок без ответа» on, the other two flags off, and a timeout of 5 s."""
    values = clean(BASE, new=True).values
    assert (values["active"], values["fire_and_forget"]) == (True, True)
    assert (values["wait_for_response"], values["response_has_data"]) == (False, False)
    assert (values["timeout"], values["position"], values["on_failure"]) == (5.0, None, "continue")
    assert values["fallback_message"] == ""
    assert set(values) == {*FIELD, fields.HEADER_VALUE}


def test_all_faults_are_named_at_once() -> None:
    """Every field at fault has exactly one sentence, and nothing else is in the list."""
    given_values = {"name": "x" * 300, "url": "ftp://h/", "event": "Before", "position": "abc", "timeout": -5}
    cleaned = clean(given_values, new=True)
    assert faults(cleaned) == set(given_values)
    assert len(cleaned.problems) == len(given_values)


def test_required_fields_must_be_there() -> None:
    """A hook without name, URL and event names all three."""
    assert faults(clean({}, new=True)) == {"name", "url", "event"}
    assert faults(clean({"name": " \u200b"})) == {"name"}
    assert not clean({"timeout": 3}).problems


@pytest.mark.parametrize(
    "value", ["0", "-1", "abc", "1e9", "0.05", "٣", "30.1", "nan", 0, -1, float("nan"), True, [], "0,05"]
)
def test_timeout_out_of_range_names_the_range(value: object) -> None:
    """What is no number of seconds from 0.1 to 30 is refused with the range in words."""
    (problem,) = clean({"timeout": value}).problems
    assert "0.1" in str(problem.text)
    assert "30" in str(problem.text)


@pytest.mark.parametrize(
    ("value", "seconds"), [("0,5", 0.5), ("0.1", 0.1), (" 30 ", 30.0), ("", 5.0), (None, 5.0), (3, 3.0)]
)
def test_timeout_reads_commas_and_empty(value: object, seconds: float) -> None:
    """A comma is as good as a point; empty is the default."""
    assert clean({"timeout": value}).values["timeout"] == seconds


@pytest.mark.parametrize(("value", "number"), [("0", 0), ("9999", 9999), (10, 10), (" 7 ", 7), ("", None)])
def test_position_accepted(value: object, number: int | None) -> None:
    """Whole numbers from 0 to 9999; empty leaves the place to the store."""
    assert clean({"position": value}).values["position"] == number


@pytest.mark.parametrize("value", ["-1", "10000", "1.5", "٣", "1 0", 1.0, True, -1, 10_000, "9" * 30])
def test_position_refused(value: object) -> None:
    """Anything else is refused."""
    assert faults(clean({"position": value})) == {"position"}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("да", True),
        ("Нет", False),
        ("yes", True),
        ("no", False),
        ("TRUE", True),
        ("off", False),
        ("1", True),
        ("0", False),
    ],
)
def test_flags_read_words_of_both_languages(word: str, value: bool) -> None:
    """Yes and no in Russian, English and digits."""
    assert FIELD["active"].parse(word) is value


@pytest.mark.parametrize("around", [" {} \n", "\u00a0{}\u00a0", "\u200b{}\u200b", "\ufeff{}", "\t\u200b {} \ufeff\n"])
def test_url_is_trimmed_of_what_a_paste_brings(around: str) -> None:
    """White space, also the unseen kinds, is taken from both ends of a URL."""
    assert clean({"url": around.format("https://127.0.0.1:9/x")}).values["url"] == "https://127.0.0.1:9/x"


@pytest.mark.parametrize(
    "url",
    [
        "wss://https://http://u:p",
        "http://https://h/",
        "http:///x",
        "ftp://h/",
        "http://h:99999/",
        "http://h:0/",
        "http://h:/",
        "http://h:abc/",
        "javascript:1",
        "//h/x",
        "http://[::1",
        "http://[1:2]/",
        "http:h",
        "h/x",
        "http://h/a b",
        "http://h/a\u200bb",
        "http://h/\x00",
        "http://a..b/",
        "http://h\\@evil/",
        "http://ex%41mple/",
        "https://h/" + "x" * 2000,
        "http://" + "a" * 64 + "/",
        "http://h/\ud800",
    ],
)
def test_nonsense_is_no_url(url: str) -> None:
    """A URL that could go nowhere, or elsewhere than it seems, is refused when it is saved."""
    assert faults(clean({"url": url})) == {"url"}


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("HTTPS://Stock.Example/Hold", "https://Stock.Example/Hold"),
        ("http://[::1]:8920/x?q=1", "http://[::1]:8920/x?q=1"),
        ("https://магазин.рф/хук", "https://магазин.рф/хук"),
        ("http://my_host.:80", "http://my_host.:80"),
    ],
)
def test_url_is_kept_as_it_was_written(url: str, kept: str) -> None:
    """A good URL keeps its words; only the scheme is put in small letters."""
    assert clean({"url": url}).values["url"] == kept


def test_credentials_move_out_of_the_url() -> None:
    """Login and password in a URL move, decoded, to their fields, and the change is said without them."""
    cleaned = clean({**BASE, "url": "https://us%20er:S3c%3Aret@h:8/x?a=b"}, new=True)
    assert cleaned.values["url"] == "https://h:8/x?a=b"
    assert (cleaned.values["auth_login"], cleaned.values["auth_password"]) == ("us er", Secret("S3c:ret"))
    assert "S3c" not in " ".join(map(str, cleaned.notes)) + repr(cleaned)
    assert cleaned.notes


@pytest.mark.parametrize(
    "more",
    [{"auth_login": "b2b"}, {"auth_password": "x"}, {"auth_password": Secret.kept()}],
    ids=["login", "password", "sealed"],
)
def test_credentials_in_two_places_are_refused(more: dict[str, object]) -> None:
    """A URL with credentials is refused where the fields hold some already, also kept ones."""
    assert faults(clean({**BASE, **more, "url": "https://u:p@h/"}, new=True)) == {"url"}
    assert faults(clean_change({**BASE, **more}, {"url": "https://u:p@h/"})) == {"url"}


@pytest.mark.parametrize("url", ["https://a%3Ab:p@h/", "https://%ff:p@h/", "https://u:p%0a@h/"])
def test_credentials_that_basic_auth_cannot_carry_are_refused_in_the_url_too(url: str) -> None:
    """A colon in the login, a line break or bytes that are no UTF-8 are refused, naming the URL and no secret."""
    cleaned = clean({"url": url})
    assert faults(cleaned) == {"url"}


def test_login_without_colon_password_with_any() -> None:
    """RFC 7617: a colon is refused in the login and fine in the password."""
    assert faults(clean({"auth_login": "a:b", "auth_password": "c"})) == {"auth_login"}
    assert clean({"auth_login": "a", "auth_password": "b:c "}).values["auth_password"] == Secret("b:c ")
    assert faults(clean({"auth_password": "a\nb"})) == {"auth_password"}


def test_one_half_of_the_credentials_is_said() -> None:
    """Only a login, or only a password, is kept and remarked upon; neither is neither."""
    assert len(clean({**BASE, "auth_login": "b2b"}, new=True).notes) == 1
    assert len(clean({**BASE, "auth_password": "x"}, new=True).notes) == 1
    assert not clean({**BASE, "auth_login": "", "auth_password": ""}, new=True).notes


@pytest.mark.parametrize(
    "header",
    [
        "X-A: a\r\nX-Evil: 1",
        "X-A: a\n",
        "\n",
        "X-A: \x00",
        "X A: v",
        ": v",
        "X-A: v ",
        "X-A : v",
        "X-A",
        "X-A:",
        "X-A: привет",
        "Имя: v",
        " X-A: v",
        "X-A: \x7f",
        "X-A: " + "v" * 4000,
        *(
            f"{name}: x"
            for name in ("Host", "Content-Length", "content-type", "Transfer-Encoding", "Connection", "Cookie")
        ),
        *(
            f"{name}: x"
            for name in ("webhook-id", "Webhook-Foo", "hook-event", "Accept-Encoding", "TE", "Upgrade", "Expect")
        ),
    ],
)
def test_header_that_cannot_be_sent_is_refused_at_once(header: str) -> None:
    """What would break, inject into or contradict the request is refused when it is saved."""
    assert faults(clean({"custom_header": header})) == ({"custom_header"} if header.strip() else set())


def test_header_is_split_into_name_and_sealed_value() -> None:
    """`Name: value` keeps the name readable and hands the value on to be sealed."""
    values = clean({"custom_header": "X-Source:shop"}).values
    assert values == {"custom_header": "X-Source", "custom_header_value": Secret("shop")}
    assert clean({"custom_header": ""}).values == {"custom_header": "", "custom_header_value": None}


def test_header_name_and_value_may_come_apart() -> None:
    """A name with a value of its own, readable or kept, is checked as one header."""
    sealed = Secret.kept()
    assert clean({"custom_header": "X-A", "custom_header_value": sealed}).values["custom_header_value"] is sealed
    assert faults(clean({"custom_header": "X-A", "custom_header_value": Secret("a\nb")})) == {"custom_header"}
    assert faults(clean({"custom_header": "X-A"})) == {"custom_header"}
    assert faults(clean({"custom_header_value": "secret"})) == {"custom_header"}
    current = {"custom_header": "X-A", "custom_header_value": Secret.kept()}
    assert clean_change(current, {"custom_header": "X-B"}).values == {"custom_header": "X-B"}
    assert clean_change(current, {"custom_header_value": "new"}).values["custom_header_value"] == Secret("new")


def test_a_header_that_is_no_text_is_refused_like_any_other() -> None:
    """Also one that Python does not even write down."""
    for value in (5, ["X-A: b"], 10**5000):
        with pytest.raises(InvalidHook) as refused:
            Hook(**BASE, custom_header=value)
        assert [each.field for each in refused.value.problems] == ["custom_header"]


def test_authorization_has_one_source() -> None:
    """A custom Authorization beside a login is refused, whichever of the two is written last."""
    header = {"custom_header": "authorization: Bearer t"}
    assert faults(clean({**BASE, **header, "auth_login": "b2b"}, new=True)) == {"custom_header"}
    assert not clean({**BASE, **header}, new=True).problems
    kept = {**BASE, "custom_header": "Authorization", "custom_header_value": Secret.kept()}
    assert faults(clean_change(kept, {"auth_login": "b2b", "auth_password": "x"})) == {"auth_login"}
    assert not clean_change(kept, {"name": "other"}).problems


def test_secrets_pass_through_untouched() -> None:
    """A kept secret stays the very object; a readable one is checked and stays it too."""
    kept, new = Secret.kept(), Secret("whsec_" + "A" * 32)
    values = clean({"auth_password": kept, "signing_secret": new}).values
    assert values["auth_password"] is kept
    assert values["signing_secret"] is new
    assert faults(clean({"auth_password": Secret("a\nb")})) == {"auth_password"}
    assert not clean({**BASE, "auth_login": "", "auth_password": Secret("")}, new=True).notes


@pytest.mark.parametrize(
    "secret", ["abc", "whsec_", "whsec_AAAA", "whsec_" + "A" * 33, "whsec_" + "ж" * 32, "whsec_" + "A" * 200]
)
def test_signing_secret_has_its_form(secret: str) -> None:
    """A signing secret is whsec_ and the base64 of 24 to 64 bytes."""
    assert faults(clean({"signing_secret": secret})) == {"signing_secret"}


@pytest.mark.parametrize(
    ("code", "good", "bad"),
    [
        ("key", ["a", "9-a", "a" * 64, ""], ["A", "-a", "a_b", "ключ", "a" * 65, "a b"]),
        ("event", ["a", "order.sent_2"], ["", "1a", "A", "a-b", "a" * 65]),
        ("condition", ["", "x" * 1000], ["x" * 1001, "a\nb"]),
        ("on_failure", ["continue", "stop", ""], ["ignore", "Stop"]),
        ("fallback_message", ["", "Позже"], ["x" * 301, "a\x1bb"]),
        ("order_key", ["", "/order/id", "/a~1b/~0", "/"], ["order", "/a~2", "/a~"]),
        ("name", ["⚙️ Заказ 👨‍👩‍👧", "x" * 120], ["", "x" * 121, "a\nb", "\x07", 5]),
        ("body", ["", '{"a": {{ order }}}\n\t'], ["\x00", "x" * 65_537, "\x1b", b"x"]),
    ],
)
def test_rules_of_the_other_fields(code: str, good: list[object], bad: list[object]) -> None:
    """Each field accepts what docs/reference/fields.md allows and nothing beside it."""
    for value in good:
        assert not clean({code: value}).problems, value
    for value in bad:
        assert faults(clean({code: value})) == {code}, value


def test_unknown_fields_are_refused() -> None:
    """A misspelt field is a fault, not silently dropped."""
    assert faults(clean({**BASE, "tiemout": 3}, new=True)) == {"tiemout"}


def test_flags_that_contradict_each_other_are_refused_where_one_person_writes_both() -> None:
    """`fire_and_forget` together with another flag is refused at once, and kept where it was stored so."""
    both = {**BASE, "fire_and_forget": True, "wait_for_response": True}
    assert faults(clean(both, new=True)) == {"fire_and_forget"}
    stored = clean(both, new=True, stored=True)
    assert not stored.problems
    assert stored.values["fire_and_forget"] is stored.values["wait_for_response"] is True
    assert faults(clean_change(BASE, {"fire_and_forget": "yes", "response_has_data": "yes"})) == {"fire_and_forget"}


@pytest.mark.parametrize("flag", ["wait_for_response", "response_has_data"])
def test_turning_another_flag_on_turns_fire_and_forget_off_and_says_so(flag: str) -> None:
    """Naming only the other flag means it, both in a new hook and in a change."""
    new = clean({**BASE, flag: True}, new=True)
    assert (new.values["fire_and_forget"], new.values[flag], len(new.notes)) == (False, True, 1)
    changed = clean_change({**BASE, "fire_and_forget": True, flag: False}, {flag: True})
    assert (changed.values, len(changed.notes)) == ({flag: True, "fire_and_forget": False}, 1)


def test_a_flag_that_is_named_has_an_effect_where_it_was_on_already() -> None:
    """On a row whose flags contradict each other: «saved» would say that something had changed."""
    kept = {**BASE, "fire_and_forget": True, "wait_for_response": True}
    changed = clean_change(kept, {"wait_for_response": True})
    assert (changed.values, len(changed.notes)) == ({"wait_for_response": True, "fire_and_forget": False}, 1)


def test_fire_and_forget_over_an_older_flag_is_no_contradiction() -> None:
    """Turning «Блок без ответа» on over a waiting hook keeps the row's other flag, as the document lets it."""
    assert not clean_change({**BASE, "wait_for_response": True}, {"fire_and_forget": True}).problems
    kept = {**BASE, "fire_and_forget": True, "wait_for_response": True}
    assert clean_change(kept, {"name": "other"}).values == {"name": "other"}
    assert clean_change(kept, {"response_has_data": True}, stored=True).values == {"response_has_data": True}


def test_period_must_not_end_before_it_begins() -> None:
    """Both ends are compared, also when only one of them changes; an unrelated change is not blamed."""
    early, late = NOW, NOW + timedelta(days=1)
    assert faults(clean({"valid_from": late, "valid_until": early})) == {"valid_until"}
    assert faults(clean({"valid_from": late, "valid_until": late})) == {"valid_until"}
    assert faults(clean_change({"valid_until": early}, {"valid_from": late})) == {"valid_from"}
    assert not clean_change({"valid_from": late, "valid_until": early}, {"name": "x"}).problems
    assert not clean({"valid_from": early, "valid_until": late}).problems


def test_moments_are_kept_in_utc_and_never_naive() -> None:
    """Aware datetimes and texts with an offset become UTC; a naive one is refused."""
    assert (
        clean({"valid_from": datetime(2026, 1, 1, tzinfo=MOSCOW)}).values["valid_from"].isoformat()
        == "2025-12-31T21:00:00+00:00"
    )
    assert clean({"valid_from": "2026-01-01T00:00:00+03:00"}).values["valid_from"] == datetime(
        2025, 12, 31, 21, tzinfo=UTC
    )
    assert clean({"valid_until": "01.11.2026"}, here=HERE).values["valid_until"] == datetime(
        2026, 11, 1, 21, tzinfo=UTC
    )
    for naive in (datetime(2026, 1, 1), "2026-01-01T00:00:00", "01.11.2026", 5):  # noqa: DTZ001
        assert faults(clean({"valid_from": naive})) == {"valid_from"}


def test_parse_raises_one_sentence_for_its_field() -> None:
    """What a person typed wrongly is an InvalidHook that names the field."""
    with pytest.raises(InvalidHook, match="timeout: Seconds") as raised:
        FIELD["timeout"].parse("abc")
    assert raised.value.problems[0].field == "timeout"


@pytest.mark.parametrize("language", ["ru", "en"])
@given(
    seconds=st.integers(100, 30_000),
    position=st.integers(0, 9999),
    flag=st.booleans(),
    at=st.datetimes(datetime.fromisoformat("1991-01-01"), datetime.fromisoformat("2089-12-31"), timezones=st.just(UTC)),
)
def test_what_is_shown_reads_back(
    language: lang.Language, seconds: int, position: int, flag: bool, at: datetime
) -> None:
    """The text that the form shows for a value is read as the same value, in both languages."""
    before = lang.current()
    lang.use(language)
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)  # as it is kept
    try:
        values = {
            "timeout": seconds / 1000,
            "position": position,
            "active": flag,
            "valid_from": at,
            "valid_until": at,
            "name": "Скидки",
            "on_failure": "stop",
        }
        for code, value in values.items():
            assert FIELD[code].parse(FIELD[code].show(value, MOSCOW), HERE) == value
    finally:
        lang.use(before)


def test_secrets_are_never_shown() -> None:
    """The form's text of a secret is empty, of the custom header only its name."""
    assert FIELD["auth_password"].show("S3cret", MOSCOW) == ""
    assert FIELD["signing_secret"].show("whsec_x", MOSCOW) == ""
    assert FIELD["custom_header"].show("X-Source: S3cret", MOSCOW) == "X-Source"


@given(
    st.dictionaries(
        st.sampled_from([*FIELD, fields.HEADER_VALUE, "other"]),
        st.one_of(
            st.text(),
            st.none(),
            st.integers(),
            st.floats(),
            st.booleans(),
            st.binary(),
            st.lists(st.text()),
            st.datetimes(),
        ),
    )
)
def test_cleaning_never_raises_and_never_blames_twice(values: dict[str, object]) -> None:
    """Whatever is given, the answer is values and at most one sentence a field."""
    for cleaned in (clean(values), clean(values, new=True, here=HERE), clean_change(BASE, values)):
        blamed = [problem.field for problem in cleaned.problems]
        assert len(blamed) == len(set(blamed))
        assert all(str(problem.text) for problem in cleaned.problems)


@given(st.dictionaries(st.sampled_from([*FIELD]), st.one_of(st.text(max_size=20), st.booleans(), st.integers(0, 40))))
def test_cleaning_twice_changes_nothing(values: dict[str, object]) -> None:
    """What was accepted is accepted again, as the same values and without a word."""
    once = clean(values, stored=True)
    if once.problems:
        return
    again = clean(once.values, stored=True)
    assert again.problems == []
    assert again.values == once.values
