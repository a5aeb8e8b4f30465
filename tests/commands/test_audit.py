"""Every command that changes something writes one audit entry, in the name of the operator."""

from __future__ import annotations

import csv
import threading

import click
import numpy as np
import pytest
from click.testing import CliRunner
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from safetensors.numpy import save

from bakeoff import audit_export
from bakeoff.accounts.invite import invite
from bakeoff.accounts.models import ApiKey, AuditEntry, SecondFactor
from bakeoff.cli import main
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import DataExport, DataSet, DataSetRow
from inference.actions.load_examples import load_examples
from inference.models import Snapshot, Surface, TrainingRun
from inference.serving.artifact import save_artifact
from inference.serving.prompts import Prompt, PromptMessage
from tests.support import alerts, builders
from tests.support.learning import make_examples
from tests.support.mlflow_folder import save_model
from tests.support.onnx_graphs import LABELS
from tests.support.waiting import wait_until

READS = {
    "doctor", "analyze", "power", "simulate", "models", "runs list", "runs show", "runs log", "surfaces history", "experiments list", "report", "units export",
    "versions show", "versions diff", "data-sets list", "examples list", "feedback export", "feedback themes", "feedback surveys", "export recommendations", "export preferences", "export list", "keys list", "alerts list", "alerts deliveries",
    "config check", "config export", "config schema", "project list", "users list", "users invitations", "audit list", "audit export", "surfaces list", "metrics list", "completion", "docs", "usage",
}  # fmt: skip
# They begin with `create_first_access`, which has a test of its own, and change nothing on a platform
# that has users; the embedded model changes nothing at all.
SERVERS = {"up", "migrate", "local-llm", "mcp"}
# What it removes is the project with its audit trail: tests/sample/test_shop.py.
REMOVALS = {"sample remove"}
# They conduct the whole loop by actions, each with an entry of its own, in a project of their own.
CONDUCTORS = {"demo", "replay"}
# One store serves every project, and each has the entry: tests/packaging/test_image.py adopts another.
STORE = {"artifacts"}
# A new project's own trail begins with it: tests/commands/test_people.py.
TENANTS = {"project create"}
# Its project is its argument: tests/gateway/test_usage.py.
QUOTAS = {"project quota"}
# It needs an identity provider: tests/dashboard/test_single_sign_on.py.
PROVIDERS = {"users link"}
# A backup reads; a restore brings the trails of all projects along: tests/commands/test_backup.py; so
# do a move and an upgrade: tests/infra/test_move.py, tests/infra/test_upgrade_postgres.py.
WHOLE = {"backup", "restore", "move", "upgrade"}
# Months are all projects', and each of them has the entry: tests/archive/test_archive_months.py.
ARCHIVE = {"archive"}


def csv_of(folder, **row):
    file = folder / "rows.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=list(row))
        writer.writeheader()
        writer.writerow(row)
    return file


def draft(shop):
    return shop.define(builders.make_version(shop.surface, list(range(1, 11))))


def challenger(shop):
    snapshot = Snapshot.objects.create(surface=shop.surface, sha256="0" * 64, rows=1, units=1)
    return builders.make_version(shop.surface, list(range(1, 11)), snapshot=snapshot)


def after_experiment(shop):
    """A champion's rival whose experiment has ended."""
    experiment = shop.run_experiment()
    stop_experiment(experiment=experiment, by="a test")
    return experiment.treatments[0].model_version.label


def liked(shop):
    builders.write(
        builders.Rows(
            events=[
                builders.event(shop.project, unit=f"u{n}", name="click", item_id=f"i{n % 5}")
                for n in range(40)
            ]
        )
    )
    Surface.objects.filter(pk=shop.surface.pk).update(liked_events=["click"])


def queued(shop):
    return TrainingRun.objects.create(surface=shop.surface, algorithm="popularity", trigger="a test")


def classify(shop):
    return Surface.objects.create(project=shop.project, key="desk", kind=Surface.Kind.CLASSIFY)


def config_file(shop, folder):
    file = folder / "bakeoff.yaml"
    file.write_text("surfaces: {home-feed: {candidates: 7}}")
    return ["-f", file, "--yes"]


def key(shop):
    return str(ApiKey.make(shop.project, "pk", name="old")[0].pk)


def somebody(shop):
    return User.objects.create_user(f"ben-{shop.project.slug}").username


def invited(shop):
    return invite(project=shop.project, role="viewer", by="a test")[0]


def with_second_factor(shop):
    name = somebody(shop)
    person = User.objects.get(username=name)
    SecondFactor.objects.create(user=person, secret="A" * 32, confirmed_at=builders.now())
    return name


def subscription(shop):
    return alerts.subscribe(shop.project, "https://hooks.example/bakeoff", name="ops").name


def dead_delivery(shop):
    return alerts.dead_delivery(shop.project)


