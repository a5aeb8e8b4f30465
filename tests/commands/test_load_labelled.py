"""Labelled texts from files: which column is what, what would count twice, and deleting them."""

from __future__ import annotations

import pytest

from bakeoff.accounts.models import AuditEntry
from experiments.models import LabelTask
from inference.models import Example, Surface
from tests.support.commands import run

TRIAGE = (
    "case no,Patient message,Urgency,age\n"
    "1,my wrist looks bent,urgent,30\n2,a sick note please,admin,\n3,blue lips,emergency,7\n"
)
COLUMNS = ("--text", "Patient message", "--label", "Urgency")


def write(folder, text, name="triage.csv"):
    file = folder / name
    file.write_text(text)
    return str(file)


def load(file, project, *options, status=0, surface="triage"):
    where = ("--surface", surface, "--project", project.slug)
    return " ".join(run("load", "labelled", file, *where, *options, status=status).split())


def texts_of(project):
    return sorted(Example.objects.filter(surface__project=project).values_list("text", flat=True))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--text", "Patient msg", "--label", "Urgency"),
            "triage.csv' has no column 'Patient msg', it has ['case no', 'Patient message', 'Urgency', "
            "'age']. Did you mean 'Patient message'?",
        ),
        (("--text", "patient message", "--label", "Urgency"), "Did you mean 'Patient message'?"),
        (("--text", "Patient message", "--label", "urgency"), "Did you mean 'Urgency'?"),
        ((*COLUMNS, "--id", "case_no"), "has no column 'case_no'"),
        (("--label", "Urgency", "--no-features"), "has no column 'text'"),
    ],
)
def test_a_column_that_the_file_lacks_is_refused_and_nothing_changes(
    tmp_path, project, options, sentence
):
    file = write(tmp_path, TRIAGE)
    load(file, project, *COLUMNS, "--id", "case no")
    before = list(Example.objects.filter(surface__project=project).values().order_by("pk"))
    assert sentence in load(file, project, *options, status=2)
    assert list(Example.objects.filter(surface__project=project).values().order_by("pk")) == before


def test_a_usual_name_in_other_letters_is_no_feature(tmp_path, project):
    file = write(tmp_path, "Text,label\nrain,a\n")
    assert "Did you mean 'Text'? Name it with --text COLUMN." in load(file, project, status=2)
    assert not Surface.objects.filter(project=project).exists()


def test_a_table_without_any_text_is_learnt_by_its_features(tmp_path, project):
    load(write(tmp_path, "age,label\n3,a\n4,b\n"), project)
    assert texts_of(project) == ["", ""]


def test_a_row_with_neither_text_nor_feature_is_rejected(tmp_path, project):
    file = write(tmp_path, 'text,label,age\n" ",a,\nrain,b,\n,c,7\n')
    output = load(file, project)
    assert "1 row is rejected" in output
    assert "text == ' ', must be a text, or the row must have a feature." in output
    assert "1 example has no text: learnt by its features alone." in output
    assert texts_of(project) == ["", "rain"]


def test_the_same_file_under_other_names_is_not_loaded_twice(tmp_path, project):
    file = write(tmp_path, TRIAGE)
    load(file, project, *COLUMNS, "--id", "case no")
    without = load(file, project, *COLUMNS)
    assert "3 rows are skipped: an example has the same text already" in without
    assert "0 labelled examples are in" in without
    assert len(texts_of(project)) == 3
    again = load(file, project, *COLUMNS, "--id", "case no")
    assert "(0 new, 3 replaced)" in again
    assert "skipped" not in again
    load(file, project, *COLUMNS, "--repeats")
    assert len(texts_of(project)) == 6


def test_content_first_and_ids_later_is_the_same_case(tmp_path, project):
    file = write(tmp_path, TRIAGE)
    load(file, project, *COLUMNS)
    assert "3 rows are skipped" in load(file, project, *COLUMNS, "--id", "case no")
    assert "3 rows are skipped" in load(file, project, *COLUMNS, "--no-features")
    more = write(tmp_path, TRIAGE + "4,new,admin,1\n")
    assert "1 labelled example is in" in load(more, project, *COLUMNS, "--id", "case no")


def test_rows_without_texts_are_compared_by_what_both_have(tmp_path, project):
    file = write(tmp_path, "no,age,label\n1,3,a\n2,4,b\n")
    load(file, project, "--id", "no")
    assert "2 rows are skipped" in load(file, project)


LOANS = "purpose,amount,status\nfor a car,900,paid\nfor a car,2500,default\nfor a car,700,paid\n"
LOAN_COLUMNS = ("--text", "purpose", "--label", "status")


def test_texts_are_the_same_only_with_the_same_features(tmp_path, project):
    load(write(tmp_path, LOANS), project, *LOAN_COLUMNS)
    more = "no,purpose,amount,status\n1,for a car,1200,paid\n2,for a car,900,paid\n"
    output = load(write(tmp_path, more), project, *LOAN_COLUMNS, "--id", "no")
    assert "1 row is skipped" in output  # of the amount that is there
    assert "1 labelled example is in" in output
    amounts = Example.objects.filter(surface__project=project).values_list("features", flat=True)
    assert sorted(int(one["amount"]) for one in amounts) == [700, 900, 1200, 2500]


