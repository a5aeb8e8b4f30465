"""Labels, dates and names of examples: what is learnt, what is set aside, and that it is said."""

from __future__ import annotations

import csv
from datetime import timedelta

import pytest
from click.testing import CliRunner
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.cli import main
from experiments.actions.flag_feedback import flag_feedback
from experiments.actions.retrain_surface import retrain_surface
from experiments.actions.review_feedback import review_feedback
from experiments.ingest.load_events import PastEvent, load_events
from experiments.ingest.rows import Rows
from experiments.models import Feedback
from experiments.training_data.examples import examples_of
from experiments.training_data.signals import likes_of
from inference.actions.example_draft import ExampleDraft
from inference.actions.load_examples import load_examples
from inference.actions.queue_training import CannotTrainError
from inference.models import Example, Surface
from inference.serving.folded_labels import fold_label
from inference.training.clean_examples import RawExample, clean_examples
from inference.training.label_names import LabelsError, check_labels, choose_spellings
from tests.support import builders

NOW = 1_800_000_000.0


def raw(text, label, *, at=NOW, trusted=True, approved=False, unit="") -> RawExample:
    return RawExample(unit, text, {}, label, at, trusted, approved)


def clean(rows, declared=()):
    return clean_examples(rows, declared, latest=NOW + 300)


def pairs_of(examples):
    return list(zip(examples.texts, examples.labels, strict=True))


def test_case_and_blanks_make_no_label():
    spellings = ["Billing", "billing ", "BILLING", "Billing", " bil\u200aling", "\uff22illing"]
    rows = [raw(f"t{n}", label) for n, label in enumerate(spellings)]
    examples = clean([*rows, raw("a", "bil ling"), raw("b", "bil ling")])
    assert set(examples.labels) == {"Billing", "bil ling"}
    assert examples.notes == []
    assert set(clean(rows[:4], declared=["BILLing"]).labels) == {"BILLing"}


@given(st.lists(st.text(min_size=1, max_size=8), max_size=20))
def test_a_spelling_is_one_of_those_that_were_written(labels):
    spellings = choose_spellings(labels, [])
    for label in labels:
        assert fold_label(spellings[fold_label(label)]) == fold_label(label)
        assert fold_label(fold_label(label)) == fold_label(label)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["a", " A "], "is declared already as 'a'"),
        ([""], "must be a text of 1 to 200 characters"),
        (["x" * 201], "must be a text of 1 to 200 characters"),
        ([f"l{n}" for n in range(5001)], "labels == 5001 of them, must be at most 5000"),
    ],
)
def test_labels_that_cannot_be_declared_are_refused(labels, says):
    with pytest.raises(LabelsError, match=says):
        check_labels(labels)


def test_what_only_a_public_key_has_named_is_set_aside():
    rows = [raw(f"t{n}", label) for n, label in enumerate("aabb")]
    junk = [raw(f"j{n}", "junk", trusted=False, unit="u") for n in range(30)]
    known = [raw("k", " B", trusted=False, unit="u")]
    examples = clean([*rows, *junk, *known])
    assert set(examples.labels) == {"a", "b"}
    assert len(examples.labels) == 5
    (note,) = examples.notes
    assert note.startswith(
        "30 examples have labels that are not declared and are set aside: 'junk' (30)."
    )
    approved = [junk[0]._replace(approved=True), *junk[1:]]
    assert clean([*rows, *approved]).labels.count("junk") == 30
    assert "junk" in clean([*rows, *junk], declared=["a", "b", "junk"]).labels


def test_declared_labels_are_the_only_ones():
    rows = [raw(f"t{n}", label) for n, label in enumerate("aabbcc")]
    examples = clean(rows, declared=["a", "b", "d"])
    assert set(examples.labels) == {"a", "b"}
    assert "2 examples have labels that are not declared" in examples.notes[0]
    assert "no examples to learn from: 'd'" in examples.notes[1]


def test_a_label_needs_enough_examples():
    examples = clean([*(raw(f"t{n}", "ab"[n % 2]) for n in range(6)), raw("x", "once")])
    assert "once" not in examples.labels
    assert examples.notes == ["1 label has fewer than 2 examples and is left out: 'once' (1)."]


