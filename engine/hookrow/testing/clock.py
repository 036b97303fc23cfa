"""Time that a test moves."""

from __future__ import annotations

from datetime import datetime

from hookrow.clock import SystemClock, from_ms, to_ms

__all__ = ["ManualClock"]


class ManualClock:
    """Stands still until `forward`. It is what the engine goes by: periods, retries, leases, idempotency keys.

    How long a request may take is not its matter: receivers are real, and so are their seconds.
    """

    def __init__(self, at: datetime | None = None) -> None:
        """Stand at an aware datetime; None = now, so that receivers that check a signature's age accept it.

        Raises:
            ValueError: the datetime is naive.
        """
        self.wall: int = SystemClock().now_ms() if at is None else to_ms(at)
        self.run: float = 0.0

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return self.wall

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self.run

    @property
    def now(self) -> datetime:
        """The moment, aware, in UTC."""
        return from_ms(self.wall)

    def forward(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.wall += round(seconds * 1000)
        self.run += seconds
