"""What `fire()` knows of whoever sends: the worker of this process, if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hookrow.core.drafts import DeliveryDraft, FiringContext
    from hookrow.store.outbox.writing import NewDelivery, Written

__all__ = ["Handover"]


class Handover(Protocol):
    """Where it `takes_over`, rows are born leased to this process; after the commit they are handed over in memory."""

    @property
    def takes_over(self) -> bool: ...

    def handed_over(
        self,
        context: FiringContext,
        drafts: Sequence[DeliveryDraft],
        deliveries: Sequence[NewDelivery],
        written: Written,
        *,
        whole: bool,
    ) -> None:
        """`whole`: nothing more is written of the firing."""

    def reset(self) -> None: ...
