"""Addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import include, path

from bakeoff.dashboard.signing_in import SignIn
from bakeoff.dashboard.views import embed, experiments, home, keys, people, registry, report

of_experiment = [
    path("", report.show_report, name="report"),
    path("report.<str:form>", report.download, name="download"),
    path("share/", report.share, name="share"),
    path("share/<int:share_id>/revoke/", report.revoke, name="revoke-share"),
    path("edit/", experiments.edit, name="edit"),
    path("act/<slug:verb>/", experiments.act, name="act"),
]
of_project = [
    path("experiments/", experiments.list_experiments, name="experiments"),
    path("experiments/new/", experiments.define, name="experiments-new"),
    path("experiments/plan/", experiments.preview_plan, name="experiments-plan"),
    path("metrics/", registry.list_metrics, name="metrics"),
    path("surfaces/", registry.list_surfaces, name="surfaces"),
    path("surfaces/<slug:key>/", registry.show_surface, name="surface"),
    path("surfaces/<slug:key>/edit/", registry.edit_surface, name="surface-edit"),
    path("surfaces/<slug:key>/train/", registry.train, name="surface-train"),
    path("models/", registry.list_models, name="models"),
    path("models/<int:version_id>/", registry.show_version, name="version"),
    path("models/<int:version_id>/<slug:verb>/", registry.act_on_version, name="version-act"),
    path("units/", people.show_unit, name="units"),
    path("events/", people.show_events, name="events"),
    path("feedback/", people.show_feedback, name="feedback"),
    path("team/", people.show_team, name="team"),
    path("team/keys/", keys.make_key, name="team-make-key"),
    path("team/keys/<int:key_id>/", keys.change_key, name="team-change-key"),
    path("team/keys/<int:key_id>/revoke/", keys.revoke_key, name="team-revoke-key"),
    path("team/members/", people.set_member, name="team-set-member"),
]
urlpatterns = [
    path("", home.show_home, name="home"),
    path("sign-in/", SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("language/", include("django.conf.urls.i18n")),
    path("experiments/<slug:project>/<slug:key>/", include(of_experiment)),
    path("p/<slug:project>/", include(of_project)),
    path("shared/<str:token>/", report.show_shared, name="shared"),
    path("runs/<int:run_id>/", registry.show_run, name="run"),
    path("runs/<int:run_id>/cancel/", registry.cancel_run, name="cancel-run"),
    path("health/", people.show_health, name="health"),
    path("demo/", embed.show_demo, name="demo"),
    path("sdk/v1.js", embed.show_sdk, name="sdk"),
]
