"""Sign-in by an identity provider in a real Chromium; the provider is a process of its own."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from uuid_utils import uuid7

from bakeoff.accounts.models import Membership
from tests.support.browser import Visit
from tests.support.oidc_process import FORGE, provider_process


@pytest.fixture(scope="module")
def provider():
    with provider_process() as provider:
        yield provider


@pytest.fixture
def visit(chromium, lane):
    visit = Visit(chromium, lane)
    errors = []  # of our own pages: the provider's wants a style sheet of another host
    visit.page.on(
        "console",
        lambda message: (
            message.type == "error"
            and urlsplit(message.location["url"]).netloc == visit.origin
            and errors.append(message.text)
        ),
    )
    yield visit
    visit.close()
    assert errors == []


def describe(provider, **claims: object) -> str:
    """Somebody whom the provider knows; return the name."""
    name = f"ann-{str(uuid7())[-12:]}"
    provider.describe(f"id-{name}", **({"preferred_username": name} | claims))
    return name


def go_to_provider(visit, provider, address: str = "/sign-in/"):
    """Open the sign-in page and follow its link to the provider's own page."""
    visit.page.goto(address)
    visit.page.get_by_role("link", name="Sign in with your organization").click()
    visit.page.get_by_role("heading", name="Authorize Client").wait_for()
    assert visit.page.url.startswith(f"{provider.issuer}/")
    return visit.page


def come_in(visit, provider, name: str, address: str = "/sign-in/"):
    """Sign in as a person does, at the provider's form."""
    page = go_to_provider(visit, provider, address)
    page.get_by_placeholder("sub").fill(f"id-{name}")
    page.get_by_role("button", name="Authorize").click()
    page.wait_for_url(f"http://{visit.origin}/**")
    return page


def check_refused(visit, sentence: str) -> None:
    """The sign-in page shows the sentence, and nobody is signed in."""
    assert urlsplit(visit.page.url).path == "/sign-in/"
    assert sentence in visit.page.inner_text("main")
    visit.page.goto("/account/")
    assert urlsplit(visit.page.url).path == "/sign-in/"


def test_a_person_signs_in_with_the_role_of_a_group_and_out_again(visit, provider, shop, settings):
    settings.OIDC = provider.settings(f"data={shop.project}:analyst", f"all={shop.project}:viewer")
    name = describe(provider, groups=["all", "data"])
    team = f"/p/{shop.project.slug}/team/"
    page = come_in(visit, provider, name, team)
    assert urlsplit(page.url).path == team  # the page that was wanted before the sign-in
    assert name in page.inner_text("main")
    assert Membership.objects.get(user__username=name).role == "analyst"
    page.goto(f"/p/{shop.project.slug}/experiments/")
    assert page.get_by_role("link", name="New experiment").count() == 1  # an analyst's

    page.get_by_role("button", name=f"Sign out ({name})").click()
    page.goto(team)
    assert urlsplit(page.url).path == "/sign-in/"
    # Who has left a group has its role no longer.
    provider.describe(f"id-{name}", preferred_username=name, groups=["all"])
    come_in(visit, provider, name)
    assert Membership.objects.get(user__username=name).role == "viewer"


def test_who_has_no_group_of_ours_reads_why(visit, provider, shop, settings):
    settings.OIDC = provider.settings(f"board={shop.project}:admin")
    name = describe(provider, groups=["data"])
    come_in(visit, provider, name)
    check_refused(visit, "None of your groups has a role here")
    assert not User.objects.filter(username=name).exists()


def test_who_is_denied_at_the_provider_reads_so(visit, provider, settings):
    settings.OIDC = provider.settings()
    page = go_to_provider(visit, provider)
    page.get_by_role("button", name="Deny").click()
    page.wait_for_url("**/sign-in/")
    # This provider forgets the state, so its words are not believed.
    check_refused(visit, "This sign-in is out of date. Start again.")


def test_a_key_that_is_not_published_lets_nobody_in(visit, shop, settings):
    with provider_process(FORGE) as forger:
        settings.OIDC = forger.settings(f"data={shop.project}:admin")
        name = describe(forger, groups=["data"])
        come_in(visit, forger, name)
        check_refused(visit, "signed with a key that it does not publish")
    assert not User.objects.filter(username=name).exists()


def test_a_provider_that_has_ended_is_a_sentence(visit, settings):
    with provider_process() as away:
        settings.OIDC = away.settings(client_id=str(uuid7()))
    visit.page.goto("/sign-in/")
    visit.page.get_by_role("link", name="Sign in with your organization").click()
    check_refused(visit, "The identity provider does not answer")


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)"]
)
def test_it_leads_to_no_other_site(visit, provider, shop, settings, target):
    settings.OIDC = provider.settings(f"data={shop.project}:viewer")
    name = describe(provider, groups=["data"])
    page = come_in(visit, provider, name, f"/sign-in/?next={target}")
    assert page.url == f"http://{visit.origin}/"
    assert page.get_by_role("button", name=f"Sign out ({name})").count() == 1
    assert not any("evil" in urlsplit(address).netloc for address in visit.elsewhere)
