"""Accounts: Django under `gunicorn --preload`. The event of a registration goes with the registration's own commit."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from hookrow.contrib.django import engine, fire
from hookrow.wsgi import HookMiddleware

__all__ = ["application"]

place = urlsplit(os.environ["SHOP_DB"])
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": place.path[1:],
            "HOST": place.hostname,
            "PORT": place.port,
            "USER": place.username,
            "CONN_HEALTH_CHECKS": True,
            "CONN_MAX_AGE": 60,
            "DISABLE_SERVER_SIDE_CURSORS": True,
        }
    },
    INSTALLED_APPS=["hookrow.contrib.django"],
    MIDDLEWARE=["hookrow.contrib.django.middleware.ProblemMiddleware"],
    HOOKROW={"DATABASE": "default", "WORKER": False},
    ROOT_URLCONF=__name__,
    SECRET_KEY="only-for-tests",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
)
django.setup()


@csrf_exempt
@require_POST
def register(request: HttpRequest) -> JsonResponse:
    """A row of ours and the event, or neither."""
    login = json.loads(request.body)["user"]["login"]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO customers (login) VALUES (%s) RETURNING id", [login])
            user = {"id": cursor.fetchone()[0], "login": login}
        fire("after_registration", {"user": user})
    return JsonResponse({"user": user}, status=201)


@csrf_exempt
@require_POST
def new(request: HttpRequest) -> JsonResponse:
    """The middleware has asked; it may have changed the body."""
    return JsonResponse({"user": json.loads(request.body)["user"]}, status=201)


urlpatterns: list[Any] = [path("organization/user/new", register), path("user/new", new)]
application = HookMiddleware(get_wsgi_application(), engine(), bind={"after_registration": []})
