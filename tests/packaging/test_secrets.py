"""Secrets stay out of the repository, and of everybody else's reach."""

from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bakeoff.embedded.home import prepare_home
from bakeoff.environment import read_environment
from bakeoff.secret_key import read_key
from tests.support.tracked_secrets import ROOT, secrets_among, tracked


def test_no_tracked_file_is_a_secret():
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    assert secrets_among(ROOT, tracked(ROOT)) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("secret_key", b"x"),
        ("deploy/tls.pem", b""),
        (".env", b""),
        ("notes.md", b"sk_" + b"a1B2" * 8),
        ("a.txt", b"-----BEGIN RSA PRIVATE" + b" KEY-----"),
    ],
)
def test_what_looks_like_a_secret_is_found(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    assert secrets_among(tmp_path, [name]) == [name]


@pytest.fixture
def no_key(monkeypatch):
    monkeypatch.delenv("SECRET_KEY", raising=False)


def test_processes_that_start_together_read_one_key_that_is_theirs_alone(tmp_path, no_key):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: read_key(tmp_path), range(40)))
    assert len(keys) == 1
    path = tmp_path / "secret_key"
    assert path.read_text() in keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret_key"]


def test_a_key_that_was_interrupted_is_made_anew(tmp_path, no_key):
    (tmp_path / "secret_key").touch()
    assert len(read_key(tmp_path)) > 40
    assert read_key(tmp_path) == (tmp_path / "secret_key").read_text()


def test_reading_the_settings_makes_nothing_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("BAKEOFF_HOME", "")  # set to nothing is not set
    subprocess.run(
        [sys.executable, "-c", "import bakeoff.settings as s; assert len(s.SECRET_KEY) > 40"],
        cwd=tmp_path, check=True, timeout=60,
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
    monkeypatch.chdir(tmp_path)
    assert read_environment().home == Path("~/.bakeoff").expanduser()


def test_a_home_is_its_owners_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("BAKEOFF_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir(mode=0o755)
    prepare_home(read_environment()).close()
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_older_keys_still_verify(monkeypatch):
    code = "import bakeoff.settings as s; print(s.SECRET_KEY, *s.SECRET_KEY_FALLBACKS)"
    monkeypatch.setenv("SECRET_KEY", "new")
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", "older, oldest")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["new", "older", "oldest"]