def train(shop, folder):
    liked(shop)
    return ["home-feed", "--algorithm", "popularity"]


def pretrain(shop, folder):
    liked(shop)
    return ["home-feed", "--steps", "10"]


def import_vectors(shop, folder):
    liked(shop)
    (folder / "items.safetensors").write_bytes(save({"item_vectors": np.ones((10, 2), np.float32)}))
    (folder / "ids").write_text("\n".join(shop.items))
    return ["home-feed", folder / "items.safetensors", "--items", folder / "ids"]


def import_graph(shop, folder):
    load_examples(surface_id=classify(shop).pk, examples=make_examples())
    model = save_model(folder / "model", metadata={"labels": LABELS})
    return ["--surface", "desk", "--model-uri", model]


def register(shop, folder):
    liked(shop)
    return ["home-feed", "--endpoint", "http://127.0.0.1:9/rank"]


def define(shop, folder):
    version = challenger(shop).label
    return [
        "trial", "--surface", "home-feed", "--control", shop.champion.label, "--treatment", version,
        "--metric", "clicks",
    ]  # fmt: skip


def add_prompt(shop, folder):
    Surface.objects.create(project=shop.project, key="support", kind="generate")
    file = folder / "prompt.json"
    file.write_text('{"provider": "test", "model": "small"}')
    return ["support", file]


def support(shop):
    return Surface.objects.create(project=shop.project, key="support", kind="generate")


def load_rows(shop, folder):
    support(shop)
    file = folder / "rows.jsonl"
    file.write_text('{"variables": {"name": "Ann"}}')
    return ["support", "typical", file]


def freeze(shop, _folder):
    support(shop)
    context = {"messages": [{"role": "user", "content": "Hi"}], "answer": {"content": "Hello"}}
    builders.make_slate(shop, "u1", surface_id=support_of(shop), context=context)
    return ["support", "past"]


def support_of(shop):
    return Surface.objects.get(project=shop.project, key="support").pk


def check_version(shop, _folder):
    """It ranks, so nothing is asked; the check is stored as failed."""
    DataSet.objects.create(
        project=shop.project, surface=shop.surface, key="typical", created_by="a test"
    )
    return ["home-feed", shop.champion.label, "--data-set", "typical"]


def load_labelled(shop, folder):
    classify(shop)
    return [csv_of(folder, text="my card is lost", label="card"), "--surface", "desk"]


def with_example(shop):
    load_examples(surface_id=classify(shop).pk, examples=make_examples())
    return "desk"


def to_label(shop, _folder):
    classify(shop)
    slate = builders.make_slate(shop, "u1")
    row = builders.feedback(shop, slate, kind="text", text="too dear")
    builders.write(builders.Rows(feedback=[row]))
    return ["desk", row.feedback_id]


def optimise(shop, folder):
    prompt = Prompt(provider="test", model="small", messages=(PromptMessage("system", "Help."),))
    digest = save_artifact(settings.BAKEOFF.artifacts, prompt.as_draft())
    shop.surface.versions.champions().update(artifact_sha256=digest)
    Surface.objects.filter(pk=shop.surface.pk).update(kind=Surface.Kind.GENERATE)
    data_set = DataSet.objects.create(
        project=shop.project, surface=shop.surface, key="typical", created_by="a test",
        assertions=[{"type": "min_length", "value": 1}],
    )  # fmt: skip
    DataSetRow.objects.create(data_set=data_set, project=shop.project, variables={})
    return ["home-feed", "--provider", "test", "--model", "strong"]


def exported(shop, folder):
    return [
        DataExport.objects.create(project=shop.project, folder=str(folder), created_by="a test").folder
    ]


def unused(kind, act):
    def prepare(shop, _folder):
        fields = {"kind": "mean", "event": "buy"} if kind == "metrics" else {}
        is_archived = act == "restore" or (kind, act) == ("surfaces", "delete")
        archived_at = builders.now() if is_archived else None
        getattr(shop.project, kind).create(key="unused", archived_at=archived_at, **fields)
        return ["unused", *(["--yes"] if act == "delete" else [])]

    return prepare


