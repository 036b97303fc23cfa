"""Another address than a hook's own, to which a person sends (`--to`): its rules, and whether it is this machine's."""

from __future__ import annotations

from urllib.parse import urlsplit

from hookrow.errors import InvalidInput, Problem
from hookrow.hook.checks import Unfit, check_url, take_userinfo
from hookrow.hook.egress import is_loopback
from hookrow.lang import Text

__all__ = ["elsewhere", "stays_here"]


def elsewhere(to: str | None) -> str | None:
    """The other URL to send to, which keeps the rules of a hook's own.

    Raises:
        InvalidInput: no URL to send to, or one with credentials in it: here they have no fields to move to.
    """
    if to is None:
        return None
    try:
        url = check_url(to)
        if take_userinfo(url)[0] != url:
            raise Unfit(Text("The login and password in this URL would not be sent."))
    except Unfit as unfit:
        raise InvalidInput([Problem("to", unfit.text)]) from None
    return url


def stays_here(url: str) -> bool:
    """Whether requests to a checked URL stay on this machine."""
    return is_loopback(urlsplit(url).hostname or "")
