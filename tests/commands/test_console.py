"""Every command and every option through the installed console script."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import click
import pytest
from django.db import connection

from bakeoff.cli import main
from bakeoff.commands.old_options import CommandWithOldOptions
from experiments.actions.advance_challenger import advance_challenger
from inference.actions.cancel_training import cancel_training
from inference.models import Snapshot, TrainingRun
from tests.support import builders
from tests.support.commands import run
from tests.support.console import NO_REDIS, NOWHERE, SCRIPT
from tests.support.load_calls import FOREIGN_FILES, LOADS
from tests.support.offline_calls import OFFLINE, PUT_AWAY

ROOT = Path(__file__).parents[2]
CSV = "variant,bought,pre,country,week\n" + "".join(
    f"{'control' if n % 2 else 'new'},{int(n % 7 == 0)},{n % 5},{'DE' if n % 3 else 'FR'},{n // 300}\n"
    for n in range(1200)
)
TOTALS = "look,variant,metric,n,sum\n1,control,m,900,90\n1,new,m,900,99\n2,control,m,1900,190\n2,new,m,1900,199\n"
ITEMS, RATINGS = "movieId,title\n1,Heat\n", "userId,movieId,rating,timestamp\nu,1,5,x\n"


# Commands that list rows.
LISTS = [
    ["surfaces", "list"], ["metrics", "list"], ["models", "home-feed"], ["data-sets", "list", "home-feed"],
    ["runs", "list", "home-feed"], ["experiments", "list"], ["keys", "list"], ["audit", "list"], ["alerts", "list"], ["alerts", "deliveries"], ["feedback", "themes", "home-feed"], ["feedback", "surveys", "home-feed"],
    ["examples", "list", "home-feed"],
]  # fmt: skip

# Calls to a platform with a shop: {id} is its project.
ONLINE = [
    (["sample", "remove", "--yes"], 1, "there is no sample shop"),
    (["power", "--surface", "nowhere", "--mde", "0.05"], 2, "surface == 'nowhere', must be one of"),
    (["power", "--surface", "home-feed"], 2, "mde: --mde must be given"),
    (["power", "--surface", "home-feed", "--mde", "0.05", "--traffic", "9"], 2, "--traffic: must not be given with --surface"),
    (["power", "--surface", "home-feed", "--mde", "0.05", "--metric", "none"], 2, "metric == 'none', must be one of"),
    (["power", "--surface", "home-feed", "--mde", "0.05", "--split", "1/1/1"], 2, "split == '1/1/1', must be two shares"),
    (["power", "--surface", "home-feed", "--mde", "0.05", "--metric", "clicks"], 2, "visitors of the last week =="),
    (["power", "--surface", "home-feed", "--mde", "0.05", "--block-seconds", "300", "--carry-over-seconds", "60"], 2, "past blocks of 300 s with users =="),
    (["power", "--surface", "home-feed", "--block-seconds", "300", "--carry-over-seconds", "60"], 2, "mde: --mde must be given"),
    (["models", "home-feed"], 0, "popularity@1"),
    (["models", "nowhere"], 2, "surface == 'nowhere', must be one of"),
    (["versions", "add", "home-feed", "items.csv", "--name", "short"], 1, "kind == 'recommend', must be 'generate' for a prompt"),
    (["versions", "show", "home-feed", "popularity@1"], 1, "popularity@1 ranks or labels"),
    (["versions", "diff", "home-feed", "popularity@1", "popularity@1"], 1, "popularity@1 ranks or labels"),
    (["versions", "check", "home-feed", "popularity@1", "--data-set", "typical"], 2, "data set == 'typical', there is none yet: `bakeoff data-sets load home-feed`"),
    (["data-sets", "load", "home-feed", "typical", "items.csv", "--assertions", "items.csv", "--gate"], 1, "line 1: "),
    (["data-sets", "freeze", "home-feed", "past", "--rows", "5", "--assertions", "items.csv", "--gate"], 1, "past requests with a stored text == 0"),
    (["data-sets", "list", "home-feed"], 0, "No data sets yet"),
    (["export", "preferences", "home-feed", "--to", "pairs.jsonl"], 0, "0 answers written to pairs.jsonl, 0 of them as pairs."),
    (["autopilot", "home-feed"], 0, "No primary metric: no automatic experiment starts. popularity@2 waits."),
    (["autopilot", "home-feed", "--primary-metric", "clicks", "--guardrail", "", "--ramp", "1%:60:1500,50%:0", "--ship-when", "significant",
      "--holdback-share", "3%", "--holdback-days", "7", "--cooldown-days", "0", "--approval", "propose", "--breaker-alpha", "0.001",
      "--interleave-first", "2", "--refresh", "always", "--resume"], 0, "popularity@2 starts its experiment next"),
    (["autopilot", "home-feed"], 0, "1% for 60 s and 1,500 users, 50% for 0 s"),
    (["autopilot", "home-feed", "--pause"], 0, "The autopilot is paused. popularity@2 waits."),
    (["autopilot", "home-feed", "--hold", "popularity@2", "--reason", "not yet"], 0, "not yet"),
    (["autopilot", "home-feed", "--release", "popularity@2"], 0, "popularity@2 waits"),
    (["autopilot", "home-feed", "--priority", "popularity@2=5"], 0, "Queue"),
    (["autopilot", "home-feed", "--priority", "popularity@2"], 2, "must be a version and a number such as ease@2=5"),
    (["autopilot", "home-feed", "--drop", "popularity@1"], 2, "popularity@1 is champion, must wait for its experiment"),
    (["autopilot", "home-feed", "--ramp", "5%"], 2, "must be steps such as 1%:3600,10%:86400:500,50%:0"),
    (["autopilot", "home-feed", "--ramp", "5%:0:1:2"], 2, "must be steps such as"),
    (["autopilot", "home-feed", "--ramp", "5%:0,1%:0"], 2, "ramp[1].share == 0.01, must be above 0.05: steps rise."),
    (["autopilot", "home-feed", "--guardrail", "orders"], 2, "must be metrics with margins such as orders=3%"),
    (["autopilot", "home-feed", "--holdback-share", "half"], 2, "must be a share such as 0.03 or 3%"),
    (["autopilot", "home-feed", "--holdback-share", "30%"], 2, "holdback_share == 0.3, must be a number in [0, 0.25)"),
    (["autopilot", "home-feed", "--guardrail", "orders=3%"], 2, "must be a metric of this project"),
    (["autopilot", "home-feed", "--pause", "--stay"], 2, "one change per call"),
    (["autopilot", "home-feed", "--continue"], 1, "has no running experiment"),
    (["autopilot", "home-feed", "--roll-back"], 1, "has no running experiment"),
    (["autopilot", "home-feed", "--approve", "9999999"], 2, "proposal == 9999999, there is none yet: no proposal of this surface is open"),
    (["autopilot", "home-feed", "--decline", "9999999"], 2, "proposal == 9999999, there is none yet: no proposal of this surface is open"),
    (["judging", "home-feed", "--label-share", "0.2", "--rubric", "Is it polite?"], 0, "label_share"),
    (["judging", "home-feed", "--judge-share", "0.5", "--daily-cost", "2"], 0, "Is it polite?"),
    (["judging", "home-feed", "--rubric-file", "no-such-file"], 2, "does not exist"),
    (["judging", "home-feed", "--check-margin", "0.1", "--check-min-share", "0.8"], 0, "check_margin"),
    (["judging", "home-feed", "--check-cost-ratio", "2", "--check-latency-ratio", "3"], 0, "3.0"),
    (["judging", "home-feed", "--points", "1"], 2, "points == 1, must be a whole number in [2, 10]."),
    (["judging", "home-feed", "--judge", "home-feed/popularity@1"], 2, "must be a version of another surface"),
    (["autopilot", "home-feed", "--json"], 0, '"surface": "home-feed"'),
    (["promote", "home-feed", "popularity@2", "--reason", "a test"], 0, "popularity@2 is the champion"),
    (["rollback", "home-feed", "popularity@1", "--reason", "a test", "--stop-experiment"], 0, "popularity@1 is the champion"),
    (["shadow", "home-feed", "popularity@2", "--reason", "a test"], 0, "unseen"),
    (["shadow", "home-feed", "popularity@9"], 2, "version == 'popularity@9'"),
    (["train", "home-feed", "--algorithm", "two-tower", "--params", "[]"], 2, "must be a JSON object"),
    (["train", "home-feed", "--algorithm", "ease", "--params", '{"l2": 1%s}' % ("0" * 400)], 1, "l2 == a number of 401 digits, must be above 0"),
    (["train", "home-feed"], 1, "no liked items"),
    (["train", "home-feed", "--algorithm", "two-tower", "--encoder", "pretrain@7"], 1, "encoder == 'pretrain@7', must be a version"),
    (["pretrain", "home-feed", "--method", "tsdae", "--views", "crop", "--steps", "10", "--params", "{}"], 1, "no liked items"),
    (["register", "home-feed"], 2, "give one of --endpoint and --python"),
    (["register", "home-feed", "--endpoint", "ftp://x", "--protocol", "v2", "--deadline-ms", "100"], 1, "url == 'ftp://x', must begin with"),
    (["register", "home-feed", "--python", "nothing"], 1, "no liked items"),
    (["import", "model", "inbox", "ghost.onnx"], 2, "does not exist"),
    (["import", "mlflow", "--surface", "home-feed", "--model-uri", "nowhere"], 1, "kind == 'recommend', must be 'classify' for a model of MLflow"),
    (["import", "mlflow", "--surface", "home-feed", "--model-uri", "nowhere", "--label", "a", "--output", "x", "--softmax", "--missing", "0",
      "--trust-model", "--deadline-ms", "9", "--input", "row"], 2, "input == 'row', must be like"),
    (["import", "model", "home-feed", "items.csv", "--items", "users.csv", "--deadline-ms", "100"], 1, "cannot be read as safetensors"),
    (["import", "model", "home-feed", "items.csv", "--label", "a", "--input", "text", "--output", "x", "--softmax",
      "--missing", "0"], 2, "input == 'text', must be like text=text or row=age,income"),
    (["compress", "popularity@9", "--int8", "--surface", "home-feed"], 2, "versions named 'popularity@9' == 0"),
    (["compress", "popularity@1"], 2, "give one of --int8, --distil, --prune and --project"),
    (["runs", "list", "home-feed"], 0, "No training runs yet"),
    (["runs", "show", "9999999"], 2, "run == 9999999, not found"),
    (["runs", "log", "9999999", "--lines", "5", "--json"], 2, "run == 9999999, not found"),
    (["train", "home-feed", "--algorithms", "item-knn,oracle", "--budget-seconds", "60", "--search", "20"], 1, "algorithms: 'oracle', must be among"),
    (["optimise", "home-feed", "--provider", "p", "--model", "m", "--data-set", "d", "--proposals", "3", "--rows", "5",
      "--budget-tokens", "10", "--budget-money", "1"], 1, "kind == 'recommend', must be 'generate'"),
    (["runs", "cancel", "9999999"], 2, "run == 9999999, not found"),
    (["archive", "--months", "1200", "--plan"], 0, "No month ended 1200 months ago or earlier."),
    (["archive", "--check", "--json"], 0, "["),
    (["analyze", "ghost", "--records"], 2, "experiment == 'ghost', there is none yet"),
    (["usage"], 0, "No usage yet.|events: "),
    (["usage", "--json"], 0, '"resets_at"'),
    (["usage", "--all", "--month", "1999-01", "--csv"], 0, "project,month,answers"),
    (["project", "quota", "{id}", "--answers", "7", "--events", "none", "--tokens", "none"], 0, "answers: 0 of 7 used|answers: "),
    (["project", "quota", "{id}", "--answers", "none"], 0, "no quota"),
    (["config", "export"], 0, "home-feed:"),
    (["surfaces", "list"], 0, "popularity@"), (["surfaces", "history", "home-feed", "--limit", "9", "--json"], 0, '"part": "autopilot"'),
    (["metrics", "list"], 0, "clicks"), *PUT_AWAY,
    (["completion", "bash"], 0, "_BAKEOFF_COMPLETE=bash_complete"),
    *[([*listed, "--json"], 0, "[") for listed in LISTS],
    (["config", "schema"], 0, "2020-12"),
    (["config", "apply", "-f", "items.csv", "--dry-run"], 2, "items.csv:1:1: "),
    (["config", "apply", "--file", "no.yaml", "--yes"], 2, "No such file"),
    (["experiments", "list"], 0, "No experiments yet"),
    (["experiments", "define", "trial", "--surface", "home-feed", "--control", "popularity@1", "--treatment", "popularity@2",
      "--metric", "clicks", "--weight", "0.3", "--policy", "{}", "--against-gate", "--name", "A trial",
      "--breaker-alpha", "0", "--mode", "split"], 0, "Draft trial created"),
    (["experiments", "define", "shares", "--surface", "home-feed", "--control", "popularity@1", "--treatment", "popularity@2",
      "--metric", "clicks", "--mode", "bandit", "--policy", '{"rule": "fixed"}', "--against-gate"], 2, "must be one of ['always_valid', 'exact'] in a bandit"),
    (["experiments", "define", "stores", "--surface", "home-feed", "--control", "popularity@1", "--treatment", "popularity@2",
      "--metric", "clicks", "--mode", "cluster", "--against-gate"], 2, "cluster_by == '', must name the attribute"),
    (["experiments", "define", "blocks", "--surface", "home-feed", "--control", "popularity@1", "--treatment", "popularity@2",
      "--metric", "clicks", "--mode", "switchback", "--policy", '{"block_seconds": 600, "carry_over_seconds": 400}', "--against-gate"],
     2, "carry_over_seconds == 400, must be at most 300, half of block_seconds"),
    (["experiments", "start", "trial"], 0, "trial runs"),
    (["experiments", "list"], 0, "trial"),
    (["report", "trial"], 0, "trial on home-feed: running."),
    (["report", "trial", "--json"], 0, '"experiment": "trial"'),
    (["report", "nothing"], 2, "experiment == 'nothing', not found in project"),
    (["experiments", "stop", "trial", "--reason", "a test"], 0, "trial stopped"),
    (["experiments", "stop", "trial"], 1, "must be running"),
    *LOADS,
    (["train", "ghost"], 2, "surface == 'ghost', "),
    (["units", "export", "u1", "--out", "u1.json"], 0, "rows written to u1.json"),
    (["units", "exclude", "u2", "u3"], 0, "2 units excluded"),
    (["units", "erase", "u1", "--yes", "--retrain"], 0, "deleted"),
    (["feedback", "export", "labels.csv", "--kind", "thumb"], 0, "0 labels written to labels.csv"),
    (["export", "recommendations", "home-feed", "--to", "slates.parquet", "--k", "5", "--key", "sk_1", "--url", "http://127.0.0.1:1", "--users", "nowhere.txt", "--context", "{}", "--fields", "labels", "--record-exposures", "later"], 2, "file 'nowhere.txt' does not exist"),
    (["export", "recommendations", "home-feed", "--to", "nowhere/slates.parquet", "--key", "sk_1"], 2, "folder of 'nowhere/slates.parquet'"),
    (["export", "recommendations", "home-feed", "--to", "slates.parquet", "--key", "sk_1", "--fields", "brand, price"], 2, "fields == 'price', must not"),
    (["export", "data", "--to", "records", "--every", "3600"], 0, "rows written to"),
    (["export", "data", "--to", "records", "--every", "5"], 2, "every == 5, must be 60 to"),
    (["export", "list", "--json"], 0, '"every_seconds": 3600'),
    (["export", "stop", "records"], 0, "Nothing more is written to"),
    (["export", "stop", "records"], 2, "must be one of `bakeoff export list`"),
    (["feedback", "themes", "home-feed"], 0, "No themes yet: there are 0 texts, of 40 needed"),
    (["feedback", "surveys", "home-feed"], 0, "No surveys."),
    (["feedback", "label", "home-feed", "--theme", "7"], 2, "must be of kind 'classify'"),
    (["feedback", "label", "home-feed", "--survey", "x", "--json"], 2, "survey == 'x', there is none yet: create one on the page Surveys"),
    (["feedback", "themes", "nowhere"], 2, "surface == 'nowhere', must be one of"),
    (["feedback", "export", "nowhere/labels.parquet"], 1, "No such file or directory"),
    (["models", "home\udcff"], 2, "'home\\udcff' is not well-formed text."),
    (["keys", "make", "--kind", "secret", "--name", "a test"], 0, "sk_"),
    (["keys", "make", "--scope", "serve", "--origin", "https://shop.example"], 0, "pk_"),
    (["keys", "make", "--expires", "2020-01-31"], 2, "expires_at == 2020-01-31T23:59:59+00:00, must be a time to come"),
    (["keys", "make", "--expires", "soon"], 2, "'soon' does not match the formats"),
    (["keys", "make", "--name", "for a week", "--expires", "2999-01-31T12:00"], 0, "pk_"),
    (["keys", "list", "--json"], 0, "2999-01-31T12:00:00"),
    (["keys", "make", "--scope", "admin"], 2, "scope == 'admin', must be one of ['serve', 'ingest']"),
    (["keys", "list"], 0, "a test"),
    (["keys", "change", "9999999", "--any-origin"], 2, "key == 9999999, not found"),
    (["keys", "change", "9999999", "--scope", "serve", "--origin", "https://shop.example"], 2, "key == 9999999, not found"),
    (["keys", "change", "1"], 2, "give --scope, --origin, --any-origin, --expires or --never-expires."),
    (["keys", "change", "9999999", "--expires", "2999-01-31"], 2, "key == 9999999, not found"),
    (["keys", "change", "9999999", "--expires", "2999-01-31", "--never-expires"], 2, "give one of --expires and --never-expires"),
    (["keys", "revoke", "9999999"], 2, "key == 9999999, not found"),
    (["audit", "list", "--actor", "operator", "--action", "make key", "--limit", "5", "--json"], 0, "for a week"),
    (["audit", "list", "--since", "2026-02-01", "--until", "2026-01-01"], 2, "since == 2026-02-01T00:00:00+00:00, must be before until"),
    (["audit", "export", "audit.jsonl", "--action", "make key"], 0, "3 entries written to audit.jsonl."),
    (["audit", "export", "audit.csv", "--actor", "nobody", "--since", "2026-01-01", "--until", "2999-01-01"], 0, "0 entries written to audit.csv."),
    (["audit", "export", "audit.txt"], 2, "out == 'audit.txt', must end in .jsonl or .csv."),
    (["config", "check", "--no-connect"], 1, "BAKEOFF_TESTS_PYTHON is no setting of Bakeoff."),
    (["project", "create", "another", "--name", "Another", "--admin", "nobody"], 2, "admin == 'nobody', nobody has this name."),
    (["project", "list"], 0, "UTC"),
    (["project", "list", "--json"], 0, "["),
    (["users", "add", "a b", "--email", "a@b.example", "--role", "admin", "--superuser", "--password-file", "items.csv"], 2, "username: Enter a valid"),
    (["users", "reset-password", "nobody", "--password-file", "items.csv"], 2, "username == 'nobody', nobody has this name."),
    (["users", "remove-second-factor", "nobody"], 2, "username == 'nobody', nobody has this name."),
    (["users", "invite", "no-address", "--role", "analyst"], 2, "email == 'no-address', must be an e-mail address."),
    (["users", "invite", "--role", "emperor"], 2, "'emperor' is not one of"),
    (["users", "invite", "ann@shop.example", "--role", "analyst"], 0, "BAKEOFF_PUBLIC_URL is not set. Invitation"),
    (["users", "invitations"], 0, "ann@shop.example"),
    (["users", "invitations", "--json"], 0, "analyst"),
    (["users", "revoke-invitation", "9999999"], 2, "invitation == 9999999, not found among the open ones."),
    (["users", "reset-link", "nobody"], 2, "username == 'nobody', nobody has this name."),
    (["users", "link", "nobody", "a-subject"], 2, "BAKEOFF_OIDC_ISSUER names no identity provider."),
    (["users", "list"], 0, "username|Nobody yet"),
    (["users", "list", "--json"], 0, "["),
    (["alerts", "subscribe", "ops", "https://hooks.example/x", "--kind", "webhook", "--event", "verdict"], 0, "whsec_"),
    (["alerts", "subscribe", "inner", "https://10.0.0.1/x"], 2, "is no public address"),
    (["alerts", "subscribe", "mail", "ops@shop.example", "--kind", "email"], 2, "BAKEOFF_SMTP_HOST names no SMTP server"),
    (["alerts", "change", "ops", "--name", "team", "--target", "https://hooks.example/y", "--event", "halt", "--pause"], 0, "'team' is changed"),
    (["alerts", "test", "team"], 2, "resume it first"),
    (["alerts", "change", "team", "--all-events", "--resume"], 0, "is changed"),
    (["alerts", "change", "team", "--all-events", "--event", "halt"], 2, "give one of --event and --all-events"),
    (["alerts", "change", "team"], 2, "--pause or --resume"),
    (["alerts", "rotate", "team"], 0, "whsec_"),
    (["alerts", "test", "team"], 0, "waits for a worker"),
    (["alerts", "list"], 0, "https://hooks.example/y"),
    (["alerts", "deliveries", "--state", "waiting", "--limit", "5"], 0, "test"),
    (["alerts", "resend", "9999999"], 2, "delivery == 9999999, not found"),
    (["alerts", "unsubscribe", "team"], 0, "'team' is deleted"),
    (["alerts", "rotate", "team"], 2, "subscription == 'team', not found"),
    (["simulate", "--from-events", "nope", "--days", "1"], 2, "metric == 'nope', must be one of ['clicks'"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    files = {
        "rows.csv": CSV, "totals.csv": TOTALS, "items.csv": ITEMS, "ratings.csv": RATINGS,
        "good.csv": RATINGS.replace("x", "1"), "users.csv": "user_id,country\nu1,DE\n",
        "events.csv": "event_id,name,unit_id,occurred_at\n1,click,u1,2026-01-01\n",
        "labelled.csv": "no,body,kind,more\n1,hello,greeting,2\n",
        **FOREIGN_FILES,
        "empty.csv": "text,label\n", "blank.csv": "", "unlabelled.csv": "text,label\nhello,\n",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def commands(group: click.Group = main, path: tuple[str, ...] = ()):
    """Every command that is no group, with its path."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_the_script_itself_is_installed():
    done = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=True)
    assert "analyze" in done.stdout


