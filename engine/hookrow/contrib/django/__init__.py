"""Hookrow in a Django project: an engine by its settings, firings in its transactions, `manage.py hookrow`.

    INSTALLED_APPS = [..., "hookrow.contrib.django"]
    MIDDLEWARE = [..., "hookrow.contrib.django.middleware.ProblemMiddleware"]
    HOOKROW = {"DATABASE": "default"}

    from hookrow.contrib.django import fire

    with transaction.atomic():
        order.save()
        fire("after_order_add", {"order": {"id": order.pk}})

docs/services.md has the settings. Nothing here is made before it is needed: Django loads this module with the project.
"""

from __future__ import annotations

from hookrow.contrib.django.installed import close, engine, fire, using

__all__ = ["close", "engine", "fire", "using"]
