"""Data sets, and the check of a version on one: assertions, cost, latency, the judge with sides swapped."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from bakeoff.accounts.models import AuditEntry
from bakeoff.cli import main
from experiments.actions.add_prompt import add_prompt
from experiments.actions.change_surface import create_surface
from experiments.actions.check_version import CannotCheckError, queue_check, run_check
from experiments.actions.delete_old_answers import delete_old_answers
from experiments.actions.erase_unit import erase_unit
from experiments.actions.judge_answers import spent_today
from experiments.actions.load_data_set import (
    CannotLoadDataSetError,
    DataSetRowDraft,
    load_data_set,
    past_inputs,
    read_rows,
)
from experiments.actions.plan_judging import plan_judging
from experiments.models import DataSetRow, RowAnswer, VersionCheck
from experiments.tasks import check_waiting_versions
from inference.judging.questions import PAIR_PROMPT
from inference.models import ModelVersion
from tests.support import builders
from tests.support.generating import prompt
from tests.support.provider import refuses, says

ROWS = 90  # with fewer, agreement on every row does not prove a margin of 5 points
VARIABLES = {
    name: {"max_length": 12_000} for name in ("rubric", "conversation", "answer_a", "answer_b")
}


def load(chat, *, rows: int = ROWS, assertions=({"type": "contains", "value": "order"},), **fields):
    drafts = [DataSetRowDraft([{"role": "user", "content": f"Question {n}"}]) for n in range(rows)]
    return load_data_set(
        surface=chat.surface, key="typical", rows=drafts, assertions=assertions, by="a test", **fields
    )


def judge_pairs(chat, answer: str) -> None:
    judges = create_surface(
        project=chat.project, key="judges", values={"kind": "generate"}, by="a test"
    )
    data = prompt(PAIR_PROMPT, model="judge", variables=VARIABLES)
    version = add_prompt(surface=judges, data=data, by="a test")
    plan_judging(surface=chat.surface, changes={"judge": f"judges/{version.label}"}, by="a test")
    chat.provider.by_model["judge"] = says(answer)


def challenger(chat, *, model="second", text="Your order is on its way.") -> ModelVersion:
    chat.provider.by_model["small"] = says("Your order comes soon.")
    chat.provider.by_model[model] = says(text)
    return add_prompt(surface=chat.surface, data=prompt("Be kind.", model=model), by="a test")


def check(chat, version, data_set) -> VersionCheck:
    return run_check(check=queue_check(version=version, data_set=data_set, by="a test"))


def test_a_version_that_is_not_worse_passes_and_is_asked_once(chat, provider):
    data_set, version = load(chat), challenger(chat)
    judge_pairs(chat, '{"better": "tie"}')
    done = check(chat, version, data_set)
    assert (done.state, done.message, done.rival.label) == ("passed", "", "prompt@1")
    version.refresh_from_db()
    assert version.gate["rival"] == "prompt@1"
    assert {"answered", "contains", "judge_preference", "cost"} <= set(version.gate["rows"])
    assert version.gate["units"] == ROWS
    before = len(provider.requests)
    assert before == 4 * ROWS  # both answer each row, and the judge compares both ways round
    provider.by_model["judge"] = says('{"better": "A"}')  # for its side alone
    assert check(chat, version, data_set).state == "passed"
    assert len(provider.requests) == before + 2 * ROWS  # answers are stored, judgements are made anew


def test_what_is_worse_is_refused_with_value_and_rule_and_rejected(chat):
    data_set, version = load(chat), challenger(chat, text="No idea.")
    done = check(chat, version, data_set)
    assert done.state == "refused"
    assert done.message.startswith("contains may be worse by 1.0000 (95% of 90 rows), must be at most")
    version.refresh_from_db()
    assert (version.alias, version.passed_gate) == ("rejected", False)
    move = version.moves.last()
    assert (move.before, move.after) == ("candidate", "rejected")
    actions = AuditEntry.objects.filter(project=chat.project).values_list("action", flat=True)
    assert {"load data set", "check version", "end check"} <= set(actions)


def test_few_rows_prove_nothing_by_the_default_margins_and_enough_by_wide_ones(chat):
    data_set, version = load(chat, rows=10), challenger(chat)
    done = check(chat, version, data_set)
    assert done.state == "refused"
    assert "answered may be worse by 0.2775 (95% of 10 rows), must be at most 0.05" in done.message
    plan_judging(
        surface=chat.surface, changes={"check_margin": 0.3, "check_latency_ratio": 1000.0}, by="a test"
    )
    done = check(chat, version, data_set)
    assert (done.state, done.result["about"]["accepted"]["margin"]) == ("passed", 0.3)


def test_what_checks_ask_a_judge_counts_in_its_day(chat, provider):
    data_set, version = load(chat, rows=3), challenger(chat)
    judge_pairs(chat, '{"better": "tie"}')
    plan = plan_judging(surface=chat.surface, changes={"daily_cost": 50e-6}, by="a test")
    done = check(chat, version, data_set)
    # Each answer of the judge costs 20 millionths: the third is given, a fourth is not asked for.
    assert (done.state, done.message) == (
        "failed", "the judge's budget of the day is spent: 6e-05 of 5e-05.",
    )  # fmt: skip
    assert spent_today(plan) == pytest.approx(60e-6)
    version.refresh_from_db()
    assert version.alias == "candidate"


def test_a_provider_that_gives_nothing_is_no_answer(chat, provider, monkeypatch):
    monkeypatch.setattr("inference.judging.completion.PAUSE_SECONDS", 0.01)
    data_set, version = load(chat, rows=4), challenger(chat)
    provider.by_model["second"] = refuses(500)
    done = check(chat, version, data_set)
    assert done.state == "refused"
    assert done.message.startswith("answered may be worse by 1.0000")
    errors = set(RowAnswer.objects.filter(version=version).values_list("error", flat=True))
    assert errors == {"provider 'test' answered 500"}


def test_each_new_version_is_checked_where_a_data_set_is_the_gate(chat):
    load(chat, is_gate=True)
    version = challenger(chat)
    version.refresh_from_db()
    assert not version.passed_gate
    queued = VersionCheck.objects.get(version=version)
    with pytest.raises(CannotCheckError, match="is being checked on 'typical' already"):
        queue_check(version=version, data_set=queued.data_set, by="a test")
    check_waiting_versions()
    version.refresh_from_db()
    assert version.passed_gate
    assert run_check(check=queued).state == "passed"  # made twice, it is made once


def test_past_requests_are_frozen_with_consent_and_erased_with_their_users(chat):
    chat.set(store="full")
    for n in range(3):
        chat.ask(user=f"u{n}")
    chat.ask(user="no-consent", metadata={"consent": "denied"})
    rows = past_inputs(surface=chat.surface, limit=10)
    assert {row.unit_id for row in rows} >= {"u0", "u1", "u2"}
    # The version's own message is left out: another version puts its own before the conversation.
    assert rows[0].messages == [{"role": "user", "content": "Where is my order?"}]
    load_data_set(surface=chat.surface, key="past", rows=rows, by="a test")
    load(chat, rows=2)
    erase_unit(project_id=chat.project.pk, unit_id="u1", by="a test")
    left = set(DataSetRow.objects.filter(project=chat.project).values_list("unit_id", flat=True))
    assert "u1" not in left
    assert "u0" in left
    delete_old_answers({chat.project.pk: 31}, builders.now() + timedelta(days=32))
    left = DataSetRow.objects.filter(project=chat.project).values_list("unit_id", flat=True)
    assert list(left) == ["", ""]  # those that a person loaded


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "rows == 0, must be at least 1"),
        ([b"{"], "line 1: .*must be JSON"),
        ([b"[]"], "line 1: must be an object of assertions, messages, variables"),
        ([b'{"messages": [{"role": "nobody"}]}'], "line 1.messages: must be a list of messages"),
        ([b'{"variables": 1}'], "line 1.variables: must be an object"),
        ([b"", b'{"assertions": [{"type": "x", "value": 1}]}'], r"line 2.assertions\[0\].type == 'x'"),
    ],
)
def test_rows_that_break_a_rule_are_refused(lines, message):
    with pytest.raises(CannotLoadDataSetError, match=message):
        read_rows(lines)


def test_the_shell_loads_checks_and_compares(chat, tmp_path):
    def run(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(main, [*words, "--project", chat.project.slug])
        assert done.exit_code == status, done.output
        return done.output

    file, rules = tmp_path / "rows.jsonl", tmp_path / "rules.json"
    row = {"messages": [{"role": "user", "content": "Hello"}]}
    file.write_text("\n".join(json.dumps(row) for _ in range(80)))
    rules.write_text(json.dumps([{"type": "max_length", "value": 100}]))
    loaded = run("data-sets", "load", "support", "hello", str(file), "--assertions", str(rules))
    assert loaded == "80 rows in data set 'hello' of 'support'.\n"
    version = challenger(chat)
    assert "prompt@2: passed." in run(
        "versions", "check", "support", version.label, "--data-set", "hello"
    )
    assert "must be one of ['hello']" in run("versions", "check", "support", version.label, status=2)
    assert "prompt@2" in run("data-sets", "list", "support")
    difference = run("versions", "diff", "support", "prompt@1", "prompt@2").splitlines()
    assert {"- model: small", "+ model: second"} <= set(difference)
    assert any(line.startswith("+") and "Be kind." in line for line in difference)
    assert (
        run("versions", "diff", "support", "prompt@1", "prompt@1")
        == "prompt@1 and prompt@1 ask the same.\n"
    )
    chat.set(store="full")
    chat.ask()
    frozen = run("data-sets", "freeze", "support", "past", "--rows", "5", "--gate")
    assert frozen == "1 row in data set 'past' of 'support'; each new version is checked on it.\n"


def test_a_program_loads_and_checks_over_http(chat):
    address, version = "/v1/surfaces/support", challenger(chat)
    rows = [{"messages": [{"role": "user", "content": "Hello"}]}] * 2
    body = {"key": "hello", "rows": rows, "assertions": [{"type": "max_length", "value": 100}]}
    assert chat.lane.post(f"{address}/data-sets", body, chat.secret).status_code == 201
    headers = {"Authorization": f"Bearer {chat.secret}"}
    assert chat.lane.client.get(f"{address}/data-sets", headers=headers).json()[0]["key"] == "hello"
    wrong = chat.lane.post(f"{address}/data-sets", body | {"rows": [{"text": "x"}]}, chat.secret)
    assert wrong.status_code == 422
    assert wrong.json()["error"]["message"].startswith("rows[0]: must be an object of assertions")
    checks = f"{address}/models/prompt/{version.number}/checks"
    assert chat.lane.post(checks, {"data_set": "no"}, chat.secret).status_code == 422
    assert chat.lane.post(checks, {"data_set": "hello"}, chat.secret).json()["state"] == "queued"
    assert chat.lane.post(checks, {"data_set": "hello"}, chat.secret).status_code == 409
    check_waiting_versions()
    (done,) = chat.lane.client.get(checks, headers=headers).json()
    assert (done["state"], done["rival"]) == ("refused", "prompt@1")  # two rows prove nothing
    assert done["result"]["rows"]["max_length"]["challenger"] == 1.0


def test_preferences_are_written_as_pairs(chat, tmp_path):
    chat.set(store="full")
    chat.ask()
    edit = builders.FeedbackRow(
        project_id=chat.project.pk, feedback_id="edit-1", unit_id="u1", kind="edit", value=0.5,
        recommendation_id=str(chat.last().pk), item_id="", text="It is on its way.", tags=[], redacted=[],
        withdrawn=False, trainable=True, state="ok", received_at=builders.now().isoformat(), trusted=True,
    )  # fmt: skip
    builders.write(builders.Rows(feedback=[edit]))
    file = tmp_path / "pairs.jsonl"
    done = CliRunner().invoke(
        main, ["export", "preferences", "support", "--to", str(file), "--project", chat.project.slug]
    )
    assert done.output == f"1 answer written to {file}, 1 of them as pairs.\n"
    line = json.loads(file.read_text())
    assert (line["chosen"], line["rejected"], line["source"]) == (
        "It is on its way.", "Hello there.", "edit",
    )  # fmt: skip
    assert line["messages"][-1] == {"role": "user", "content": "Where is my order?"}
