"""The Helm chart: rendered by Helm itself, checked against Kubernetes' schemas, its commands those of compose."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import helm_python
import kubernetes_validate
import pytest
import yaml

from bakeoff import __version__
from bakeoff.container_check import part_of
from bakeoff.known_settings import SECRETS, SETTINGS
from inference.queues import QUEUES

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "bakeoff"
NEEDED = {
    "image": {"repository": "registry.example/bakeoff"},
    "existingSecret": "bakeoff",
    "existingClaim": "bakeoff-home",
}
OBJECT_STORE = {
    "artifacts": "s3://models/shop",
    "archive": "s3://cold/shop",
    "archiveAfterMonths": 13,
    "region": "eu-central-1",
    "endpoint": "http://minio:9000",
    "existingSecret": "bakeoff-store",
    "secretKeys": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
}
BACKUP = {
    "enabled": True,
    "schedule": "5 2 * * *",
    "destination": "s3://backups/shop/",
    "existingSecret": "bakeoff-backups",
    "secretKeys": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
}
INGRESS = {"enabled": True, "host": "bakeoff.example.com", "tlsSecret": "tls", "className": "nginx"}
VERSIONS = ("1.29", "1.33", "1.37")


@pytest.fixture(scope="module")
def chart():
    with helm_python.Chart.load(str(CHART)) as chart:
        yield chart


def rendered(chart, name="demo", **values) -> dict[tuple[str, str], dict]:
    """What is applied, by kind and name."""
    manifests = chart.render(NEEDED | values, name=name, namespace="prod")
    documents = [
        document
        for path, text in manifests.items()
        if path.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]
    return {(one["kind"], one["metadata"]["name"]): one for one in documents}


def pods(objects) -> dict[str, dict]:
    return {
        name: one["spec"]["template"]["spec"]
        for (kind, name), one in objects.items()
        if kind in {"Deployment", "Job"}
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"ingress": INGRESS, "podAnnotations": {"a": "b"}},
        {"objectStore": OBJECT_STORE, "serviceAccountName": "bakeoff"},
        {"objectStore": OBJECT_STORE, "existingClaim": ""},
        {"backup": BACKUP},
    ],
    ids=["plain", "ingress", "object store", "no claim", "backup"],
)
def test_what_it_renders_is_valid(chart, values, version):
    objects = rendered(chart, **values)
    assert len(objects) >= 10
    for one in objects.values():
        kubernetes_validate.validate(one, version, strict=True)
    assert (("Ingress", "demo-web") in objects) == ("ingress" in values)
    assert (("CronJob", "demo-backup") in objects) == ("backup" in values)


def test_every_queue_has_a_worker_and_beat_is_one(chart):
    objects = rendered(chart)
    containers = {name: pod["containers"][0] for name, pod in pods(objects).items()}
    queues = [
        queue
        for name, container in containers.items()
        if name.startswith("demo-worker-")
        for queue in container["args"][container["args"].index("--queues") + 1].split(",")
    ]
    assert sorted(queues) == sorted(QUEUES)
    beat = objects["Deployment", "demo-beat"]["spec"]
    assert (beat["replicas"], beat["strategy"]["type"]) == (1, "Recreate")
    # As compose starts them, which tests/packaging/test_image.py runs.
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert containers["demo-migrate"]["args"] == compose["migrate"]["command"]
    assert containers["demo-beat"]["args"][:6] == compose["beat"]["command"]
    for name in ("loop", "analysis", "embed", "answer", "train"):
        assert containers[f"demo-worker-{name}"]["args"][:9] == compose[f"worker-{name}"]["command"][:9]


def test_nobody_is_root_and_secrets_come_by_file(chart):
    keys = ["DATABASE_URL", "REDIS_URL", "SECRET_KEY", "BAKEOFF_METRICS_TOKEN"]
    settings = {"BAKEOFF_PUBLIC_URL": "https://a.example", "BAKEOFF_KEY_RATE": 6000000}
    for name, pod in pods(rendered(chart, secretKeys=keys, settings=settings)).items():
        assert pod["securityContext"]["runAsNonRoot"], name
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"], name
        assert not security["allowPrivilegeEscalation"], name
        variables = {one["name"]: one["value"] for one in container["env"]}
        for key in keys:
            assert variables.pop(f"{key}_FILE") == f"/run/secrets/bakeoff/{key}"
        assert variables == {
            "BAKEOFF_LOG_FORMAT": "json",
            "BAKEOFF_PUBLIC_URL": "https://a.example",
            "BAKEOFF_KEY_RATE": "6000000",
        }
        assert set(variables) <= set(SETTINGS)
    image = (ROOT / "Dockerfile").read_text()
    assert "USER 10001" in image


def test_an_object_store_is_set_in_every_pod_and_its_keys_come_from_a_secret(chart):
    objects = rendered(chart, objectStore=OBJECT_STORE, serviceAccountName="trusted")
    assert {kind for kind, _name in objects}.isdisjoint({"ConfigMap", "Secret"})
    found = pods(objects)
    assert {"demo-migrate", "demo-web", "demo-beat", "demo-worker-train"} <= set(found)
    for name, pod in found.items():
        assert pod["serviceAccountName"] == "trusted", name
        (container,) = pod["containers"]
        variables = {one["name"]: one["value"] for one in container["env"]}
        secret = {key.removesuffix("_FILE") for key in variables if key.endswith("_FILE")}
        assert secret <= set(SECRETS)  # the platform reads each of them from its file
        assert {key: value for key, value in variables.items() if "/bakeoff/" not in value} == {
            "BAKEOFF_LOG_FORMAT": "json",
            "BAKEOFF_ARTIFACTS": "s3://models/shop",
            "BAKEOFF_ARCHIVE": "s3://cold/shop",
            "BAKEOFF_ARCHIVE_AFTER_MONTHS": "13",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT": "http://minio:9000",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID_FILE": "/run/secrets/object-store/AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY_FILE": "/run/secrets/object-store/AWS_SECRET_ACCESS_KEY",
        }
        (volume,) = [one for one in pod["volumes"] if one["name"] == "object-store"]
        assert volume["secret"]["secretName"] == "bakeoff-store"
        mounts = {one["name"]: one for one in container["volumeMounts"]}
        assert mounts["object-store"]["mountPath"] == "/run/secrets/object-store"
        assert mounts["object-store"]["readOnly"]


def test_google_reads_a_file_itself_and_an_identity_needs_no_keys(chart):
    google = {
        "artifacts": "gs://models",
        "existingSecret": "google",
        "secretKeys": ["GOOGLE_APPLICATION_CREDENTIALS"],
    }
    web = pods(rendered(chart, objectStore=google))["demo-web"]["containers"][0]
    variables = {one["name"]: one["value"] for one in web["env"]}
    path = "/run/secrets/object-store/GOOGLE_APPLICATION_CREDENTIALS"
    assert variables["GOOGLE_APPLICATION_CREDENTIALS"] == path
    assert "GOOGLE_APPLICATION_CREDENTIALS_FILE" not in variables
    trusted = rendered(chart, objectStore={"artifacts": "s3://models"}, serviceAccountName="one")
    for pod in pods(trusted).values():
        assert "object-store" not in {one["name"] for one in pod["volumes"]}
        assert not {
            one["name"] for one in pod["containers"][0]["env"] if one["name"].startswith("AWS_")
        }
    plain = pods(rendered(chart))["demo-web"]
    assert "serviceAccountName" not in plain
    assert {one["name"] for one in plain["volumes"]} == {"home", "secrets", "tmp"}


def backup_pod(chart, **values) -> tuple[dict, dict]:
    """The specification of the job of backups, and its pod's."""
    job = rendered(chart, **values)["CronJob", "demo-backup"]["spec"]
    return job, job["jobTemplate"]["spec"]["template"]["spec"]


