"""Addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, include, path

from bakeoff.dashboard.signing_in import SignIn
from bakeoff.dashboard.views import (
    alerts,
    autopilot,
    autopilot_acts,
    embed,
    experiments,
    health,
    home,
    impact,
    inspector,
    keys,
    metrics,
    models,
    report,
    review,
    runs,
    surfaces,
    team,
    units,
)

of_experiment = [
    path("", report.show_report, name="report"),
    path("report.<str:form>", report.download, name="download"),
    path("share/", report.share, name="share"),
    path("share/<int:share_id>/revoke/", report.revoke, name="revoke-share"),
    path("edit/", experiments.edit, name="edit"),
    path("act/<slug:verb>/", experiments.act, name="act"),
]
of_autopilot = [
    path("", autopilot.show_autopilot, name="autopilot"),
    path("switch/", autopilot_acts.switch, name="autopilot-switch"),
    path("ramp/<slug:verb>/", autopilot_acts.act_on_ramp, name="autopilot-ramp"),
    path("queue/<int:version_id>/<slug:verb>/", autopilot_acts.act_on_queue, name="autopilot-queue"),
    path("proposals/<int:proposal_id>/<slug:verb>/", autopilot_acts.decide, name="autopilot-proposal"),
]
of_project: list[URLPattern | URLResolver] = [
    path("experiments/", experiments.list_experiments, name="experiments"),
    path("experiments/new/", experiments.define, name="experiments-new"),
    path("experiments/plan/", experiments.preview_plan, name="experiments-plan"),
    path("impact/", impact.show_impact, name="impact"),
    path("impact.csv", impact.download_impact, name="impact-download"),
    path("metrics/", metrics.list_metrics, name="metrics"),
    path("surfaces/", surfaces.list_surfaces, name="surfaces"),
    path("surfaces/<slug:key>/", surfaces.show_surface, name="surface"),
    path("surfaces/<slug:key>/edit/", surfaces.edit_surface, name="surface-edit"),
    path("surfaces/<slug:key>/autopilot/", include(of_autopilot)),
    path("surfaces/<slug:key>/train/", runs.train, name="surface-train"),
    path("models/", models.list_models, name="models"),
    path("models/<int:version_id>/", models.show_version, name="version"),
    path("models/<int:version_id>/<slug:verb>/", models.act_on_version, name="version-act"),
    path("units/", units.show_unit, name="units"),
    path("events/", inspector.show_events, name="events"),
    path("feedback/", review.show_feedback, name="feedback"),
    path("alerts/", alerts.show_alerts, name="alerts"),
    path("alerts/subscribe/", alerts.subscribe, name="alerts-subscribe"),
    path("alerts/<int:subscription_id>/", alerts.change, name="alerts-change"),
    path("alerts/<int:subscription_id>/switch/", alerts.switch, name="alerts-switch"),
    path("alerts/<int:subscription_id>/rotate/", alerts.rotate, name="alerts-rotate"),
    path("alerts/<int:subscription_id>/test/", alerts.try_out, name="alerts-test"),
    path("alerts/<int:subscription_id>/resend/", alerts.resend_all, name="alerts-resend-all"),
    path("alerts/<int:subscription_id>/delete/", alerts.delete, name="alerts-delete"),
    path("alerts/deliveries/<int:delivery_id>/resend/", alerts.resend, name="alerts-resend"),
    path("team/", team.show_team, name="team"),
    path("team/keys/", keys.make_key, name="team-make-key"),
    path("team/keys/<int:key_id>/", keys.change_key, name="team-change-key"),
    path("team/keys/<int:key_id>/revoke/", keys.revoke_key, name="team-revoke-key"),
    path("team/members/", team.set_member, name="team-set-member"),
]
urlpatterns = [
    path("", home.show_home, name="home"),
    path("sign-in/", SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("language/", include("django.conf.urls.i18n")),
    path("experiments/<slug:slug>/<slug:key>/", include(of_experiment)),
    path("p/<slug:slug>/", include(of_project)),
    path("shared/<str:token>/", report.show_shared, name="shared"),
    path("runs/<int:run_id>/", runs.show_run, name="run"),
    path("runs/<int:run_id>/cancel/", runs.cancel_run, name="cancel-run"),
    path("health/", health.show_health, name="health"),
    path("demo/", embed.show_demo, name="demo"),
    path("sdk/v1.js", embed.show_sdk, name="sdk"),
]
