"""What prepares each verb of the pages that judge generated answers."""

from __future__ import annotations

from django.urls import reverse

from experiments.actions.add_prompt import add_prompt
from experiments.actions.load_data_set import DataSetRowDraft, load_data_set
from experiments.models import DataSet, JudgePlan
from inference.models import ModelVersion, Surface, TrainingRun
from inference.prompt_search import OPTIMISE
from tests.support import builders
from tests.support.verb_step import Step


def check(shop):
    Surface.objects.filter(pk=shop.surface.pk).update(kind=Surface.Kind.GENERATE)
    version = builders.make_version(shop.surface, list(range(1, 11)))
    DataSet.objects.create(
        project=shop.project, surface=shop.surface, key="typical", created_by="a test"
    )
    page = reverse("version", args=[shop.project.slug, version.pk])
    return Step(
        f"{page}check/", {"data_set": "typical"}, version.checks.exists, page, {"data_check": "queued"}
    )


def judge(shop):
    Surface.objects.filter(pk=shop.surface.pk).update(kind=Surface.Kind.GENERATE)
    judges = Surface.objects.create(project=shop.project, key="judges", kind=Surface.Kind.GENERATE)
    version = builders.make_version(judges, list(range(1, 11)))
    name = f"judges/{version.label}"
    page = reverse("surface", args=[shop.project.slug, shop.surface.key])
    plan = JudgePlan.objects.filter(surface=shop.surface, judge=version, points=7, label_share=0.5)
    return Step(
        f"{page}judging/", {"judge": name, "points": "7", "label_share": "0.5"}, plan.exists, page,
        {"data_judge": name},
    )  # fmt: skip


def search(shop):
    Surface.objects.filter(pk=shop.surface.pk).update(kind=Surface.Kind.GENERATE)
    ModelVersion.objects.filter(surface=shop.surface).delete()
    shop.surface.refresh_from_db()
    messages = [{"role": "system", "content": "You help."}]
    prompt = {"provider": "test", "model": "small", "messages": messages}
    add_prompt(surface=shop.surface, data=prompt, by="a test")
    rows = [DataSetRowDraft([{"role": "user", "content": "Where?"}])]
    holds = [{"type": "contains", "value": "order"}]
    load_data_set(surface=shop.surface, key="typical", rows=rows, assertions=holds, by="a test")
    surface = reverse("surface", args=[shop.project.slug, shop.surface.key])
    values = {
        "provider": "test", "model": "strong", "data_set": "typical", "proposals": "2", "rows": "5",
        "budget_tokens": "1000", "budget_money": "0.5",
    }  # fmt: skip
    queued = TrainingRun.objects.filter(
        surface=shop.surface, algorithm=OPTIMISE, params__budget_money=0.5
    )
    return Step(f"{surface}prompt-search/", values, queued.exists, surface)


JUDGING_VERBS = {"version-check": check, "surface-judging": judge, "prompt-search": search}