def test_a_job_backs_up_to_a_prefix_of_its_own_each_time(chart, tmp_path):
    job, pod = backup_pod(chart, backup=BACKUP)
    assert (job["schedule"], job["timeZone"]) == ("5 2 * * *", "Etc/UTC")
    assert job["concurrencyPolicy"] == "Forbid"
    assert pod["securityContext"]["runAsNonRoot"]
    (container,) = pod["containers"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert variables["DATABASE_URL_FILE"] == "/run/secrets/bakeoff/DATABASE_URL"
    assert variables["AWS_ACCESS_KEY_ID_FILE"] == "/run/secrets/store/AWS_ACCESS_KEY_ID"
    assert {"store", "home", "secrets", "tmp"} == {one["name"] for one in container["volumeMounts"]}
    (store,) = [one for one in pod["volumes"] if one["name"] == "store"]
    assert store["secret"]["secretName"] == "bakeoff-backups"
    # What the shell makes of the arguments, with a program that prints its own.
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o700)
    done = subprocess.run(
        container["args"], capture_output=True, text=True, check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    *command, place = done.stdout.split()
    assert command == ["-m", "bakeoff", "backup"]
    assert re.fullmatch(r"s3://backups/shop/\d{4}-\d\d-\d\dT\d{6}Z", place)
    # No other pod gets the keys of the backups.
    for other in pods(rendered(chart, backup=BACKUP)).values():
        assert "store" not in {one["name"] for one in other["volumes"]}


@pytest.mark.parametrize(("stored", "seconds"), [({}, 43_200), ({"maxHours": 3}, 10_800)])
def test_a_backup_that_hangs_is_ended_so_that_the_next_one_begins(chart, stored, seconds):
    job, _pod = backup_pod(chart, backup=BACKUP | stored)
    assert job["jobTemplate"]["spec"]["activeDeadlineSeconds"] == seconds


def test_the_name_of_a_long_release_is_one_of_a_cron_job(chart):
    release = f"{'r' * 44}-{'s' * 8}"  # of 53 characters, the longest that Helm takes
    names = [name for kind, name in rendered(chart, name=release, backup=BACKUP) if kind == "CronJob"]
    assert names == [f"{'r' * 44}-backup"]


def test_a_backup_uses_the_keys_of_the_object_store_where_it_has_none(chart):
    backup = {**BACKUP, "existingSecret": "", "secretKeys": []}
    _job, pod = backup_pod(chart, backup=backup, objectStore=OBJECT_STORE, existingClaim="")
    variables = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert variables["AWS_ACCESS_KEY_ID_FILE"] == "/run/secrets/object-store/AWS_ACCESS_KEY_ID"
    assert variables["AWS_REGION"] == "eu-central-1"
    assert {"name": "home", "emptyDir": {}} in pod["volumes"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"backup": BACKUP | {"existingSecret": ""}},
            "backup.existingSecret == '', must come with backup.secretKeys, the keys of it that are read",
        ),
        (
            {"backup": BACKUP | {"secretKeys": []}},
            "backup.existingSecret == 'bakeoff-backups', must come with backup.secretKeys",
        ),
        (
            {"backup": BACKUP | {"secretKeys": ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"]}},
            "backup.secretKeys == [AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN], must have both",
        ),
        (
            {"backup": BACKUP, "objectStore": OBJECT_STORE},
            "backup.secretKeys has AWS_ACCESS_KEY_ID, must be left out: objectStore.secretKeys has it.",
        ),
    ],
)
def test_values_of_the_backup_that_need_each_other_are_named(chart, values, sentence):
    with pytest.raises(helm_python.HelmError) as refusal:
        rendered(chart, **values)
    assert sentence in str(refusal.value)


