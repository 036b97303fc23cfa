"""The app as `INSTALLED_APPS` knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookrow.contrib.django.installed import configured

if TYPE_CHECKING:
    AppConfig = object  # Django has no types of its own
else:
    from django.apps import AppConfig

__all__ = ["HookrowConfig"]


class HookrowConfig(AppConfig):
    """Looks at the settings as the project starts. No engine is made: the autoreloader starts it twice."""

    name = "hookrow.contrib.django"
    label = "hookrow"
    verbose_name = "Hookrow"

    def ready(self) -> None:
        configured()