@pytest.mark.parametrize("text", [("--text", "purpose"), ("--no-text",)])
def test_an_id_that_was_a_feature_before_makes_no_other_rows(tmp_path, project, text):
    rows = "no,purpose,amount,status\n1,for a car,900,paid\n2,for a car,2500,default\n"
    if text == ("--no-text",):
        rows, text = rows.replace("purpose", "what"), ()
    file = write(tmp_path, rows)
    load(file, project, *text, "--label", "status")
    assert "2 rows are skipped" in load(file, project, *text, "--label", "status", "--id", "no")
    changed = write(tmp_path, rows.replace("2500", "2600"))
    output = load(changed, project, *text, "--label", "status", "--id", "no")
    assert "1 row is skipped" in output
    assert "1 labelled example is in" in output


def test_two_files_with_ids_of_their_own_may_hold_one_text_each(tmp_path, project):
    load(write(tmp_path, "id,text,label\n1,hi,a\n"), project, "--id", "id")
    load(write(tmp_path, "id,text,label\n2,hi,a\n"), project, "--id", "id")
    assert texts_of(project) == ["hi", "hi"]


def test_rows_that_repeat_an_id_are_counted(tmp_path, project):
    rows = "".join(f"{n % 2},text {n},a\n" for n in range(1500))  # more than a statement takes
    output = load(write(tmp_path, "id,text,label\n" + rows), project, "--id", "id")
    assert "2 labelled examples are in" in output
    assert "1498 rows repeat an id: the last one holds." in output
    assert texts_of(project) == ["text 1498", "text 1499"]


def test_a_second_surface_is_made_where_that_is_said(tmp_path, project):
    file = write(tmp_path, "text,label\nrain,a\n")
    load(file, project)  # the project's first: nothing could have been meant but this
    typo = load(file, project, surface="triag", status=2)
    assert "surface == 'triag', must be one of ['triage']. Did you mean 'triage'?" in typo
    assert "--new makes it." in typo
    assert "and surface triag is made" in load(file, project, "--new", surface="triag")
    assert "(0 new, 1 replaced)" in load(file, project, "--new", surface="triag")


# Deleting


def delete(project, *options, status=0):
    where = ("triage", "--project", project.slug)
    return " ".join(run("examples", "delete", *where, *options, status=status).split())


@pytest.fixture
def loaded(tmp_path, project):
    load(write(tmp_path, TRIAGE), project, *COLUMNS, "--id", "case no")
    return project


def test_examples_are_deleted_by_their_ids(loaded, tmp_path):
    ids = tmp_path / "ids.txt"
    ids.write_text("3\n\n")
    assert "1 example deleted." in delete(loaded, "--ids", str(ids), "--yes")
    output = delete(loaded, "1", "9", "--yes")
    assert "1 id is not among the examples of 'triage'." in output
    assert "1 example deleted." in output
    assert texts_of(loaded) == ["a sick note please"]
    entries = AuditEntry.objects.filter(project=loaded, action="delete examples")
    assert [(one.actor, one.subject, one.detail) for one in entries] == [
        ("operator", "triage", {"examples": 1}),
        ("operator", "triage", {"examples": 1}),
    ]


def test_tasks_of_deleted_examples_go_with_them(loaded):
    surface = Surface.objects.get(project=loaded, key="triage")
    for source in ("example:1", "example:2", "answer:1"):
        task = LabelTask.objects.create(
            project=loaded, surface=surface, source_id=source, text="t", features={"age": 3}
        )
        task.opinions.create(reviewer="ann", label="admin")
    other = Surface.objects.create(project=loaded, key="other", kind="classify")
    LabelTask.objects.create(project=loaded, surface=other, source_id="example:1", text="t")
    delete(loaded, "1", "--yes")
    tasks = LabelTask.objects.filter(project=loaded).order_by("source_id")
    assert [*tasks.values_list("surface__key", "source_id")] == [
        ("triage", "answer:1"), ("other", "example:1"), ("triage", "example:2"),
    ]  # fmt: skip
    assert "2 examples deleted." in delete(loaded, "--all", "--yes")
    assert not tasks.filter(surface=surface, source_id__startswith="example:").exists()
    assert "replaced" in run("examples", "delete", "--help")


def test_examples_are_deleted_by_what_they_are(loaded):
    assert "No example is deleted." in delete(loaded, "--without-text")
    assert "No example is deleted." in delete(loaded, "--since", "2999-01-01")
    assert "3 examples deleted." in delete(loaded, "--since", "2020-01-01", "--yes")
    assert not AuditEntry.objects.filter(project=loaded, action="delete examples").count() > 1


def test_empty_texts_of_a_load_gone_wrong_are_found(loaded):
    Example.objects.filter(surface__project=loaded, example_id="1").update(text="")
    assert "1 example deleted." in delete(loaded, "--without-text", "--yes")
    assert len(texts_of(loaded)) == 2


def test_nothing_is_deleted_without_a_yes_or_a_way(loaded):
    assert "Delete 3 examples of 'triage' for good? [y/N]" in delete(loaded, "--all", status=1)
    assert "give one of" in delete(loaded, status=2)
    assert "give one of" in delete(loaded, "1", "--all", status=2)
    assert "surface == 'triag'" in run(
        "examples", "delete", "triag", "--all", "--project", loaded.slug, status=2
    )
    assert len(texts_of(loaded)) == 3


def test_examples_are_listed_with_their_ids(loaded):
    output = run("examples", "list", "triage", "--limit", "2", "--project", loaded.slug)
    assert output.count("wrist") + output.count("sick note") + output.count("blue lips") == 2
