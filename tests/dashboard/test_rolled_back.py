"""The report of an experiment that was rolled back names what serves again."""

from __future__ import annotations

import pytest

from experiments.actions.look_at_experiment import look_at_experiment
from inference.models import ModelVersion
from tests.support import builders
from tests.support.builders import QUICK_POLICY, visits
from tests.support.dashboard import report_path, sign_in


@pytest.fixture
def rolled_back(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    visits(experiment, {"control": 2, "treatment": 1})
    assert look_at_experiment(experiment_id=experiment.pk).action == "roll_back"
    return experiment


def page_of(experiment, language="en"):
    client = sign_in(experiment.project)
    answer = client.get(report_path(experiment), headers={"accept-language": language})
    return answer.content.decode()


def test_the_tile_names_the_version_that_serves_again(rolled_back):
    assert "popularity@1 serves again" in page_of(rolled_back)
    assert "popularity@1 重新提供服务" in page_of(rolled_back, "zh-hans")


def test_a_champion_of_later_serves_now_and_not_again(rolled_back, shop):
    later = builders.make_version(shop.surface, list(range(1, 11)))
    aliases = ModelVersion.Alias
    ModelVersion.objects.filter(pk=shop.champion.pk).update(alias=aliases.RETIRED)
    ModelVersion.objects.filter(pk=later.pk).update(alias=aliases.CHAMPION)
    page = page_of(rolled_back)
    assert f"{later.label} serves now" in page
    assert "serves again" not in page


def test_of_a_flag_it_names_the_value(shop):
    flag = shop.project.surfaces.create(key="button", kind="flag")
    experiment = builders.experiment(shop, flag, policy=QUICK_POLICY)
    visits(experiment, {"control": 2, "treatment": 1})
    assert look_at_experiment(experiment_id=experiment.pk).action == "roll_back"
    page = page_of(experiment)
    assert "Everyone gets &#x27;blue&#x27; again" in page


def test_a_shipped_or_running_experiment_serves_nothing_again(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    assert "serves again" not in page_of(experiment)
    visits(experiment, {"control": 1, "treatment": 2})
    assert look_at_experiment(experiment_id=experiment.pk).action == "ship"
    page = page_of(experiment)
    assert "popularity@2 replaced popularity@1" in page
    assert "serves again" not in page