def test_with_an_object_store_no_folder_is_shared(chart):
    store = {"artifacts": "s3://models/shop"}
    for name, pod in pods(rendered(chart, objectStore=store, existingClaim="")).items():
        (home,) = [one for one in pod["volumes"] if one["name"] == "home"]
        assert home == {"name": "home", "emptyDir": {}}, name
    # What is in the home and nowhere else needs the claim.
    with pytest.raises(helm_python.HelmError) as refusal:
        rendered(chart, objectStore=store | {"archive": "/cold"}, existingClaim="")
    sentence = "objectStore.archive == '/cold', must be in a store, or come with existingClaim"
    assert sentence in str(refusal.value)
    (home, *_) = pods(rendered(chart, objectStore=store))["demo-web"]["volumes"]
    assert home["persistentVolumeClaim"] == {"claimName": "bakeoff-home"}


@pytest.mark.parametrize(
    "stored",
    [None, {"artifacts": "s3://models", "archive": None, "endpoint": None, "secretKeys": None}],
)
def test_values_that_an_older_release_stored_lack_what_is_new(chart, stored):
    # As `--reuse-values` leaves them: null takes the chart's own value away.
    env = pods(rendered(chart, objectStore=stored))["demo-web"]["containers"][0]["env"]
    variables = {one["name"]: one["value"] for one in env}
    assert variables.get("BAKEOFF_ARTIFACTS") == (stored or {}).get("artifacts")
    assert not {"BAKEOFF_ARCHIVE", "AWS_ENDPOINT", "AWS_ALLOW_HTTP"} & set(variables)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"existingSecret": ""},
            "objectStore.secretKeys == [AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY], must come with "
            "objectStore.existingSecret.",
        ),
        (
            {"secretKeys": []},
            "objectStore.existingSecret == 'bakeoff-store', must come with objectStore.secretKeys: "
            "the keys of it that are read.",
        ),
        (
            {"secretKeys": ["AWS_ACCESS_KEY_ID"]},
            "objectStore.secretKeys == [AWS_ACCESS_KEY_ID], must have both AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or neither.",
        ),
        (
            {"artifacts": "", "archive": "/cold"},
            "objectStore.secretKeys == [AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY], must come with "
            "objectStore.artifacts or objectStore.archive in a store.",
        ),
    ],
)
def test_values_of_the_object_store_that_need_each_other_are_named(chart, changes, sentence):
    with pytest.raises(helm_python.HelmError) as refusal:
        rendered(chart, objectStore=OBJECT_STORE | changes)
    assert sentence in str(refusal.value)


