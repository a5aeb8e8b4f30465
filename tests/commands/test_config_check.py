"""`bakeoff config check`, and secrets by file: one sentence for each thing that is wrong."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

import pytest
import requests
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from click.testing import CliRunner

from bakeoff.cli import main
from bakeoff.commands.config_check_outside import _faults_of_provider
from bakeoff.environment import SettingError, read_environment
from bakeoff.known_settings import FOREIGN_SECRETS, SECRETS, SETTINGS, unknown_settings
from bakeoff.oidc_settings import OidcSettings
from tests.support.config_checks import check
from tests.support.debian_servers import free_port
from tests.support.oidc import running_provider

ROOT = Path(__file__).parents[2]
AWAY = "postgresql://bakeoff:hunter2@127.0.0.1:1/bakeoff"


def test_the_table_of_settings_is_that_of_the_docs():
    page = (ROOT / "docs" / "settings.md").read_text().partition("## Behind a proxy")[0]
    rows = re.findall(r"^\| ([A-Z_<>, ]+) \|", page, re.MULTILINE)
    documented = {name for row in rows for name in row.split(", ")}
    assert documented == {*SETTINGS, "BAKEOFF_PROVIDER_KEY_<NAME>"}
    files = page.partition("### Settings by file")[2]
    assert all(name in files for name in FOREIGN_SECRETS)


def test_every_setting_that_a_backup_shows_was_decided_to_hold_no_secret():
    """A new setting belongs here or in SECRETS: of a URL, whether its rule refuses a password."""
    assert set(SETTINGS) - set(SECRETS) == {
        "BAKEOFF_HOME", "BAKEOFF_POOLED", "BAKEOFF_ENCODER", "BAKEOFF_IMAGE_ENCODER",
        "BAKEOFF_TICK_SECONDS", "BAKEOFF_TORCH_THREADS", "BAKEOFF_TRAINING_PROCESSES",
        "BAKEOFF_CHECKPOINT_SECONDS", "BAKEOFF_DEVICE", "BAKEOFF_PUBLIC_URL", "BAKEOFF_TRUSTED_PROXIES",
        "BAKEOFF_ALLOWED_HOSTS", "BAKEOFF_KEY_GROUP", "BAKEOFF_KEY_RATE", "BAKEOFF_ADDRESS_RATE",
        "BAKEOFF_UNIT_RATE", "BAKEOFF_PROJECT_RATE", "BAKEOFF_OUTGOING_ALLOW", "BAKEOFF_PROVIDERS", "BAKEOFF_LOCAL_LLM",
        "BAKEOFF_LOCAL_MODELS", "BAKEOFF_SMTP_HOST", "BAKEOFF_SMTP_SECURITY", "BAKEOFF_SMTP_PORT",
        "BAKEOFF_SMTP_FROM", "BAKEOFF_MIN_GROUP_USERS", "BAKEOFF_SECOND_FACTOR", "BAKEOFF_ARTIFACTS",
        "BAKEOFF_ARCHIVE", "BAKEOFF_ARCHIVE_AFTER_MONTHS", "BAKEOFF_LOG_FORMAT", "BAKEOFF_LOG_LEVEL",
        "BAKEOFF_LOG_MEGABYTES", "BAKEOFF_DEBUG", "BAKEOFF_OTLP_CONTENT", "BAKEOFF_OIDC_ISSUER",
        "BAKEOFF_OIDC_CLIENT_ID", "BAKEOFF_OIDC_SCOPES", "BAKEOFF_OIDC_GROUPS_CLAIM",
        "BAKEOFF_OIDC_ROLES", "BAKEOFF_PROJECT",
    }  # fmt: skip


def test_the_chart_takes_secrets_that_the_platform_reads_and_no_other():
    schema = json.loads((ROOT / "deploy" / "helm" / "bakeoff" / "values.schema.json").read_text())
    names, providers = schema["properties"]["secretKeys"]["items"]["anyOf"]
    assert set(names["enum"]) == {*SETTINGS, *FOREIGN_SECRETS} - {"BAKEOFF_HOME"}
    assert providers == {"pattern": "^BAKEOFF_PROVIDER_KEY_[A-Z0-9_]+$"}


def test_a_name_that_is_none_is_named_with_a_suggestion():
    names = [
        "BAKEOFF_LOG_FROMAT",
        "BAKEOFF_XYZZY",
        "BAKEOFF_HOME",
        "BAKEOFF_PROVIDER_KEY_OPENAI",
        "BAKEOFF_SMTP_PASSWORD_FILE",
        "PATH",
    ]
    assert list(unknown_settings(names)) == [
        "BAKEOFF_LOG_FROMAT is no setting of Bakeoff. Did you mean BAKEOFF_LOG_FORMAT?",
        "BAKEOFF_XYZZY is no setting of Bakeoff.",
    ]


def test_right_settings_are_right():
    done = check("--no-connect")
    assert (done.returncode, done.stdout) == (0, "The settings are right.\n")
    done = check()  # bundled servers are not asked: `bakeoff up` starts them
    assert (done.returncode, done.stdout) == (0, "The settings are right, and the servers answer.\n")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"BAKEOFF_PUBLIC_ULR": "https://a.example"},
            "BAKEOFF_PUBLIC_ULR is no setting of Bakeoff. Did you mean BAKEOFF_PUBLIC_URL?",
        ),
        (
            {"BAKEOFF_TICK_SECONDS": "fast"},
            "BAKEOFF_TICK_SECONDS == 'fast', must be a positive number of seconds.",
        ),
        (
            {"DATABASE_URL": "postgresql//nowhere:hunter2"},
            "DATABASE_URL cannot be parsed, must be like postgresql://user:password@host:5432/bakeoff.",
        ),
        ({"DATABASE_URL": AWAY}, "DATABASE_URL: connection failed"),
        (
            {"DATABASE_REPLICA_URL": "postgresql//nowhere:hunter2"},
            "DATABASE_REPLICA_URL cannot be parsed, must be like postgresql://user:password@host:5432/bakeoff.",
        ),
        ({"DATABASE_REPLICA_URL": AWAY}, "DATABASE_REPLICA_URL: connection failed"),
        ({"REDIS_URL": "http://127.0.0.1"}, "REDIS_URL begins with 'http', must begin with one of"),
        (
            {"REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"},
            "REDIS_URL: Error 111 connecting to 127.0.0.1:1",
        ),
        (
            {"BROKER_URL": "redis://:hunter2@127.0.0.1:1/0"},
            "BROKER_URL: Error 111 connecting to 127.0.0.1:1",
        ),
        (
            {"BROKER_URL": "sentinel://:hunter2@127.0.0.1:1,127.0.0.1:2/g"},
            "BROKER_URL: No sentinel of 127.0.0.1:1, 127.0.0.1:2 names a primary of 'g'.",
        ),
        ({"BAKEOFF_PROVIDERS": "/nowhere.yaml"}, "BAKEOFF_PROVIDERS: "),
        (
            {"SECRET_KEY_FILE": "/nowhere/key"},
            "SECRET_KEY_FILE == '/nowhere/key', cannot be read: No such file or directory.",
        ),
    ],
)
def test_each_fault_is_one_sentence(variables, sentence):
    done = check(**variables)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(sentence)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("project", "address", "warned"),
    [("10", "10", "10"), ("11", "10", ""), ("10", "0", "no limit"), ("0", "10", "")],
)
def test_a_rate_that_one_address_uses_up_is_warned_of(project, address, warned):
    done = check("--no-connect", BAKEOFF_PROJECT_RATE=project, BAKEOFF_ADDRESS_RATE=address)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[-1]) == (0, "The settings are right.")
    assert len(lines) == (2 if warned else 1)
    if warned:
        assert lines[0] == (
            f"Warning: BAKEOFF_PROJECT_RATE == {project}, should be above BAKEOFF_ADDRESS_RATE "
            f"({warned}): one address uses up what all keys of a project may send."
        )


def test_several_faults_are_all_named():
    done = check(DATABASE_URL=AWAY, REDIS_URL="redis://127.0.0.1:1/0", BAKEOFF_HOEM="/a")
    assert [line.split(maxsplit=1)[0] for line in done.stdout.splitlines()] == [
        "BAKEOFF_HOEM",
        "DATABASE_URL:",
        "REDIS_URL:",
    ]


def test_a_wrong_password_a_missing_database_and_missing_tables_are_named(tables):
    here = read_environment().database_url
    done = check(DATABASE_URL=here.replace("///bakeoff?", "///no_such_database?"))
    assert 'database "no_such_database" does not exist' in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_a_secret_is_taken_from_its_file(tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text("  a token of 24 characters\n")
    monkeypatch.setenv("BAKEOFF_METRICS_TOKEN_FILE", str(file))
    monkeypatch.setenv("BAKEOFF_METRICS_TOKEN", "")
    monkeypatch.setenv("BAKEOFF_PROVIDER_KEY_OPENAI_FILE", str(file))
    monkeypatch.setenv("BAKEOFF_SMTP_USER_FILE", str(file))  # a token, with some senders of e-mail
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS_FILE", str(file))
    monkeypatch.setenv("PGPASSWORD_FILE", "")
    taken = ("BAKEOFF_PROVIDER_KEY_OPENAI", "BAKEOFF_SMTP_USER", "OTEL_EXPORTER_OTLP_HEADERS")
    try:
        assert read_environment().metrics_token == "a token of 24 characters"
        for name in taken:
            assert os.environ[name] == "a token of 24 characters"
        # Taken once: what this process starts finds the secret and no file.
        assert "BAKEOFF_METRICS_TOKEN_FILE" not in os.environ
    finally:
        for name in taken:
            os.environ.pop(name, None)


def test_an_option_is_taken_from_the_file_of_its_variable(tmp_path):
    file = tmp_path / "warehouse"
    file.write_text("mysql://bi:hunter2@host/shop\n")
    done = CliRunner().invoke(
        main, ["analyze", "exposures", "--events", "e", "--metrics-file", str(tmp_path / "no.json")],
        env={"BAKEOFF_WAREHOUSE": None, "BAKEOFF_WAREHOUSE_FILE": str(file)},
    )  # fmt: skip
    # Without a warehouse, exposures would be a file that is missed first.
    assert "no.json', cannot be read" in done.output
    assert "BAKEOFF_WAREHOUSE" not in os.environ


@pytest.mark.parametrize(
    ("content", "also", "sentence"),
    [
        (None, "", r"SECRET_KEY_FILE == '.*', cannot be read: No such file or directory\."),
        (b" \n", "", r"SECRET_KEY_FILE == '.*', must hold a value: it is empty\."),
        (b"\xff\xfe", "", r"SECRET_KEY_FILE == '.*', cannot be read: it is no text\."),
        (b"abc", "xyz", r"SECRET_KEY and SECRET_KEY_FILE are both set, must be one of them\."),
    ],
)
def test_a_file_that_breaks_its_rule_is_named(tmp_path, monkeypatch, content, also, sentence):
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("SECRET_KEY_FILE", str(file))
    monkeypatch.setenv("SECRET_KEY", also)
    with pytest.raises(SettingError, match=sentence):
        read_environment()


def test_the_archive_is_tried(tmp_path):
    right = (0, "The settings are right, and the servers answer.\n")
    for place in (tmp_path, tmp_path / "not" / "yet", f"file://{tmp_path}"):
        done = check(BAKEOFF_ARCHIVE=str(place))
        assert (done.returncode, done.stdout) == right
        assert not list(tmp_path.iterdir())
    file = tmp_path / "file"
    file.touch()
    done = check(BAKEOFF_ARCHIVE=str(file / "archive"))
    assert (done.returncode, done.stdout) == (
        1, f"BAKEOFF_ARCHIVE: {file}/archive cannot be written: Not a directory.\n",
    )  # fmt: skip
    # Where even the question whether it exists is refused, as below an unreadable folder.
    done = check(BAKEOFF_ARCHIVE=f"{tmp_path}/{'a' * 300}")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("cannot be written: File name too long.\n")
    done = check(BAKEOFF_ARCHIVE=str(file / "archive"), BAKEOFF_ARTIFACTS=f"file://{tmp_path}/none")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "BAKEOFF_ARTIFACTS",
        "BAKEOFF_ARCHIVE",
    ]
    done = check("--no-connect", BAKEOFF_ARCHIVE="s3://key:hunter2@cold")
    assert done.stdout.startswith("BAKEOFF_ARCHIVE must be a bucket and a prefix alone")
    assert "hunter2" not in done.stdout


def _sign_in(_server, _session, _envelope, _mechanism, data):
    return AuthResult(success=data.password == b"right", handled=False)


@pytest.fixture
def smtp():
    controller = Controller(
        object(), hostname="127.0.0.1", port=free_port(), authenticator=_sign_in, auth_require_tls=False
    )
    controller.start()
    yield {
        "BAKEOFF_SMTP_HOST": "127.0.0.1",
        "BAKEOFF_SMTP_PORT": str(controller.port),
        "BAKEOFF_SMTP_SECURITY": "none",
        "BAKEOFF_SMTP_USER": "bakeoff",
    }
    controller.stop()


def test_identity_provider_smtp_and_the_receiver_of_traces_are_tried(smtp):
    with running_provider() as provider, socket.create_server(("127.0.0.1", 0)) as receiver:
        client = {"BAKEOFF_OIDC_CLIENT_ID": "bakeoff", "BAKEOFF_OIDC_CLIENT_SECRET": "a secret"}
        traces = f"http://127.0.0.1:{receiver.getsockname()[1]}"
        done = check(
            **client, **smtp, BAKEOFF_SMTP_PASSWORD="right",
            BAKEOFF_OIDC_ISSUER=provider.issuer, BAKEOFF_OTLP_ENDPOINT=traces,
        )  # fmt: skip
        right = (0, "The settings are right, and the servers answer.\n")
        assert (done.returncode, done.stdout) == right, done.stderr
        receiver.close()
        done = check(
            **client, **smtp, BAKEOFF_SMTP_PASSWORD="hunter2",
            BAKEOFF_OIDC_ISSUER=f"{provider.issuer}/realms/none", BAKEOFF_OTLP_ENDPOINT=traces,
        )  # fmt: skip
    assert (done.returncode, "hunter2" in done.stdout + done.stderr) == (1, False)
    oidc, mail, spans = done.stdout.splitlines()
    assert oidc.endswith(
        "/realms/none/.well-known/openid-configuration answers with status 404, must be 200."
    )
    assert mail.startswith("BAKEOFF_SMTP_HOST: the server answers 535: ")
    assert spans.startswith("BAKEOFF_OTLP_ENDPOINT: 127.0.0.1 does not answer: ")


def test_a_provider_that_calls_itself_something_else_is_named(monkeypatch):
    about = requests.Response()
    about.status_code, about._content = 200, b'{"issuer": "https://other.example/"}'
    monkeypatch.setattr("requests.get", lambda *_, **__: about)
    settings = OidcSettings("https://id.example", "bakeoff", "a secret")
    assert list(_faults_of_provider(settings)) == [
        "BAKEOFF_OIDC_ISSUER == 'https://id.example', must be what the provider calls itself: "
        "'https://other.example/'."
    ]


def test_the_object_store_is_tried(tmp_path):
    done = check(BAKEOFF_ARTIFACTS=f"file://{tmp_path}")
    assert (done.returncode, done.stdout) == (0, "The settings are right, and the servers answer.\n")
    assert not list(tmp_path.iterdir())
    done = check(BAKEOFF_ARTIFACTS=f"file://{tmp_path}/none")
    assert done.returncode == 1
    assert done.stdout == (
        f"BAKEOFF_ARTIFACTS: file://{tmp_path}/none does not exist: make its bucket or folder first.\n"
    )
    done = check("--no-connect", BAKEOFF_ARTIFACTS="ftp://models")
    assert done.stdout == (
        "BAKEOFF_ARTIFACTS == 'ftp://models', must begin with one of ['s3://', 'gs://', 'file://'].\n"
    )
