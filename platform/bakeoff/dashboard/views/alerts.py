"""Subscriptions to alerts, and what became of each delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from bakeoff.alerts.models import Delivery, Subscription
from bakeoff.dashboard.access import ADMIN, OPERATOR, project_for
from bakeoff.dashboard.alert_forms import new_subscription_form, subscription_form
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.refusals import add_refusal, refused_page, show_refusal
from bakeoff.dashboard.saved_views import views_over
from bakeoff.delivery.edit_subscriptions import (
    SubscriptionChange,
    SubscriptionDraft,
    SubscriptionRuleError,
    change_subscription,
    create_subscription,
    delete_subscription,
    rotate_secret,
    send_test,
    shown_target,
)
from bakeoff.delivery.resend import ResendRefusedError, resend_dead, resend_delivery

if TYPE_CHECKING:
    from django.forms import Form
    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.models import Project

RECENT = 10
TEMPLATE = "dashboard/alerts.html"
WAITING, DEAD = Delivery.State.WAITING, Delivery.State.DEAD


@require_safe
@login_required
def show_alerts(request: HttpRequest, slug: str) -> HttpResponse:
    """Show subscriptions and deliveries; `?state=dead` shows dead letters alone."""
    return alerts_page(request, project_for(request, slug))


def alerts_page(request: HttpRequest, project: Project, **refused: Form) -> HttpResponse:
    """Return the page; a form that was refused takes the place of the empty one of its name.

    Args:
        request: for the page, or of a form on it.
        project: whose.
        refused: `new_subscription`, or `subscription_<id>`.
    """
    subscriptions = project.subscriptions.annotate(
        waiting=Count("deliveries", filter=Q(deliveries__state=WAITING)),
        dead=Count("deliveries", filter=Q(deliveries__state=DEAD)),
    )
    state = request.GET.get("state", "")
    deliveries = Delivery.objects.filter(alert__project=project)
    if state in Delivery.State.values:
        deliveries = deliveries.filter(state=state)
    context = {
        "project": project,
        "rows": [
            (one, shown_target(one), refused.get(f"subscription_{one.pk}") or subscription_form(one))
            for one in subscriptions
        ],
        "new_subscription": refused.get("new_subscription") or new_subscription_form(),
        "states": Delivery.State.values,
        "state": state,
        **views_over(request, project, "alerts"),
        "prefix": settings.SUB_PATH,
        "recent": project.alerts.all()[:RECENT],
        "page": page_of(request, deliveries.select_related("alert", "subscription")),
    }
    if refused:
        return refused_page(request, TEMPLATE, context, reverse("alerts", args=[project.slug]))
    return render(request, TEMPLATE, context)


@require_POST
@login_required
def subscribe(request: HttpRequest, slug: str) -> HttpResponse:
    """Create a subscription; a webhook's secret is shown once."""
    project = project_for(request, slug, ADMIN)
    form = new_subscription_form(request.POST)
    if not form.is_valid():
        return alerts_page(request, project, new_subscription=form)
    draft = SubscriptionDraft(**form.cleaned_data)
    try:
        subscription = create_subscription(project=project, draft=draft, by=str(request.user))
    except SubscriptionRuleError as error:
        add_refusal(form, error)
        return alerts_page(request, project, new_subscription=form)
    messages.success(request, _("Subscription created."))
    _show_secret(request, subscription)
    return redirect("alerts", slug)


@require_POST
@login_required
def change(request: HttpRequest, slug: str, subscription_id: int) -> HttpResponse:
    """Change name, target and events; an empty target stays, since a part of it may not be shown."""
    subscription = _find(request, slug, subscription_id, ADMIN)
    form = subscription_form(subscription, request.POST)
    if not form.is_valid():
        return alerts_page(request, subscription.project, **{f"subscription_{subscription.pk}": form})
    changed = SubscriptionChange(
        name=form.cleaned_data["name"],
        target=form.cleaned_data["target"] or None,
        events=form.cleaned_data["events"],
    )
    try:
        change_subscription(subscription=subscription, change=changed, by=str(request.user))
    except SubscriptionRuleError as error:
        add_refusal(form, error)
        return alerts_page(request, subscription.project, **{f"subscription_{subscription.pk}": form})
    messages.success(request, _("Saved."))
    return redirect("alerts", slug)


@require_POST
@login_required
def switch(request: HttpRequest, slug: str, subscription_id: int) -> HttpResponse:
    """Pause a subscription, or let it go on."""
    subscription = _find(request, slug, subscription_id, OPERATOR)
    enabled = request.POST.get("enabled") == "true"
    change_subscription(
        subscription=subscription, change=SubscriptionChange(enabled=enabled), by=str(request.user)
    )
    messages.success(request, _("Subscription resumed.") if enabled else _("Subscription paused."))
    return redirect("alerts", slug)


@require_POST
@login_required
def rotate(request: HttpRequest, slug: str, subscription_id: int) -> HttpResponse:
    """Give a webhook another secret, which is shown once."""
    subscription = _find(request, slug, subscription_id, ADMIN)
    try:
        rotated = rotate_secret(subscription=subscription, by=str(request.user))
    except SubscriptionRuleError as error:
        show_refusal(request, error)
        return redirect("alerts", slug)
    _show_secret(request, rotated)
    return redirect("alerts", slug)


@require_POST
@login_required
def delete(request: HttpRequest, slug: str, subscription_id: int) -> HttpResponse:
    """Delete a subscription with its deliveries."""
    subscription = _find(request, slug, subscription_id, ADMIN)
    delete_subscription(subscription=subscription, by=str(request.user))
    messages.success(request, _("Subscription deleted."))
    return redirect("alerts", slug)


@require_POST
@login_required
def try_out(request: HttpRequest, slug: str, subscription_id: int) -> HttpResponse:
    """Send a test alert to one subscription."""
    subscription = _find(request, slug, subscription_id, OPERATOR)
    try:
        send_test(subscription=subscription, by=str(request.user))
    except SubscriptionRuleError as error:
        show_refusal(request, error)
        return redirect("alerts", slug)
    messages.success(request, _("Test sent: its delivery is the first in the list below."))
    return redirect("alerts", slug)


@require_POST
@login_required
def resend(request: HttpRequest, slug: str, delivery_id: int) -> HttpResponse:
    """Send a delivery that ended again."""
    project = project_for(request, slug, OPERATOR)
    delivery = get_object_or_404(Delivery, pk=delivery_id, alert__project=project)
    try:
        resend_delivery(delivery=delivery, by=str(request.user))
    except ResendRefusedError as error:
        show_refusal(request, error)
        return redirect("alerts", slug)
    messages.success(request, _("It will be sent again in a moment."))
    return redirect("alerts", slug)


@require_POST
@login_required
def resend_all(request: HttpRequest, slug: str, subscription_id: int) -> HttpResponse:
    """Send all dead letters of a subscription again."""
    subscription = _find(request, slug, subscription_id, OPERATOR)
    count = resend_dead(subscription=subscription, by=str(request.user))
    messages.success(request, _("Alerts that will be sent again: %(count)s.") % {"count": count})
    return redirect("alerts", slug)


def _find(request: HttpRequest, slug: str, subscription_id: int, needed: str) -> Subscription:
    project = project_for(request, slug, needed)
    return get_object_or_404(
        Subscription.objects.select_related("project"), pk=subscription_id, project=project
    )


def _show_secret(request: HttpRequest, subscription: Subscription) -> None:
    if subscription.secret:
        messages.success(
            request,
            _("Copy the signing secret now, it is shown only once: %(secret)s")
            % {"secret": subscription.secret},
        )
