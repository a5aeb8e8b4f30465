"""The Helm chart: rendered by Helm itself, checked against Kubernetes' schemas, its commands those of compose."""

from __future__ import annotations

import re
from pathlib import Path

import helm_python
import kubernetes_validate
import pytest
import yaml

from bakeoff import __version__
from bakeoff.known_settings import SETTINGS
from inference.queues import QUEUES

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "bakeoff"
NEEDED = {
    "image": {"repository": "registry.example/bakeoff"},
    "existingSecret": "bakeoff",
    "existingClaim": "bakeoff-home",
}
INGRESS = {"enabled": True, "host": "bakeoff.example.com", "tlsSecret": "tls", "className": "nginx"}
VERSIONS = ("1.29", "1.33", "1.37")


@pytest.fixture(scope="module")
def chart():
    with helm_python.Chart.load(str(CHART)) as chart:
        yield chart


def rendered(chart, **values) -> dict[tuple[str, str], dict]:
    """What is applied, by kind and name."""
    manifests = chart.render(NEEDED | values, name="demo", namespace="prod")
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
    "values", [{}, {"ingress": INGRESS, "podAnnotations": {"a": "b"}}], ids=["plain", "ingress"]
)
def test_what_it_renders_is_valid(chart, values, version):
    objects = rendered(chart, **values)
    assert len(objects) >= 10
    for one in objects.values():
        kubernetes_validate.validate(one, version, strict=True)
    assert (("Ingress", "demo-web") in objects) == ("ingress" in values)


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
