"""Fuzzing: whatever is given, a function answers or refuses in a declared way; never another exception.

    FUZZ = {"a url": (URLS, lambda url: Hook(name="h", event="a", url=url)), …}

    @pytest.mark.parametrize("count", EXAMPLES)
    @pytest.mark.parametrize("name", FUZZ)
    def test_only_declared_refusals(name: str, count: int) -> None:
        fuzz(*FUZZ[name], count=count)

`make check` tries the same examples each time; `make torture` many more, others at each run, and prints what brings a
failure back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hookrow.errors import HookrowError

__all__ = ["EXAMPLES", "JSON", "WILD", "fuzz", "pieces"]

CHECK, TORTURE = 50, 5_000
EXAMPLES = [pytest.param(CHECK, id="check"), pytest.param(TORTURE, id="torture", marks=pytest.mark.torture)]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
WILD = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.binary(max_size=8),
        st.datetimes(),
        st.dates(),
        st.decimals(),
        st.uuids(),
        st.complex_numbers(),
        st.integers(3000, 5000).map(lambda digits: 10**digits),
        st.just("\ud800"),
        st.builds(object),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.frozensets(st.integers(), max_size=2),
        st.dictionaries(st.one_of(st.text(max_size=8), st.integers(), st.none()), inner, max_size=4),
    ),
    max_leaves=12,
)
"""Anything that Python holds, JSON or not."""


def pieces(*parts: str, more: str = "", size: int = 12) -> st.SearchStrategy[str]:
    """Texts made of these parts, of the letters of `more`, and of whatever else there is."""
    part = st.one_of(st.sampled_from([*parts, *more]), st.text(max_size=3))
    return st.lists(part, max_size=size).map("".join)


def fuzz(
    given_by: st.SearchStrategy[Any],
    target: Callable[[Any], object],
    *,
    count: int,
    refusals: tuple[type[BaseException], ...] = (HookrowError,),
) -> None:
    """Call `target` with `count` examples; only `refusals` may come out."""
    unhurried = [HealthCheck.too_slow, HealthCheck.data_too_large]

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=count < TORTURE,
        database=None,
        print_blob=True,
        suppress_health_check=unhurried,
    )
    @given(given_by)
    def run(value: Any) -> None:
        try:
            target(value)
        except refusals as refused:
            if not str(refused):
                raise AssertionError("a refusal without a sentence") from refused

    run()
