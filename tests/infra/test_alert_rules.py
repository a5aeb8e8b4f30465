"""The alert rules by promtool: they are right, each fires by what it watches for, and none without it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.debian_servers import binary

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yml"
ALERTS = [
    rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
MINUTES = 90
# By alert: series in promtool's notation while something is wrong, and while it is not.
# `0+60x90` grows by 60 a minute; `5x90` stays.
CASES = {
    "BakeoffDown": ({'up{job="bakeoff"}': "0x90"}, {'up{job="bakeoff"}': "1x90"}),
    "BakeoffErrors": (
        {'bakeoff_requests_total{route="/v1/events",status="202"}': "0+600x90", 'bakeoff_requests_total{route="/v1/events",status="503"}': "0+12x90"},
        {'bakeoff_requests_total{route="/v1/events",status="202"}': "0+600x90", 'bakeoff_requests_total{route="/v1/events",status="503"}': "0+3x90"},
    ),
    "BakeoffSlow": (
        {'bakeoff_request_seconds_bucket{route="/v1/recommend",le="0.25"}': "0+90x90", 'bakeoff_request_seconds_bucket{route="/v1/recommend",le="1"}': "0+100x90", 'bakeoff_request_seconds_bucket{route="/v1/recommend",le="+Inf"}': "0+100x90"},
        {'bakeoff_request_seconds_bucket{route="/v1/recommend",le="0.25"}': "0+100x90", 'bakeoff_request_seconds_bucket{route="v1/runs",le="+Inf"}': "0+100x90", 'bakeoff_request_seconds_bucket{route="/v1/recommend",le="+Inf"}': "0+100x90"},
    ),
    "BakeoffLoopLag": ({"bakeoff_loop_lag_seconds": "0.7x90"}, {"bakeoff_loop_lag_seconds": "0.1x90"}),
    "BakeoffFallbacks": (
        {'bakeoff_slates_total{project="a",fallback="timeout"}': "0+10x90", 'bakeoff_slates_total{project="a",fallback="none"}': "0+90x90"},
        {'bakeoff_slates_total{project="a",fallback="nearline"}': "0+50x90", 'bakeoff_slates_total{project="a",fallback="none"}': "0+50x90", 'bakeoff_slates_total{project="b",fallback="timeout"}': "0+1x90", 'bakeoff_slates_total{project="b",fallback="none"}': "0+99x90"},
    ),
    "BakeoffServerAway": ({'bakeoff_source_up{source="cache"}': "0x90"}, {'bakeoff_source_up{source="cache"}': "1x90"}),
    "BakeoffMetricsIncomplete": ({"bakeoff_platform_metrics_up": "0x90"}, {"bakeoff_platform_metrics_up": "1x90"}),
    "BakeoffSpilling": ({"bakeoff_spill_entries": "3x90"}, {"bakeoff_spill_entries": "0x90"}),
    "BakeoffSpillFilling": ({"bakeoff_spill_entries": "60000x90"}, {"bakeoff_spill_entries": "0x90"}),
    "BakeoffCommitsSetAside": ({"bakeoff_spill_refused_entries": "1x90"}, {"bakeoff_spill_refused_entries": "0x90"}),
    "BakeoffRowsRefused": ({'bakeoff_durability_total{outcome="unavailable"}': "0x87 1x3"}, {'bakeoff_durability_total{outcome="unavailable"}': "7x90", 'bakeoff_durability_total{outcome="committed"}': "0+100x90"}),
    "BakeoffWriterFull": ({"bakeoff_writer_waiting_requests": "3000x90"}, {"bakeoff_writer_waiting_requests": "20x90"}),
    "BakeoffCommitsSlow": (
        {'bakeoff_commit_seconds_bucket{le="0.5"}': "0+90x90", 'bakeoff_commit_seconds_bucket{le="3"}': "0+100x90", 'bakeoff_commit_seconds_bucket{le="+Inf"}': "0+100x90"},
        {'bakeoff_commit_seconds_bucket{le="0.5"}': "0+100x90", 'bakeoff_commit_seconds_bucket{le="+Inf"}': "0+100x90"},
    ),
    "BakeoffCacheFull": (
        {"bakeoff_cache_memory_bytes": "95x90", "bakeoff_cache_memory_limit_bytes": "100x90"},
        {"bakeoff_cache_memory_bytes": "95x90", "bakeoff_cache_memory_limit_bytes": "0x90"},
    ),
    "BakeoffDiskFull": ({"bakeoff_disk_used_ratio": "0.95x90"}, {"bakeoff_disk_used_ratio": "0.5x90"}),
    "BakeoffConfigOld": ({"bakeoff_config_age_seconds": "90x90"}, {"bakeoff_config_age_seconds": "3x90"}),
    "BakeoffConfigIssues": ({"bakeoff_config_issues": "1x90"}, {"bakeoff_config_issues": "0x90"}),
    "BakeoffVersionsUnserved": ({"bakeoff_unserved_versions": "1x90"}, {"bakeoff_unserved_versions": "0x90"}),
    "BakeoffCircuitOpen": ({"bakeoff_breakers_versions": "1x90"}, {"bakeoff_breakers_versions": "0x90"}),
    "BakeoffWorkHangs": ({'bakeoff_work_silence_seconds{process="a:1",work="writer"}': "90x90"}, {'bakeoff_work_silence_seconds{process="a:1",work="writer"}': "2x90"}),
    "BakeoffProcessSilent": ({'bakeoff_beat_age_seconds{process="worker-loop@a"}': "90x90"}, {'bakeoff_beat_age_seconds{process="worker-loop@a"}': "2x90"}),
    "BakeoffBeatMissing": ({"bakeoff_beat_processes": "0x90"}, {"bakeoff_beat_processes": "1x90"}),
    "BakeoffQueueUnserved": ({'bakeoff_queue_workers{queue="embed"}': "0x90"}, {'bakeoff_queue_workers{queue="embed"}': "1x90"}),
    "BakeoffQueueLate": ({'bakeoff_queue_oldest_seconds{queue="default"}': "900x90"}, {'bakeoff_queue_oldest_seconds{queue="default"}': "3x90", 'bakeoff_queue_oldest_seconds{queue="train"}': "9000x90"}),
    "BakeoffTaskLate": (
        {'bakeoff_task_age_seconds{task="a"}': "400x90", 'bakeoff_task_interval_seconds{task="a"}': "2x90"},
        {'bakeoff_task_age_seconds{task="a"}': "5x90", 'bakeoff_task_interval_seconds{task="a"}': "2x90", 'bakeoff_task_age_seconds{task="b"}': "4000x90", 'bakeoff_task_interval_seconds{task="b"}': "3600x90"},
    ),
    "BakeoffWorkFailing": ({'bakeoff_failing_work{work="look"}': "1x90"}, {'bakeoff_failing_work{work="look"}': "0x90"}),
    "BakeoffTrainingFailed": ({'bakeoff_training_runs{state="failed"}': "0x85 1x5"}, {'bakeoff_training_runs{state="failed"}': "7x90"}),
    "BakeoffTrainingWaits": ({"bakeoff_training_oldest_queued_seconds": "30000x90"}, {"bakeoff_training_oldest_queued_seconds": "60x90"}),
    "BakeoffBreakerTripped": ({"bakeoff_breaker_trips_total": "0x85 1x5"}, {"bakeoff_breaker_trips_total": "4x90"}),
    "BakeoffExperimentHalted": ({'bakeoff_decisions_total{action="halt"}': "0x85 1x5"}, {'bakeoff_decisions_total{action="halt"}': "4x90", 'bakeoff_decisions_total{action="ship"}': "0+1x90"}),
    "BakeoffLooksLate": ({'bakeoff_look_age_seconds{project="a"}': "90000x90"}, {'bakeoff_look_age_seconds{project="a"}': "70x90"}),
    "BakeoffAlertsWait": ({"bakeoff_alerts_waiting": "2x90"}, {"bakeoff_alerts_waiting": "0x90"}),
    "BakeoffDeliveriesDead": ({'bakeoff_deliveries{state="dead"}': "1x90"}, {'bakeoff_deliveries{state="dead"}': "0x90", 'bakeoff_deliveries{state="sent"}': "0+1x90"}),
}  # fmt: skip


def promtool(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [binary("promtool", "prometheus"), *arguments], capture_output=True, text=True, check=False
    )


def firing(folder: Path, series: dict[str, str]) -> set[str]:
    """Return which alerts fire at the end, by a test that expects none to."""
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{MINUTES}m", "alertname": alert} for alert in ALERTS
                ],
            }
        ],
    }
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(test))
    done = promtool("test", "rules", str(file))
    output = done.stdout + done.stderr
    assert done.returncode in {0, 1}, output
    return {alert for alert in ALERTS if f"alertname: {alert}," in output}


def test_the_rules_are_right():
    done = promtool("check", "rules", "--lint-fatal", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr
    config = promtool("check", "config", str(RULES.with_name("prometheus.yml")))
    assert config.returncode == 0, config.stdout + config.stderr


def test_each_alert_has_a_case():
    assert sorted(CASES) == sorted(ALERTS)


@pytest.mark.parametrize("alert", CASES)
def test_it_fires_by_what_it_watches_for_and_not_without(tmp_path, alert):
    wrong, well = CASES[alert]
    assert alert in firing(tmp_path, wrong)
    assert firing(tmp_path, well) == set()