def test_workers_and_beat_are_restarted_by_their_signs_of_life(chart):
    for name, pod in pods(rendered(chart)).items():
        part = part_of(" ".join(pod["containers"][0].get("args", ())))
        if part is None:
            continue
        for probe, patience in (("startupProbe", 300), ("livenessProbe", 180)):
            about = pod["containers"][0][probe]
            assert about["exec"]["command"] == [
                "python", "-m", "bakeoff.container_check", part, "--alive",
            ], name  # fmt: skip
            assert about["periodSeconds"] * about["failureThreshold"] == patience


def test_migrations_come_first_and_web_ends_without_losing_requests(chart):
    objects = rendered(chart)
    hooks = objects["Job", "demo-migrate"]["metadata"]["annotations"]
    assert hooks["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert hooks["helm.sh/hook-delete-policy"] == "before-hook-creation"  # its log has the first keys
    web = objects["Deployment", "demo-web"]["spec"]
    (container,) = web["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert web["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert objects["PodDisruptionBudget", "demo-web"]["spec"]["maxUnavailable"] == 1
    grace = {pod["terminationGracePeriodSeconds"] for pod in pods(objects).values()}
    assert grace == {60}
    for selector in (
        objects["Service", "demo-web"]["spec"]["selector"],
        web["selector"]["matchLabels"],
    ):
        assert selector.items() <= web["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"existingSecret": ""}, "'/existingSecret': minLength"),
        ({"existingClaim": ""}, "'/existingClaim': minLength"),
        ({"image": {"repository": ""}}, "'/image/repository': minLength"),
        ({"secretKeys": ["DATABASE_URL", "REDIS_URL"]}, "'/secretKeys'"),
        ({"settings": {"BAKEOF_KEY": "a"}}, "invalid propertyName 'BAKEOF_KEY'"),
        ({"settings": {"BAKEOFF_ARTIFACTS": "s3://a"}}, "invalid propertyName 'BAKEOFF_ARTIFACTS'"),
        ({"objectStore": {"artifacts": "ftp://models"}}, "'/objectStore/artifacts': 'ftp://models'"),
        ({"objectStore": {"artifacts": "s3://key:secret@models"}}, "'/objectStore/artifacts'"),
        ({"objectStore": {"archive": "cold"}}, "'/objectStore/archive': 'cold' does not match"),
        ({"objectStore": {"archiveAfterMonths": 2}}, "'/objectStore/archiveAfterMonths'"),
        ({"objectStore": {"endpoint": "minio:9000"}}, "'/objectStore/endpoint': 'minio:9000'"),
        ({"objectStore": {"secretKeys": ["AWS_KEY"]}}, "'/objectStore/secretKeys/0'"),
        ({"objectStore": {"bucket": "a"}}, "additional properties 'bucket' not allowed"),
        ({"backup": {"enabled": True}}, "'/backup/destination': minLength"),
        (
            {"backup": BACKUP | {"destination": "/backups"}},
            "'/backup/destination': '/backups' does not",
        ),
        ({"backup": BACKUP | {"schedule": "nightly"}}, "'/backup/schedule': 'nightly' does not match"),
        ({"backup": BACKUP | {"maxHours": 0}}, "'/backup/maxHours': minimum"),
        ({"backup": BACKUP | {"keep": 7}}, "additional properties 'keep' not allowed"),
        ({"web": {"replicas": 0}}, "'/web/replicas': minimum"),
        ({"workers": {"loop": {"queues": ["dfault"], "replicas": 1}}}, "'/workers/loop/queues/0'"),
        ({"ingress": {"enabled": True, "host": ""}}, "'/ingress/host'"),
        ({"replicas": 2}, "additional properties 'replicas' not allowed"),
    ],
)
def test_a_value_that_is_missing_or_wrong_is_named(chart, values, sentence):
    with pytest.raises(helm_python.HelmError) as refusal:
        chart.validate_schema(NEEDED | values)
    assert sentence in str(refusal.value)


def test_helm_finds_nothing_to_say_and_the_version_is_ours(tmp_path):
    meta = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert meta["version"] == meta["appVersion"] == __version__
    for folder in ("templates",):
        for path in CHART.joinpath(folder).rglob("*"):
            (tmp_path / path.relative_to(CHART)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path.relative_to(CHART)).write_text(path.read_text())
    for name in ("Chart.yaml", "values.schema.json"):
        (tmp_path / name).write_text((CHART / name).read_text())
    # As somebody who has set what is needed: without it the schema refuses the chart's own values.
    values = yaml.safe_load((CHART / "values.yaml").read_text()) | NEEDED
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    found = helm_python.lint(str(tmp_path))
    assert [one["error"] for one in found["messages"] if one["severity"] > 1] == []


def test_the_deployment_page_names_the_needed_values():
    page = (ROOT / "docs" / "deployment.md").read_text()
    for name in ("existingSecret", "existingClaim", "image.repository"):
        assert re.search(rf"--set {re.escape(name)}=", page), name
