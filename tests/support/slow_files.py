"""The files that `make test` leaves out and `make test ARGS=--slow` runs too, as CI does.

Each takes more than about seven seconds of a core: it starts, kills or upgrades platforms, trains models,
drives a browser, or repeats one rule on every page and command. What they share with the others is that
these begin first, in this order: a worker that came to one of them last would work on alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

TESTS = Path(__file__).parents[1]
SLOW_FILES = (
    "commands/test_replay.py", "faults/test_faults.py", "embedded/test_supervisor.py",
    "upgrade/test_homes.py", "packaging/test_image.py", "inference/test_runs.py",
    "hostile/test_hostile.py", "dashboard/test_browser.py", "faults/test_segment_clients.py",
    "commands/test_console.py", "inference/test_killed.py", "loop/test_month.py",
    "inference/test_classify.py", "inference/test_training.py", "inference/test_private_head.py",
    "inference/test_preferences.py", "inference/test_pretrain.py", "inference/test_compression.py",
    "generate/test_version_checks.py", "inference/test_own_models.py", "api/test_schema.py",
    "commands/test_backup.py", "dashboard/test_every_page.py", "dashboard/test_pages.py",
    "loop/test_harm_on_a_platform.py", "inference/test_devices.py", "inference/test_images.py",
    "clients/test_slate_element.py", "inference/test_open_inference.py", "inference/test_parallel.py",
    "dashboard/test_passkeys.py", "dashboard/test_accessible_pages.py",
    "commands/test_analyze_files.py", "clients/test_packages.py", "archive/test_killed.py",
    "commands/test_config.py", "clients/test_react.py", "dashboard/test_phone.py",
    "loop/test_holdbacks.py", "inference/test_sasrec.py", "dashboard/test_odd_input.py",
    "dashboard/test_planner_modes.py", "commands/test_people.py", "inference/test_generators.py",
    "commands/test_config_check.py", "loop/test_task_traces.py", "inference/test_harm.py",
    "dashboard/test_kept_form.py", "inference/test_imported_models.py",
    "dashboard/test_programme_page.py", "inference/test_object_store.py", "loop/test_exports.py",
    "dashboard/test_open_page.py", "dashboard/test_downloads.py", "clients/test_openai.py",
    "inference/test_context.py", "loop/test_queue.py", "dashboard/test_after_shipping.py",
    "loop/test_exposure_approvals.py", "commands/test_audit.py", "dashboard/test_no_deletion.py",
    "inference/test_domains.py", "archive/test_analyze.py", "clients/test_flag_sdks.py",
    "loop/test_refits.py", "loop/test_impact.py", "clients/test_python_admin.py",
    "clients/test_python_client.py", "archive/test_archive_months.py", "clients/test_embed.py",
    "dashboard/test_experiment_starts.py", "loop/test_screening_outcomes.py", "clients/test_mcp.py",
    "loop/test_autopilot_report.py", "loop/test_holdouts.py", "dashboard/test_metric_library.py",
    "loop/test_beats.py", "archive/test_commands.py", "embedded/test_keeper.py",
    "dashboard/test_overview.py", "loop/test_queue_of_modes.py", "loop/test_training_child.py",
    "embedded/test_remains.py", "loop/test_verdicts.py", "commands/test_simulate_programme.py",
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
