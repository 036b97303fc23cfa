"""What a view's `fire()` raised, as the client is told: for the setting `MIDDLEWARE`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import JsonResponse

from hookrow.errors import IdempotencyConflict, Vetoed
from hookrow.middleware.problem import PROBLEM, refusal

__all__ = ["ProblemMiddleware"]


class ProblemMiddleware:
    """Answers with problem details (RFC 9457) where a view lets a veto or a conflict through; sync and async."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        return self.get_response(request)

    def process_exception(self, request: Any, exception: Exception) -> Any:
        """The response; None where it is somebody else's exception."""
        if not isinstance(exception, Vetoed | IdempotencyConflict):
            return None
        found = refusal(exception)
        return JsonResponse(found, status=found["status"], content_type=PROBLEM)