# Command → what makes its arguments; all but the project.
CALLS = {
    "load items": lambda _shop, folder: [csv_of(folder, item_id="a", title="Heat")],
    "surfaces archive": lambda _shop, _folder: ["home-feed", "--yes"],
    "surfaces restore": unused("surfaces", "restore"),
    "surfaces delete": unused("surfaces", "delete"),
    "metrics archive": lambda _shop, _folder: ["clicks", "--yes"],
    "metrics restore": unused("metrics", "restore"),
    "metrics delete": unused("metrics", "delete"),
    "load users": lambda _shop, folder: [csv_of(folder, user_id="u1", country="DE")],
    "load events": lambda _shop, folder: [
        csv_of(folder, event_id="1", name="click", unit_id="u1", occurred_at="2020-01-01")
    ],
    "load labelled": load_labelled,
    "examples delete": lambda shop, _folder: [with_example(shop), "--all", "--yes"],
    "feedback label": to_label,
    "versions add": add_prompt,
    "versions check": check_version,
    "data-sets load": load_rows,
    "data-sets freeze": freeze,
    "train": train,
    "optimise": optimise,
    "pretrain": pretrain,
    "register": register,
    "import model": import_vectors,
    "import mlflow": import_graph,
    "compress": lambda shop, _: [challenger(shop).label, "--project", "8"],
    "shadow": lambda shop, _: ["home-feed", challenger(shop).label],
    "promote": lambda shop, _: ["home-feed", challenger(shop).label],
    "judging": lambda _shop, _folder: ["home-feed", "--label-share", "0.1"],
    "autopilot": lambda _shop, _folder: ["home-feed", "--primary-metric", "clicks"],
    "rollback": lambda shop, _: ["home-feed", after_experiment(shop)],
    "runs cancel": lambda shop, _: [str(queued(shop).pk)],
    "experiments define": define,
    "experiments start": lambda shop, _: [draft(shop).key],
    "experiments stop": lambda shop, _: [shop.run_experiment().key],
    "export data": lambda _shop, folder: ["--to", folder / "exported"],
    "export stop": exported,
    "units erase": lambda _shop, _: ["u1", "--yes"],
    "units exclude": lambda _shop, _: ["u1"],
    "users add": lambda shop, _: [f"ann-{shop.project.slug}"],
    "users reset-password": lambda shop, _: [somebody(shop)],
    "users reset-link": lambda shop, _: [somebody(shop)],
    "users invite": lambda _shop, _folder: ["ann@shop.example", "--role", "analyst"],
    "users revoke-invitation": lambda shop, _: [str(invited(shop).pk)],
    "users remove-second-factor": lambda shop, _: [with_second_factor(shop)],
    "keys make": lambda _shop, _: ["--kind", "secret"],
    "keys change": lambda shop, _: [key(shop), "--any-origin"],
    "keys revoke": lambda shop, _: [key(shop)],
    "config apply": config_file,
    "alerts subscribe": lambda _shop, _: ["ops", "https://hooks.example/bakeoff"],
    "alerts change": lambda shop, _: [subscription(shop), "--pause"],
    "alerts rotate": lambda shop, _: [subscription(shop)],
    "alerts test": lambda shop, _: [subscription(shop)],
    "alerts unsubscribe": lambda shop, _: [subscription(shop)],
    "alerts resend": lambda shop, _: [str(dead_delivery(shop).pk)],
}
# They follow the run that they queue; no worker of these tests would take it.
FOLLOWED = {
    "train", "optimise", "pretrain", "register", "compress", "import model", "import mlflow",
}  # fmt: skip


def commands(group=main, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name))


def test_the_table_names_every_command():
    conducted = CONDUCTORS | STORE | TENANTS | QUOTAS | REMOVALS | WHOLE | PROVIDERS | ARCHIVE
    assert set(commands()) == set(CALLS) | READS | SERVERS | conducted


def test_an_export_that_fails_leaves_the_last_one_whole(shop, tmp_path, monkeypatch):
    out = tmp_path / "audit.csv"
    out.write_text("of yesterday")
    command = ["audit", "export", str(out), "--project", shop.project.slug]

    def fail(*_):
        yield ["one line"]
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(audit_export, "audit_lines", fail)
        done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "cannot be written: No space left on device." in done.output
    assert (out.read_text(), list(tmp_path.iterdir())) == ("of yesterday", [out])
    assert CliRunner().invoke(main, command).exit_code == 0
    assert out.read_text().startswith("id,at,project")


def fail_run_of(project):
    """End the run that a command follows, as a worker whose training failed does."""
    runs = TrainingRun.objects.filter(surface__project=project, state=TrainingRun.State.QUEUED)
    try:
        wait_until(lambda: runs.update(state=TrainingRun.State.FAILED, message="no worker runs"))
    finally:
        connection.close()


@pytest.mark.parametrize("command", CALLS)
def test_one_audit_entry_each(shop, lane, tmp_path, command, declared_provider):
    arguments = [str(one) for one in CALLS[command](shop, tmp_path)]
    lane.refresh()
    before = set(AuditEntry.objects.filter(project=shop.project).values_list("pk", flat=True))
    worker = threading.Thread(target=fail_run_of, args=(shop.project,))
    if command in FOLLOWED:
        worker.start()
    project = "--in" if command == "compress" else "--project"
    result = CliRunner().invoke(
        main, [*command.split(), *arguments, project, shop.project.slug], catch_exceptions=False
    )
    if command in FOLLOWED:
        worker.join()
    assert result.exit_code == int(command in {*FOLLOWED, "versions check"}), result.output
    (entry,) = AuditEntry.objects.filter(project=shop.project).exclude(pk__in=before)
    assert entry.actor == "operator"
