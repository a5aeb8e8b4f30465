"""Paths at human speed; the hot ones are in gateway/app.py."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from bakeoff.api import api
from bakeoff.config_file.schema_view import show_schema
from bakeoff.help_site.view import show_help
from bakeoff.llms_txt import show_llms_txt

admin.autodiscover()
handler500 = "bakeoff.dashboard.failures.show_failure"

urlpatterns = [
    # One way in, which is slowed down for whoever guesses.
    path("admin/login/", RedirectView.as_view(pattern_name="sign-in", query_string=True)),
    path("admin/", admin.site.urls),
    path("v1/config.schema.json", show_schema),
    path("llms.txt", show_llms_txt),
    path("help", RedirectView.as_view(pattern_name="help")),
    path("help/", show_help, name="help"),
    path("help/<path:path>", show_help, name="help"),
    # Before the API, whose root answers the same address.
    path("", include("bakeoff.dashboard.urls")),
    path("", api.urls),
]