def test_help_of_every_command_is_readable():
    for path, command in commands():
        text = run(*path, "--help")
        assert "\\b" not in text, path
        assert "\b" not in text, path
        for option in command.params:
            # A usage line shows the choices of an argument in place of its name.
            shown = {
                option.opts[0],
                option.human_readable_name,
                option.make_metavar(click.Context(command)),
            }
            assert any(one in text for one in shown), (path, option.name)


def test_it_works_without_a_server(console, folder):
    away = {"DATABASE_URL": NOWHERE, "REDIS_URL": NO_REDIS, "BAKEOFF_HOME": str(folder / "home")}
    for arguments, status, words in OFFLINE:
        done = console(*arguments, status=status, cwd=folder, **away)
        assert any(word in done.output for word in words.split("|")), (arguments, done)


def test_it_works_on_a_platform(console, shop, folder, monkeypatch):
    """Each command once in a process of its own, then in this one, which has all modules already."""
    builders.make_version(shop.surface, [1] * 10)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BAKEOFF_PROJECT", shop.project.slug)
    called = set()
    for words_of_call, status, words in ONLINE:
        arguments = [shop.project.slug if word == "{id}" else word for word in words_of_call]
        path = next(path for path, _ in commands() if tuple(arguments[: len(path)]) == path)
        if path in called:
            output = run(*arguments, status=status)
        else:
            output = console(
                *arguments, status=status, cwd=folder, BAKEOFF_PROJECT=shop.project.slug
            ).output
        called.add(path)
        assert any(word in output for word in words.split("|")), (arguments, output)
    assert "must be one of" in run("models", "home-feed", "--project", "nobody", status=2)


