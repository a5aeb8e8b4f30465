"""Every page, in English and in Chinese: no phrase of the old dialect, and no English left in Chinese."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from bakeoff.accounts.models import Project
from bakeoff.dashboard.rows_in_form import EMPTY_ROWS
from bakeoff.dashboard.urls import urlpatterns
from experiments.models import Experiment, Metric, Slate, Variant
from inference.algorithms import CUSTOM, GENERATORS, RECOMMENDERS
from inference.classifiers import CLASSIFIERS
from inference.models import ModelVersion
from inference.policies import POLICIES
from inference.queues import QUEUES
from tests.support.dashboard_pages import NO_PAGES, names_of
from tests.support.ended_run import ended_run
from tests.support.form_reader import read_form
from tests.support.page_text import PageText
from tests.support.seeded_project import Seeded, seed_project
from tests.support.wording import find_banned

# Names of products, formats, methods and units: the same in every language.
ALLOWED = frozenset(
    [
        "Bakeoff",
        "API",
        "APIs",
        "JSON",
        "CSV",
        "XLSX",
        "PDF",
        "SDK",
        "SDKs",
        "URL",
        "ID",
        "IDs",
        "PSI",
        "KS",
        "IPS",
        "SNIPS",
        "NDCG",
        "CUPED",
        "CUPAC",
        "MRR",
        "SHA",
        "CI",
        "PostgreSQL",
        "GrowthBook",
        "Slack",
        "TOTP",
        "Webhook",
        "Welch",
        "LoRA",
        "AdaLoRA",
        "SimCSE",
        "TSDAE",
        "Mantel",
        "Haenszel",
        "XRANGE",
        "Web",
        "UTC",
        "ms",
        "kB",
        "MB",
        "GB",
        "pk",
        "sk",
        "slate",
        "click",
        "rating",
        "docs",
        "flags",
        "md",
        "delta",
        "curl",
        "country",
        "store",
        "in",
        "DE",
    ]
)
CLICK = {"event": "click"}
DEFINITIONS = (
    CLICK
    | {"kind": "proportion", "filters": [{"field": "properties.page", "op": "eq", "value": "home"}]},
    CLICK | {"kind": "retention", "delay_seconds": 86_400.0, "window_seconds": 86_400.0},
    {"kind": "funnel", "steps": ["click", "order"], "trusted_only": True},
    CLICK | {"kind": "quantile", "value": "max", "quantile": 0.9, "attributed_only": True},
    CLICK | {"kind": "ratio", "value": "sum", "denominator": "slate", "direction": "decrease"},
    CLICK | {"kind": "ratio", "value": "items", "denominator": "order", "cap": 20.0},
    CLICK | {"kind": "mean", "cap_quantile": 0.99, "lookback_seconds": 86_400.0},
    CLICK | {"kind": "mean", "lookback_seconds": 3600.0, "covariate": "prediction"},
)


@pytest.fixture(scope="module")
def seeded(shared_lane) -> Seeded:
    seeded = seed_project()
    Project.objects.filter(pk=seeded.shop.project.pk).update(is_sample=True)  # the overview says so
    shared_lane.refresh()
    return seeded


class Visit:
    """Reads pages in one language and collects what they show."""

    def __init__(self, seeded: Seeded, language: str) -> None:
        self._seeded, self._language = seeded, language
        self.pages: dict[str, PageText] = {}
        self.names: set[str] = set()

    def get(self, name: str, *args, client: Client | None = None, status: int = 200, query: str = ""):
        """Read a page by the name of its address."""
        self.names.add(name)
        address = reverse(name, args=args) + query
        answer = (client or self._seeded.client).get(
            address, headers={"accept-language": self._language}
        )
        self._keep(address, answer, status)

    def post(self, name: str, /, *args, status: int = 200, **fields):
        """Send a form; what answers is a page, after a redirect if there is one."""
        self.names.add(name)
        address = reverse(name, args=args)
        answer = self._seeded.client.post(
            address, fields, headers={"accept-language": self._language}, follow=True
        )
        self._keep(f"POST {address} {fields}", answer, status)

    def _keep(self, address: str, answer, status: int) -> None:
        assert answer.status_code == status, (address, answer.status_code)
        self.pages[address] = PageText(answer.content.decode())


def visit_every_page(seeded: Seeded, language: str) -> Visit:
    """Read all pages of the project, forms that are refused among them."""
    visit = Visit(seeded, language)
    visit.get("home")
    visit.get("sign-in", client=Client())
    visit.get("forgot-password", client=Client())
    visit.get("account")
    visit_experiments(visit, seeded)
    visit_acts(visit, seeded)
    visit_shared(visit, seeded)
    visit_registry(visit, seeded)
    visit.get("health")
    visit.get("demo")
    visit.get(
        "demo", query=f"?surface={seeded.slug}/{seeded.shop.surface.key}&key={seeded.shop.public}"
    )
    visit.get("report", seeded.slug, "missing", status=404)
    return visit


def visit_experiments(visit: Visit, seeded: Seeded) -> None:
    shop, slug = seeded.shop, seeded.slug
    visit.get("experiments", slug)
    visit.get("experiments", slug, query="?state=archived")
    visit.get("experiments-new", slug)
    visit_planner(visit, seeded)
    visit_comments(visit, seeded)
    visit.post("experiments-new", slug, status=422, planned_units="1")
    visit.post("experiments-plan", slug)
    for planned in ("10", "10000"):
        metric = {"surface": shop.surface.pk, "primary": shop.metric.pk}
        visit.post("experiments-plan", slug, **metric, planned_units=planned)
    for experiment in (seeded.draft, seeded.running, seeded.shipped, seeded.halted):
        visit.get("report", slug, experiment.key)
    for holdback in shop.surface.experiments.exclude(purpose="test"):
        visit.get("report", slug, holdback.key)
    visit.get("edit", slug, seeded.draft.key)


def visit_comments(visit: Visit, seeded: Seeded) -> None:
    """Comments of a member, of a key and of nobody any more, and texts that are refused."""
    slug, key = seeded.slug, seeded.running.key
    visit.get("report", slug, key)
    visit.post("variant-picture-add", slug, key, "control", status=422)
    visit.post("comment", slug, key, text="click")
    seeded.running.comments.create(text="click", key_name="hooks")
    seeded.running.comments.create(text="click")
    own = seeded.running.comments.exclude(author=None).get()
    visit.post("comment-edit", slug, key, own.pk, text="click click")
    visit.post("comment-edit", slug, key, own.pk, status=422, text="")
    visit.post("comment", slug, key, status=422, text="a" * 4001)
    # Of whom somebody speaks sees it on the first page.
    author = own.author
    mention = seeded.running.comments.create(text="click", key_name="hooks")
    mention.mentioned.set([author])
    own.delete()
    visit.get("home")


def visit_planner(visit: Visit, seeded: Seeded) -> None:
    visit.get("plan", seeded.slug)
    filled = f"surface={seeded.shop.surface.pk}&primary={seeded.shop.metric.pk}&rule=fixed"
    for rest in ("change=20&allocation=100", "change=0.1&allocation=20", "change=0&allocation=x"):
        visit.get("plan", seeded.slug, query=f"?{filled}&treatment_share=40&{rest}")
    # A plan, or why there is none: of lists, clusters and blocks of time.
    for mode in ("interleave&change=50", "interleave&change=1", "cluster", "cluster&cluster_by=store",
                 "switchback", "switchback&block_minutes=5&carry_over_minutes=1"):  # fmt: skip
        visit.get("plan", seeded.slug, query=f"?{filled}&allocation=100&change=5&mode={mode}")


def visit_training(visit: Visit, seeded: Seeded) -> None:
    """The parameters of each algorithm, and values that are refused."""
    slug = seeded.slug
    for key, algorithms in ((seeded.shop.surface.key, RECOMMENDERS), ("support", GENERATORS),
                            ("offers", POLICIES)):  # fmt: skip
        for name in {*algorithms} - {*CUSTOM}:
            visit.get("surface-train-params", slug, key, query=f"?algorithm={name}")
    wrong = {"algorithm": "two-tower", "param-width": "0", "param-rate": "0", "param-batch": "x"}
    visit.post("surface-train-params", slug, seeded.shop.surface.key, status=422, **wrong)


def visit_acts(visit: Visit, seeded: Seeded) -> None:
    slug = seeded.slug
    for experiment, verbs in (
        (seeded.draft, "start discard"),
        (seeded.running, "ship ramp turn-off turn-on stop rename"),
        (seeded.shipped, "learn archive restore"),
    ):
        for verb in verbs.split():
            visit.get("act", slug, experiment.key, verb)
    visit.post("act", slug, seeded.running.key, "ramp", status=409, allocation="")
    visit.post("act", slug, seeded.running.key, "ship", status=409)
    visit.post("act", slug, seeded.running.key, "start", status=409)
    visit.post("act", slug, seeded.shipped.key, "learn", learnings="")
    for name, key in (("surface-act", "home-feed"), ("metric-act", "clicks")):
        for verb in ("archive", "delete", "restore"):
            visit.get(name, slug, key, verb)
        visit.post(name, slug, key, "restore", status=409)
    visit.get("surfaces", slug, query="?archived")
    visit.get("metrics", slug, query="?archived")


def visit_registry(visit: Visit, seeded: Seeded) -> None:
    shop, slug = seeded.shop, seeded.slug
    for name in (
        "impact", "metrics", "surfaces", "models", "runs", "units", "events", "feedback",
        "feedback-themes", "feedback-surveys", "alerts", "usage", "team", "search",
    ):  # fmt: skip
        visit.get(name, slug)
    for words in (shop.surface.key, "nothing-like-it"):
        visit.get("search", slug, query=f"?q={words}")
    visit.get("alerts", slug, query="?state=dead")
    for kind, target in (
        ("webhook", "https://10.0.0.1/x"),
        ("webhook", "http://hooks.example"),
        ("slack", "hooks"),
        ("email", "ops@shop.example"),
    ):
        visit.post("alerts-subscribe", slug, status=422, name="new", kind=kind, target=target)
    taken = {"name": "ops", "kind": "webhook", "target": "https://hooks.example"}
    visit.post("alerts-subscribe", slug, status=422, **taken)
    visit.post("metrics", slug, status=422, key="two words", kind="mean")
    visit_metrics(visit, seeded)
    visit.get("feedback-survey-answers", slug, "why")
    visit.post("feedback-surveys", slug, status=422, key="two words", kind="choice")
    visit.post("surfaces", slug, status=422, key="two words", exploration="-1")
    for unit in ("control-1", "nobody"):
        visit.get("units", slug, query=f"?unit={unit}")
    visit.get("surface", slug, shop.surface.key)
    visit_generations(visit, seeded)
    visit.get("autopilot", slug, shop.surface.key)
    visit.get("autopilot-edit", slug, shop.surface.key)
    for key in ("offers", "new-offers"):
        visit.get("surface-policy", slug, key)
    visit.get("surface", slug, "offers")
    visit_refused_settings(visit, seeded)
    visit.get("surface-edit", slug, shop.surface.key)
    visit.get("surface-history", slug, shop.surface.key)
    visit.get("surface-history", slug, "new-offers")  # without any change
    visit_training(visit, seeded)
    visit_programme(visit, seeded)
    visit.get("surface-rules", slug, shop.surface.key)
    visit_lists(visit, seeded)
    visit.post("surface-rules", slug, shop.surface.key, status=422, rules="{", k="0")
    visit.post(
        "surface-rules", slug, shop.surface.key, status=422, rules='{"caps": 1}', k="5", save="1"
    )
    visit_versions(visit, seeded)


def visit_versions(visit: Visit, seeded: Seeded) -> None:
    for version in (seeded.shop.champion, seeded.run.version, seeded.refused):
        visit.get("version", seeded.slug, version.pk)
    for verb in ("promote", "shadow"):
        visit.get("version-act", seeded.slug, seeded.refused.pk, verb)
    visit.get("run", seeded.run.pk)
    other = ended_run(seeded.shop, 0.2, factors=8)
    visit.get("run-comparison", seeded.run.pk, query=f"?with={other.pk}")


def visit_programme(visit: Visit, seeded: Seeded) -> None:
    visit.get("runs", seeded.slug, query="?metric=ndcg&sort=highest")
    visit.get("programme", seeded.slug)
    visit.get("programme", seeded.slug, query="?month=2020-01")  # without any test


def visit_metrics(visit: Visit, seeded: Seeded) -> None:
    """Every rule of a definition in words, and labels that are refused."""
    slug, key = seeded.slug, seeded.shop.metric.key
    project = seeded.shop.project
    for number, fields in enumerate(DEFINITIONS):
        Metric.objects.get_or_create(project=project, key=f"click-{number}", defaults=fields)
        visit.get("metric", slug, f"click-{number}")
    visit.get("metric-edit", slug, key)
    visit.post("metric-edit", slug, key, status=422, direction="click", tags=",".join("abcdefghijkl"))
    visit.post("metric-edit", slug, key, status=422, event="click", tags="a" * 41)
    labels = {"description": "click", "owner": "ops", "tags": "ops"}
    visit.post("metric-edit", slug, key, event="click", value="count", direction="increase", **labels)
    visit.get("metrics", slug, query="?q=click&kind=mean&tag=ops")
    visit.get("metrics", slug, query="?q=nothing-like-it")


def visit_lists(visit: Visit, seeded: Seeded) -> None:
    slug, key = seeded.slug, seeded.shop.surface.key
    for name in ("popular", "latest", "search", "nothing"):
        visit.get("surface-list", slug, key, query=f"?list={name}")
    weights = {"word_weight": "0", "vector_weight": "0"}
    visit.post("surface-list", slug, key, status=422, list="search", **weights)
    visit.post("surface-list", slug, key, status=422, list="trending", half_life_hours="0")


def visit_generations(visit: Visit, seeded: Seeded) -> None:
    slug, key = seeded.slug, "support"
    surface = seeded.shop.project.surfaces.get(key=key)
    visit.get("surface", slug, key)
    visit.get("surface-edit", slug, key)
    visit.post("surface-edit", slug, key, status=422, generate='{"public": true}')
    visit.get("generations", slug, key)
    for slate in Slate.objects.filter(surface=surface):
        visit.get("generation", slug, slate.pk)
    first, second = surface.versions.order_by("number")
    visit.get("version", slug, second.pk)
    visit.get("version", slug, first.pk, query="?against=")
    visit.get("playground", slug, key)
    visit.get("prompt-search", slug, key)
    visit.post("prompt-search", slug, key, status=422, rows="0")
    visit.post("playground", slug, key, status=422, first=first.pk, second=second.pk, message="hello")
    visit.post("playground", slug, key, status=422, variables="{")


def visit_refused_settings(visit: Visit, seeded: Seeded) -> None:
    """Send the form of a programme as it stands, with one setting that breaks a rule each time."""
    names = (seeded.slug, seeded.shop.surface.key)
    page = seeded.client.get(reverse("autopilot-edit", args=names)).content.decode()
    sent, metric = read_form(page, "programme"), seeded.shop.metric.key
    steps = int(sent["ramp-TOTAL_FORMS"][0]) - EMPTY_ROWS
    primary = {"primary_metric": metric}
    one, two = ({f"guardrails-{n}-metric": metric, f"guardrails-{n}-margin": "5"} for n in (0, 1))
    for wrong in (
        {"holdback_share": "30", "guardrails-0-metric": metric},
        {f"ramp-{steps}-share": "0.5"},
        {f"ramp-{n}-share": "" for n in range(steps)},
        one | two | {"primary_metric": ""},
        one | primary,
    ):
        visit.post("autopilot-edit", *names, status=422, **(sent | wrong))


def visit_shared(visit: Visit, seeded: Seeded) -> None:
    """Share a report and read the copy, which keeps the language in which it was made."""
    visit.post("share", seeded.slug, seeded.shipped.key, days="3")
    visit.post("share", seeded.slug, seeded.shipped.key, status=422, days="0")
    text = " ".join(" ".join(page.pieces) for page in visit.pages.values())
    token = re.findall(r"/shared/([\w:-]+)/", text)[-1]
    visit.get("shared", token, client=Client())


def chosen_names(seeded: Seeded) -> list[str]:
    """Return what people named: these names are no English. The longest first."""
    project = seeded.shop.project
    names = {project.slug, seeded.name, seeded.shop.public, seeded.shop.public[:12], "a test", "Item"}
    names |= {e.key for e in Experiment.objects.filter(project=project)}
    variants = Variant.objects.filter(experiment__project=project).select_related("experiment")
    names |= {f"{one.experiment.key}/{one.key}" for one in variants}
    names |= {layer.key for layer in project.layers.all()}
    names |= {v.label for v in ModelVersion.objects.filter(surface__project=project)}
    names |= {
        "home-feed",
        "support",
        "offers",
        "new-offers",
        "clicks",
        "click",
        "control-1",
        "nobody",
        "ops",
        "hooks",
        "public",
        "secret",
        "missing",
    }
    names |= {*RECOMMENDERS, *CLASSIFIERS, *GENERATORS, *POLICIES, *QUEUES, "beat", "auto", "blend"}
    # What is typed as JSON: the same in every language.
    names |= {"per_value", "order", "context.NAME", "device", "language", "platform", "hour", "weekday"}
    names |= {"openai", "gpt-5-mini", "input", "output", "algorithm", "params", "rate"}
    return sorted(names, key=len, reverse=True)


def english_words(text: str, names: list[str]) -> list[str]:
    # a command, an address, a setting
    text = re.sub(r"`[^`]*`|https?://\S*|BAKEOFF_[A-Z_]+", " ", text)
    for name in names:
        text = text.replace(name, " ")
    words = re.findall(r"[A-Za-z][A-Za-z']+", text)
    return [word for word in words if word not in ALLOWED]


@pytest.fixture(scope="module")
def english(seeded) -> Visit:
    return visit_every_page(seeded, "en")


def test_every_address_is_visited(english):
    assert names_of(urlpatterns) - english.names - NO_PAGES == set()


def test_no_english_page_uses_a_banned_phrase(english):
    found = {
        address: banned
        for address, page in english.pages.items()
        if (banned := find_banned(" | ".join(page.pieces), on_page=True))
    }
    assert found == {}


def test_no_chinese_page_has_english_words(seeded):
    visit = visit_every_page(seeded, "zh-hans")
    names = chosen_names(seeded)
    found = {
        (piece, *rest)
        for page in visit.pages.values()
        for piece in page.pieces
        if (rest := english_words(piece, names))
    }
    assert {page.language for page in visit.pages.values()} == {"zh-hans", ""}  # "": a part of a page
    assert found == set()
