"""What looks like a secret is hidden in a line that people read, and nothing else."""

from __future__ import annotations

import pytest

from bakeoff.known_settings import SECRETS
from inference.secrets_in_text import HIDDEN, hide_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hunter2@db/x", f"postgresql://{HIDDEN}@db/x"),
        ("Authorization: Bearer abc.def-123", f"Authorization: Bearer {HIDDEN}"),
        ("used sk_AbCdEf123456 twice", f"used {HIDDEN} twice"),
        ("api_key=abcdef&q=1", f"api_key={HIDDEN}&q=1"),
        ('{"password": "hunter2"}', f'{{"password": "{HIDDEN}"}}'),
        ("X-Amz-Signature=0a1b2c3d4e", f"X-Amz-Signature={HIDDEN}"),
        ("AKIA" + "IOSFODNN7EXAMPLE", HIDDEN),
        # The whole password, also where it has an @.
        ("postgresql://u:p@ss@host/db", f"postgresql://{HIDDEN}@host/db"),
        ("redis://:p@ss@cache:6379/0?x=a@b", f"redis://{HIDDEN}@cache:6379/0?x=a@b"),
        ("two: a://u:p@h b://v:q@i", f"two: a://{HIDDEN}@h b://{HIDDEN}@i"),
        # The keyword may stand anywhere in the name.
        ("aws_secret_access_key=wJalrXUtnFEMI/K7", f"aws_secret_access_key={HIDDEN}"),
        ("SECRET_KEY = abcdefgh", f"SECRET_KEY = {HIDDEN}"),
        ("private_key=abcdefgh", f"private_key={HIDDEN}"),
        ("access_key=abcdefgh", f"access_key={HIDDEN}"),
        ("X-Access-Key: abcdefgh", f"X-Access-Key: {HIDDEN}"),
        ("passphrase=abcdefgh", f"passphrase={HIDDEN}"),
        ("'auth_token_v2': 'abcdefgh'", f"'auth_token_v2': '{HIDDEN}'"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: Basic {HIDDEN}"),
        ('{"authorization": "basic dXNlcjpwYXNz"}', f'{{"authorization": "basic {HIDDEN}"}}'),
        ("sk-proj-AbCdEf1234567890XyZw", HIDDEN),
        ("xoxb-123456789012-AbCdEf", HIDDEN),
        ("hf_AbCdEfGhIjKlMnOpQrSt", HIDDEN),
        ("1,204 tokens: 512 a step", "1,204 tokens: 512 a step"),
        ("seed 0, step 3 of 40, loss 0.693", "seed 0, step 3 of 40, loss 0.693"),
        ("Basic training of two phases", "Basic training of two phases"),
        ("basic statistics: 40 rows", "basic statistics: 40 rows"),
        (
            "loading hf-internal-testing/tiny-random-bert",
            "loading hf-internal-testing/tiny-random-bert",
        ),
        ("SELECT st_distance_sphere(a, b)", "SELECT st_distance_sphere(a, b)"),
        ("pk_columns_of_items are unique", "pk_columns_of_items are unique"),
        ("https://hub.example/a@1/b: 200", "https://hub.example/a@1/b: 200"),
        ("http://host:8080/x?to=a@b", "http://host:8080/x?to=a@b"),
        ("max_tokens=512, tokens: 1204", "max_tokens=512, tokens: 1204"),
        ("tokenizer=bert-base-uncased", "tokenizer=bert-base-uncased"),
        ("foreign_key=item_id, monkey=yes", "foreign_key=item_id, monkey=yes"),
    ],
)
def test_secrets_are_hidden_and_nothing_else(text, shown):
    assert hide_secrets(text) == shown


def test_values_of_secret_settings_are_hidden(monkeypatch):
    monkeypatch.setenv("BAKEOFF_STORE_SECRET", "correct horse")
    assert hide_secrets("it said correct horse.") == f"it said {HIDDEN}."


@pytest.mark.parametrize("name", SECRETS)
def test_no_line_shows_the_value_of_a_setting_that_may_be_a_secret(name, monkeypatch):
    monkeypatch.setenv(name, "nothing-a-pattern-knows")
    assert hide_secrets("tried nothing-a-pattern-knows twice") == f"tried {HIDDEN} twice"