@pytest.fixture
def trained(shop):
    """A shop whose champion was trained on a snapshot, so that it can be compressed."""
    shop.champion.snapshot = Snapshot.objects.create(
        surface=shop.surface, sha256="0" * 64, rows=10, units=10
    )
    shop.champion.save()
    return shop


def compress(console, shop, *how: str) -> tuple[Path, TrainingRun]:
    """Start a compression from a shell; return the call and its run, which nobody takes up."""
    call = console.start(
        "compress", "popularity@1", *how, "--in", shop.project.slug, PGAPPNAME="bakeoff-console-test"
    )
    deadline = time.monotonic() + 60
    while not (run := TrainingRun.objects.filter(surface=shop.surface, state="queued").first()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return call, run


def test_compress_starts_and_follows_a_run_in_every_form(console, trained):
    for how in (["--int8"], ["--distil", "1"], ["--prune", "1"], ["--project", "8"]):
        call, run = compress(console, trained, *how)
        assert run.params == {"how": how[0].removeprefix("--"), "size": int(how[-1]) if how[1:] else 0}
        cancel_training(run=run, by="a test")
        done = console.finish(call)
        assert done.status == 1
        assert "Traceback" not in done.output
        assert "cancelled" in done.stdout.lower()


def test_a_training_returns_when_its_version_is_champion(console, trained):
    """A surface's first version serves when the command ends: who asks next gets an answer of it."""
    trained.surface.versions.update(alias="retired")
    call, run = compress(console, trained, "--int8")
    version = builders.make_version(trained.surface, [1] * 10)
    TrainingRun.objects.filter(pk=run.pk).update(state="passed", version=version, message="It passed.")
    advance_challenger(surface=trained.surface)  # as the loop does at its next tick
    done = console.finish(call)
    assert done.status == 0, done.stderr
    assert "popularity@2 is the champion of 'home-feed'." in done.stdout


def test_a_training_says_what_its_version_waits_for(console, trained):
    call, run = compress(console, trained, "--int8")
    version = builders.make_version(trained.surface, [1] * 10)
    TrainingRun.objects.filter(pk=run.pk).update(state="passed", version=version, message="It passed.")
    assert "popularity@2 waits. No primary metric: no aut" in console.finish(call).stdout


def test_every_option_is_called_here():
    calls = [call for call, *_ in [*OFFLINE, *ONLINE]]
    calls += [["compress", how] for how in ("--int8", "--distil", "--prune", "--project", "--in")]
    # `make demo` runs the demonstration whole; the doctor is called below and has no option; the two of
    # a deployment have homes and servers of their own in tests/packaging/test_image.py, backups in test_backup.py, a move in test_move.py, an upgrade in test_upgrade_postgres.py.
    elsewhere = {
        ("demo",),
        ("doctor",),
        ("migrate",),
        ("artifacts",),
        ("backup",),
        ("restore",),
        ("move",),
        ("upgrade",),
    }
    for path, command in commands():
        used = {word for call in calls if tuple(call[: len(path)]) == path for word in call}
        options = {one.opts[0] for one in command.params if isinstance(one, click.Option)}
        missing = options - used - {"--project", "--futility", "--features"}  # two by their --no-
        assert path in elsewhere or (used and not missing), f"{path} is never called with {missing}"


def test_an_old_option_is_read_as_its_new_name(capsys):
    renamed = [(path, one) for path, one in commands() if isinstance(one, CommandWithOldOptions)]
    assert {old for _, command in renamed for old in command.old_options} == {
        "--method",
        "--recommender",
        "--most-users",
    }
    for path, command in renamed:
        required = ["x" for one in command.params if isinstance(one, click.Argument)]
        for old, new in command.old_options.items():
            option = next(one for one in command.params if new in one.opts)
            choices = getattr(option.type, "choices", ["7"])
            value = choices[-1]
            for spelled in ([old, value], [f"{old}={value}"]):
                before = command.make_context("x", [*required, *spelled], resilient_parsing=True)
                assert (
                    capsys.readouterr().err
                    == f"{old} is called {new} now; the old name ends with 0.3.\n"
                )
                after = command.make_context("x", [*required, new, value], resilient_parsing=True)
                assert before.params == after.params, path
                assert str(before.params[option.name]) == value
            with pytest.raises(click.UsageError, match=f"{old} is the old name of {new}"):
                command.make_context("x", [*required, old, value, new, value])
            assert old not in command.get_help(click.Context(command))


# Outages: one sentence, exit status 1, no traceback, no password.

NEEDS_DATABASE = [
    ["models", "home-feed"],
    ["train", "home-feed"],
    ["promote", "home-feed", "popularity@1"],
    ["load", "items", "items.csv"],
    ["experiments", "list"],
    ["up", "--port", "18"],
    ["migrate"],
]


@pytest.mark.parametrize("arguments", NEEDS_DATABASE, ids=lambda call: call[0])
def test_a_database_that_is_away_is_one_sentence(console, folder, arguments):
    done = console(
        *arguments, status=1, cwd=folder, DATABASE_URL=NOWHERE, BAKEOFF_HOME=str(folder / "home")
    )
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("Error: PostgreSQL does not answer (")
    assert line.endswith("`bakeoff doctor` says what to do.")
    assert "hidden" not in line


def test_a_redis_that_is_away_is_one_sentence(console, shop):
    erase = ["units", "erase", "u1", "--yes", "--project", shop.project.slug]
    done = console(*erase, status=1, REDIS_URL=NO_REDIS)
    assert done.stderr.startswith("Error: Redis does not answer (")


def test_a_database_that_ends_while_a_command_works_is_one_sentence(console, trained):
    """`train` follows its run for minutes: PostgreSQL's restart ends its connection."""
    call, run = compress(console, trained, "--int8")
    with connection.cursor() as cursor:
        cursor.execute("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'bakeoff-console-test'""")
        assert cursor.fetchall()
    done = console.finish(call)
    cancel_training(run=run, by="a test")
    assert done.status == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("Error: PostgreSQL does not answer (")
