"""The five modes: what the three flags of a hook mean together."""

from __future__ import annotations

import pytest

from hookrow.hook import fields


@pytest.mark.parametrize("moment", ["before", "after", "on"])
@pytest.mark.parametrize("forget", [True, False])
@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("data", [True, False])
def test_mode_table(forget: bool, wait: bool, data: bool, moment: str) -> None:
    """The three flags make the five modes of docs/concepts.md, and each says what becomes of the operation."""
    if forget:
        expected = "forget"
    else:
        expected = {(0, 0): "notify", (0, 1): "record", (1, 0): "gate", (1, 1): "transform"}[wait, data]
    found = fields.mode(forget, wait, data)
    assert found == expected
    assert (found in fields.WAITING) == (wait and not forget)
    go_on, stop = (str(fields.mode_sentence(found, 0.5, policy, moment)) for policy in ("continue", "stop"))
    if found in fields.WAITING:
        assert "0.5 s" in go_on
        assert (go_on == stop) == (moment != "before")
        assert ("can't stop" in go_on) == (moment != "before")
    else:
        assert go_on == stop
        assert "background" in go_on
