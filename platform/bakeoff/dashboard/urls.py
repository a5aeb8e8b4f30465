"""Addresses of the pages."""

from django.urls import path

from bakeoff.dashboard import views

urlpatterns = [
    path("", views.show_home, name="home"),
    path("experiments/<slug:project>/<slug:key>/", views.show_report, name="report"),
    path("experiments/<slug:project>/<slug:key>/report.json", views.show_report_json),
    path("runs/<int:run_id>/", views.show_run, name="run"),
    path("runs/<int:run_id>/cancel/", views.cancel_run, name="cancel-run"),
    path("sdk/v1.js", views.show_sdk, name="sdk"),
    path("sample/<slug:project>/<slug:surface>/", views.show_sample, name="sample"),
]
