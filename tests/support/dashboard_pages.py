"""The addresses of the dashboard's pages, and the size of a phone."""

from __future__ import annotations

PHONE = {"width": 390, "height": 844}
# A page's name for people, and its address with places for what a project has.
PAGES = [
    ("sign-in", "/sign-in/"),
    ("home", "/"),
    ("experiments", "/p/{p}/experiments/"),
    ("experiments-filtered", "/p/{p}/experiments/?state=running"),
    ("experiment-form", "/p/{p}/experiments/new/"),
    ("planner", "/p/{p}/plan/"),
    ("report", "/experiments/{p}/{done}/"),
    ("report-running", "/experiments/{p}/{running}/"),
    ("confirm", "/experiments/{p}/{running}/act/ship/"),
    ("metrics", "/p/{p}/metrics/"),
    ("metric", "/p/{p}/metrics/clicks/"),
    ("surfaces", "/p/{p}/surfaces/"),
    ("surface", "/p/{p}/surfaces/home-feed/"),
    ("surface-rules", "/p/{p}/surfaces/home-feed/rules/"),
    ("surface-list", "/p/{p}/surfaces/home-feed/list/"),
    ("autopilot", "/p/{p}/surfaces/home-feed/autopilot/"),
    ("autopilot-edit", "/p/{p}/surfaces/home-feed/autopilot/edit/"),
    ("models", "/p/{p}/models/"),
    ("runs", "/p/{p}/runs/"),
    ("runs-sorted", "/p/{p}/runs/?metric=ndcg&sort=longest"),
    ("version", "/p/{p}/models/{version}/"),
    ("run", "/runs/{run}/"),
    ("run-comparison", "/runs/{run}/compare/?with={other}"),
    ("units", "/p/{p}/units/?unit=u1"),
    ("events", "/p/{p}/events/"),
    ("feedback", "/p/{p}/feedback/"),
    ("themes", "/p/{p}/feedback/themes/"),
    ("surveys", "/p/{p}/feedback/surveys/"),
    ("usage", "/p/{p}/usage/"),
    ("team", "/p/{p}/team/"),
    ("account", "/account/"),
    ("health", "/health/"),
    ("demo", "/demo/"),
]
# Beside those of the list: what a seeded project has more.
SEEDED_PAGES = [
    ("report-halted", "/experiments/{p}/{halted}/"),
    ("report-draft", "/experiments/{p}/{draft}/"),
    ("draft-edit", "/experiments/{p}/{draft}/edit/"),
    ("impact", "/p/{p}/impact/"),
    ("programme", "/p/{p}/programme/"),
    ("alerts", "/p/{p}/alerts/"),
    ("policy", "/p/{p}/surfaces/offers/policy/"),
    ("generations", "/p/{p}/surfaces/support/generations/"),
    ("generation", "/p/{p}/generations/{slate}/"),
    ("generate-surface", "/p/{p}/surfaces/support/"),
    ("playground", "/p/{p}/surfaces/support/playground/"),
    ("prompt-search", "/p/{p}/surfaces/support/prompt-search/"),
    ("train", "/p/{p}/surfaces/home-feed/train/parameters/?algorithm=two-tower"),
    ("surface-history", "/p/{p}/surfaces/home-feed/history/"),
    ("surface-edit", "/p/{p}/surfaces/home-feed/edit/"),
    ("metric-edit", "/p/{p}/metrics/clicks/edit/"),
    ("metric-act", "/p/{p}/metrics/clicks/act/restore/"),
    ("surface-act", "/p/{p}/surfaces/home-feed/act/restore/"),
    ("survey-answers", "/p/{p}/feedback/surveys/why/"),
    ("unit", "/p/{p}/units/?unit=control-1"),
    ("search", "/p/{p}/search/?q=home"),
    ("version-act", "/p/{p}/models/{version}/shadow/"),
    ("version-trained", "/p/{p}/models/{trained}/"),
]
# Pages of people who are not signed in: how they are reached, tests know.
STRANGERS = {"sign-in", "forgot-password", "second-factor", "reset-password", "invited", "shared"}
# Addresses that change something and answer with a redirect, or give a file.
NO_PAGES = {
    "autopilot-switch", "autopilot-ramp", "autopilot-queue", "autopilot-proposal",
    "view-save", "view-change", "view-delete", "comment-delete", "variant-picture", "variant-picture-delete", "share", "revoke-share", "feedback-survey-switch", "download", "impact-download", "usage-download", "label-noise-download", "surface-train", "surface-rules-serve", "team-make-key", "team-change-key",
    "team-revoke-key", "team-set-member", "alerts-change", "alerts-switch", "alerts-rotate", "alerts-test",
    "alerts-resend", "alerts-resend-all", "surface-judging", "version-check", "alerts-delete", "cancel-run", "sign-out", "single-sign-on", "single-sign-on-back", "invited", "reset-password", "team-reset-link", "second-factor", "account-second-factor", "account-second-factor-begin", "account-second-factor-off", "account-recovery-codes", "account-passkey-add", "account-passkey-options", "account-passkey-remove", "passkey-sign-in", "passkey-sign-in-options", "team-remove-second-factor", "team-end-sessions", "account-session-end", "account-sessions-end", "team-invite", "team-renew-invitation", "team-revoke-invitation", "team-audit", "sdk", "sdk-file", "sdk-version", "sample-picture", "set_language",
}  # fmt: skip
# Answers to a form that was refused, and parts of pages: what has them is in the lists above.
ANSWERS = {
    "alerts-subscribe",
    "comment",
    "comment-edit",
    "experiments-plan",
    "variant-picture-add",
}


def names_of(patterns, found=()) -> set[str]:
    """Return the names of all addresses below."""
    names = set(found)
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            names |= names_of(pattern.url_patterns)
        else:
            names.add(pattern.name)
    return names