def test_of_too_many_labels_the_most_frequent_stay():
    rows = [raw(f"{n}-{m}", f"l{n}") for n in range(5007) for m in range(2 + (n < 10))]
    examples = clean(rows)
    assert len(set(examples.labels)) == 5000
    assert {f"l{n}" for n in range(10)} <= set(examples.labels)
    assert examples.notes == [
        "labels == 5007, must be at most 5000: the most frequent stay, 14 examples of the others are "
        "left out."
    ]


def test_dates_of_the_future_are_set_aside():
    rows = [raw(f"t{n}", "ab"[n % 2]) for n in range(6)]
    poisoned = [raw("p", "a", at=253_370_764_800.0), raw("q", "b", at=float("inf"))]
    examples = clean([*rows, *poisoned])
    assert max(examples.labelled_at) == NOW
    assert examples.notes == ["2 examples are dated in the future and are set aside."]


def test_contradictions_are_counted():
    rows = [raw("same  text", "a"), raw("Same text", "b"), raw("x", "a"), raw("y", "b")]
    assert clean(rows).notes == [
        "1 texts stand with more than one label: no model can get all of them right."
    ]


@pytest.fixture
def desk(shop, lane):
    surface = Surface.objects.create(
        project=shop.project, key="desk", kind="classify", static_list=["a"]
    )
    load_examples(
        surface_id=surface.pk,
        examples=[ExampleDraft(f"e{n}", f"text {n}", "ab"[n % 2]) for n in range(100)],
    )
    lane.refresh()
    shop.surface = surface
    return shop


def correct(lane, desk, label, unit="u1", key=None):
    ask = {"surface": "desk", "unit_id": unit, "text": f"please {unit} {label}"}
    answer = lane.post("/v1/classify", ask, desk.public).json()
    sent = lane.post(
        "/v1/feedback",
        {
            "recommendation_id": answer["recommendation_id"],
            "unit_id": unit,
            "kind": "correction",
            "value": label,
        },
        key or desk.public,
    )
    assert sent.status_code == 202, sent.text


def test_a_strangers_label_waits_for_a_person(empty_platform, lane, desk):
    for n in range(3):
        correct(lane, desk, "junk", unit=f"u{n}")
    correct(lane, desk, " A ", unit="u9")
    examples = examples_of(desk.surface)
    assert set(examples.labels) == {"a", "b"}
    assert len(examples.labels) == 101
    run = retrain_surface(surface=desk.surface, algorithm="tfidf", trigger="a test")
    assert run.notes[0].startswith("3 examples have labels that are not declared")
    flag_feedback()
    flagged = Feedback.objects.filter(project=desk.project, flags__contains=["undeclared"])
    assert [row.text for row in flagged] == ["junk"] * 3
    assert flag_feedback() == 0
    listed = lane.client.get(
        "/v1/feedback?flag=undeclared", headers={"Authorization": f"Bearer {desk.secret}"}
    ).json()
    assert len(listed["items"]) == 3
    review_feedback(feedback=flagged[0], state="ok", reason="", by="a person")
    assert examples_of(desk.surface).labels.count("junk") == 3


def test_a_declared_label_is_learnt_at_once(lane, desk):
    correct(lane, desk, "new", unit="u1")
    correct(lane, desk, "NEW", unit="u2")
    headers = {"Authorization": f"Bearer {desk.secret}"}
    body = {"labels": ["a", "b", "new"]}
    assert lane.client.patch("/v1/surfaces/desk", json=body, headers=headers).status_code == 200
    desk.surface.refresh_from_db()
    assert examples_of(desk.surface).labels.count("new") == 2


def test_a_secret_key_may_name_labels(lane, desk):
    for unit in ("u1", "u2"):
        correct(lane, desk, "refund", unit=unit, key=desk.secret)
    assert examples_of(desk.surface).labels.count("refund") == 2


def test_a_correction_in_another_case_was_right(lane, desk):
    correct(lane, desk, " A  ")
    assert Feedback.objects.get(project=desk.project).value == 1.0


