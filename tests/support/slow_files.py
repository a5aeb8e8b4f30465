"""The files that `make test` leaves out and `make test ARGS=--slow` runs too, as CI does.

Each takes nine seconds or more: it starts, kills or upgrades platforms, trains models, drives a browser, or
repeats one rule on every page and command. What guards names, docs and imports is not among them, because
every change needs it. These begin first, in this order: a worker that came to one last would work on alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

TESTS = Path(__file__).parents[1]
SLOW_FILES = (
    "commands/test_replay.py", "faults/test_faults.py", "embedded/test_supervisor.py",
    "upgrade/test_homes.py", "upgrade/test_first_start.py", "packaging/test_image.py", "inference/test_runs.py",
    "hostile/test_hostile.py", "dashboard/test_browser.py", "faults/test_segment_clients.py",
    "commands/test_console.py", "inference/test_killed.py", "loop/test_month.py",
    "inference/test_classify.py", "inference/test_training.py", "inference/test_label_portfolio.py",
    "inference/test_label_choice.py",
    "inference/test_private_head.py", "inference/test_pretrain.py", "inference/test_compression.py",
    "generate/test_version_checks.py",
    "inference/test_own_models.py", "commands/test_backup.py", "packaging/test_tutorial.py",
    "dashboard/test_accessible_pages.py", "archive/test_killed.py", "inference/test_parallel.py",
    "inference/test_open_inference.py", "commands/test_analyze_files.py", "dashboard/test_verbs.py",
    "loop/test_harm_on_a_platform.py", "dashboard/test_phone.py", "inference/test_images.py",
    "commands/test_config.py", "commands/test_replay_files.py", "commands/test_load_columns.py",
    "commands/test_convert_mlflow.py", "packaging/test_how_to.py", "inference/test_mlflow_endpoint.py",
    "inference/test_sasrec.py", "gateway/test_frozen.py",
    "dashboard/test_every_page.py", "dashboard/test_ten_seconds.py", "commands/test_config_check.py",
    "dashboard/test_pages.py", "dashboard/test_single_sign_on_browser.py", "inference/test_devices.py",
    "clients/test_packages.py", "clients/test_slate_element.py", "clients/test_survey_by_itself.py", "packaging/test_help_site.py",
    "generate/test_hostile_providers.py", "dashboard/test_passkeys.py", "looks/test_restored.py",
    "commands/test_people.py", "loop/test_task_traces.py", "generate/test_chat_page.py",
    "loop/test_holdbacks.py", "stats/test_rules.py", "looks/test_plans.py",
    "inference/test_object_store.py", "dashboard/test_variant_rows.py",
    "dashboard/test_single_sign_on.py", "alerts/test_delivery.py", "dashboard/test_kept_form.py",
    "dashboard/test_suggested_key.py", "dashboard/test_compressed_answers.py",
    "stats/test_bandit_simulation.py", "gateway/test_request_traces.py", "looks/test_roll_up.py",
    "inference/test_imported_models.py", "dashboard/test_query_counts.py",
    "simulation/test_programme.py", "archive/test_analyze.py", "dashboard/test_downloads.py",
    "looks/test_warehouse.py", "dashboard/test_after_shipping.py", "inference/test_generators.py",
    "dashboard/test_surface_lists.py", "commands/test_audit.py", "archive/test_archive_months.py",
    "surveys/test_survey_form.py", "loop/test_screening_outcomes.py",
    "scorecards/test_warehouse_sql.py", "scorecards/test_plan_like_a_report.py", "dashboard/test_surface_policy.py",
    "dashboard/test_planner.py", "dashboard/test_start_words.py", "surveys/test_surveys.py", "loop/test_refits.py",
    "dashboard/test_open_page.py", "loop/test_queue.py", "looks/test_decisions.py",
    "packaging/test_wheel.py", "clients/test_react.py", "dashboard/test_planner_modes.py",
    "looks/test_interaction.py", "clients/test_python_client.py", "gateway/test_writer.py",
    "gateway/test_cold_items.py",
    "generate/test_limits.py", "looks/test_breaker_watch.py", "api/test_audit.py",
    "assignment/test_rules.py", "generate/test_clusters.py", "api/test_api.py",
    "api/test_operations.py", "dashboard/test_programme_page.py", "themes/test_sentiment.py", "themes/test_names_by_model.py",
    "dashboard/test_odd_input.py", "dashboard/test_variant_pictures.py", "dashboard/test_switchback_form.py",
)  # fmt: skip
# Then what is long of the others.
_FOLDERS = ("inference", "upgrade", "embedded", "clients", "loop", "commands")
_PLACES = {name: number for number, name in enumerate((*SLOW_FILES, *_FOLDERS))}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="Run the slow files too, as CI does.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the slow files out; one that the command names is not asked for here."""
    if config.getoption("slow") or not collection_path.is_relative_to(TESTS):
        return None
    return str(collection_path.relative_to(TESTS)) in SLOW_FILES or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.nodeid.partition("::")[0].removeprefix("tests/")
        return _PLACES.get(path, _PLACES.get(path.partition("/")[0], len(_PLACES)))

    items.sort(key=place)  # stable: within a folder the order stays
