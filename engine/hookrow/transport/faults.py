"""What breaks an exchange, as a word of `hookrow.words` and in a sentence: of our own transport and of httpx's."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from collections.abc import Iterator

from hookrow.lang import Text
from hookrow.reasons.reason import Reason
from hookrow.transport.dialling import Blocked
from hookrow.transport.head import Broken
from hookrow.transport.progress import Phase, Progress
from hookrow.transport.reading import Unreadable

__all__ = ["fault", "faults", "too_late"]

OURS = (Broken, OSError, UnicodeError, Unreadable)

UNHEARD = {"time_ran_out", "no_connection", "name_unresolved", "no_tls", "certificate_untrusted"}
"""Reasons that by themselves say nothing of a request: it may have left, on an earlier connection or as TLS broke."""

SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, socket.EAI_MEMORY}
"""What our own machine has run out of: descriptors, memory, buffers, threads or local ports."""

WAITED_FOR: dict[Phase, Text] = {
    "start": Reason("phase_connect"),
    "name": Reason("phase_name"),
    "connect": Reason("phase_connect"),
    "tls": Reason("phase_tls"),
    "send": Reason("phase_send"),
    "wait": Reason("phase_wait"),
    "read": Reason("phase_read"),
}


def of_httpx(*names: str) -> tuple[type[BaseException], ...]:
    """Errors of httpx, which may be raised only where it is loaded: 7 MB that our own transport does without."""
    httpx = sys.modules.get("httpx")
    return () if httpx is None else tuple(getattr(httpx, name) for name in names)


def faults() -> tuple[type[BaseException], ...]:
    """All that a receiver, a resolver or a network can bring about. Anything else is a fault of ours and is raised."""
    return (*OURS, *of_httpx("HTTPError", "InvalidURL", "StreamError"))


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what lies beneath it."""
    seen: set[int] = set()
    below: BaseException | None = error
    while below is not None and id(below) not in seen:
        seen.add(id(below))
        yield below
        below = below.__cause__ or below.__context__


def too_late(progress: Progress, seconds: float) -> Text:
    """The total time ran out, and while what; once the request is out the receiver may have acted on it."""
    return Reason(
        "time_ran_out_sent" if progress.left else "time_ran_out_at",
        limit=f"{seconds:g}",
        what=WAITED_FOR[progress.phase],
        place=progress.place,
    )


def fault(error: BaseException, progress: Progress) -> tuple[str, Text]:
    """The word and the sentence for what was raised. No URL is named: its query may hold a token.

    Where the request had left and no answer is known of, the sentence says that the receiver may have acted.
    """
    word, told = cause_of(error, progress)
    if progress.left and isinstance(told, Reason) and told.code in UNHEARD:
        told = Reason("perhaps_acted", what=told)
    return word, told


def cause_of(error: BaseException, progress: Progress) -> tuple[str, Text]:
    causes = list(chain(error))
    place = progress.place
    for cause in causes:
        if isinstance(cause, Blocked):
            return "blocked_address", cause.reason
    short = shortage(causes)
    if short is not None and not progress.left:
        return "local_error", Reason("local_shortage", why=reason(short))
    if any(isinstance(each, socket.gaierror | UnicodeError) for each in causes):
        return "name_error", Reason("name_unresolved", host=progress.host or "?")
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            why = cause.verify_message
            return "tls_error", Reason("certificate_untrusted", place=place, why=why)
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return "tls_error", Reason("no_tls", place=place, why=reason(cause))
    if isinstance(error, of_httpx("TimeoutException")):
        return "timeout", Reason("time_ran_out", what=WAITED_FOR[progress.phase])
    if isinstance(error, Unreadable):
        return "bad_reply", error.text
    if isinstance(error, Broken):
        return "bad_reply", Reason("no_http", place=place, why=error.why)
    if is_nonsense(error):
        return "bad_reply", Reason("no_http", place=place, why=reason(error))
    if progress.phase == "tls":
        return "tls_error", Reason("no_tls", place=place, why=reason(causes[-1]))
    if progress.phase == "read":
        return "connect_error", Reason("answer_broken_off", place=place)
    if progress.sent or progress.phase in ("send", "wait"):
        return "connect_error", Reason("closed_without_answer", place=place)
    return "connect_error", Reason("no_connection", place=place, why=reason(causes[-1]))


def shortage(causes: list[BaseException]) -> OSError | None:
    """The error that says that this machine has run out of something, if one does. A resolver without a descriptor
    only says that it found no name."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in SHORTAGES:
            return cause
    if any(isinstance(each, socket.gaierror) for each in causes):
        try:
            socket.socket().close()
        except OSError as error:
            return error
    return None


def is_nonsense(error: BaseException) -> bool:
    """Whether an answer came, but not one of HTTP's; a connection that merely ended early is none of these."""
    if isinstance(error, of_httpx("DecodingError")):
        return True
    return isinstance(error, of_httpx("RemoteProtocolError")) and "disconnected" not in str(error).lower()


def reason(error: BaseException) -> str:
    """The reason in a few words, safe to show: printable, short, without addresses of memory or URLs."""
    if isinstance(error, OSError) and error.strerror:
        said = error.strerror
    else:
        said = str(error).split("\n")[0] or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in said)[:200]