def test_nothing_but_strangers_labels_is_nothing_to_learn(lane, desk):
    Example.objects.filter(surface=desk.surface).delete()
    correct(lane, desk, "junk")
    with pytest.raises(CannotTrainError, match=r"has no labelled examples: .* 'junk'"):
        retrain_surface(surface=desk.surface, algorithm="tfidf", trigger="a test")


@pytest.mark.parametrize(("count", "flagged"), [(99, False), (101, True)])
def test_bursts_outside_of_experiments_are_flagged(shop, count, flagged):
    slate = builders.make_slate(shop, "u")
    rows = [builders.feedback(shop, slate, unit_id=f"u{n}") for n in range(count)]
    builders.write(Rows(feedback=rows))
    flag_feedback()
    flagged_count = Feedback.objects.filter(project=shop.project, flags__contains=["burst"]).count()
    assert flagged_count == (count if flagged else 0)


def test_one_like_of_the_year_9999_is_set_aside(shop):
    now = builders.now()
    events = [PastEvent(f"e{n}", "click", f"u{n}", "i1", None, now) for n in range(3)]
    events.append(PastEvent("p", "click", "u3", "i2", None, now.replace(year=9999)))
    events.append(PastEvent("q", "click", "u4", "i2", None, now + timedelta(hours=1)))
    connection.ensure_connection()
    load_events(connection.connection, shop.project.pk, events)
    likes = likes_of(shop.surface)
    assert set(likes.item_ids) == {"i1"}
    assert likes.notes == ["2 likes are dated in the future and are set aside."]
    run = retrain_surface(surface=shop.surface, algorithm="popularity", trigger="a test")
    assert run.notes == list(likes.notes)
    assert run.snapshot.rows == 3


def load(tmp_path, project, name, rows, *options):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerows([("text", "label"), *rows])
    arguments = ["load", "labelled", str(file), "--surface", "desk", "--project", project.slug]
    result = CliRunner().invoke(main, [*arguments, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_a_file_of_february_adds_to_januarys(tmp_path, project):
    january = [(f"january {n}", "ab"[n % 2]) for n in range(300)]
    february = [(f"february {n}", "ab"[n % 2]) for n in range(300)]
    assert "300 labelled examples are in, and surface desk is made:" in load(
        tmp_path, project, "tickets.csv", january
    )
    (tmp_path / "tickets.csv").unlink()
    load(tmp_path, project, "tickets.csv", february)
    examples = Example.objects.filter(surface__project=project)
    assert examples.count() == 600
    again = load(tmp_path, project, "copy.csv", january)
    assert "(0 new, 300 replaced)" in again
    mended = load(tmp_path, project, "tickets.csv", [("january 0", "b"), ("new", "a")])
    assert "(1 new, 1 replaced)" in mended
    assert examples.count() == 601
    assert examples.get(text="january 0").label == "b"


def test_a_text_that_occurs_three_times_counts_three_times(tmp_path, project):
    output = load(tmp_path, project, "t.csv", [("hi", "a")] * 3 + [("ho", "a"), ("HO", "b")])
    assert "5 labelled examples are in" in output
    assert "1 text stands with more than one label in this file" in output


def test_labels_of_a_file_that_are_not_declared_are_named(tmp_path, project):
    Surface.objects.create(project=project, key="desk", kind="classify", labels=["a"])
    output = load(tmp_path, project, "t.csv", [("x", "A"), ("y", "b"), ("z", "b")])
    assert (
        "2 examples have labels that the surface does not declare, and are not learnt: 'b' (2)"
        in output
    )


def test_a_load_says_that_every_item_is_unknown(tmp_path, project):
    file = tmp_path / "events.csv"
    file.write_text(
        "event_id,name,unit_id,item_id,occurred_at\n"
        "1,click,u,x,2026-01-01\n2,click,u,y,2026-01-01\n3,visit,u,,2026-01-01\n"
    )
    result = CliRunner().invoke(main, ["load", "events", str(file), "--project", project.slug])
    output = " ".join(result.output.split())
    assert (
        "Of 2 new events with an item, every one names an item that is not in the catalogue" in output
    )
