"""Certificates for receivers: an authority of the test's own, good and bad certificates under it."""

from __future__ import annotations

import datetime
import ssl

import trustme

__all__ = ["Authority"]


class Authority:
    """A certificate authority; `trust` makes a client believe it, `server` gives a receiver's TLS context."""

    def __init__(self) -> None:
        self.ca = trustme.CA()

    def trust(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Make `context` (a client's) trust this authority."""
        self.ca.configure_trust(context)
        return context

    def server(self, *names: str, days: tuple[int, int] = (-1, 30)) -> ssl.SSLContext:
        """A server's context for these names, valid from `days[0]` to `days[1]` counted from now."""
        now = datetime.datetime.now(datetime.UTC)
        first, last = (now + datetime.timedelta(days=day) for day in days)
        certificate = self.ca.issue_cert(*(names or ("127.0.0.1", "localhost")), not_before=first, not_after=last)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context
