"""Paths at human speed; the hot ones are in gateway/app.py."""

from django.contrib import admin
from django.urls import include, path

from bakeoff.api import api

urlpatterns = [
    path("admin/", admin.site.urls),
    # Before the API, whose root answers the same address.
    path("", include("bakeoff.dashboard.urls")),
    path("", api.urls),
]
