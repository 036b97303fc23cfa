"""The app as `INSTALLED_APPS` knows it."""

from __future__ import annotations

from django.apps import AppConfig

from hookrow.contrib.django.installed import configured

__all__ = ["HookrowConfig"]


class HookrowConfig(AppConfig):  # type: ignore[misc]
    """Looks at the settings as the project starts. No engine is made: the autoreloader starts it twice."""

    name = "hookrow.contrib.django"
    label = "hookrow"
    verbose_name = "Hookrow"

    def ready(self) -> None:
        configured()
