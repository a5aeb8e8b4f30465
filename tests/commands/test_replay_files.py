"""`bakeoff replay` reads people's files as they are: what is wrong is counted before a server starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff.data_files.labelled import LabelledColumns
from bakeoff.data_files.rows import DatasetError
from bakeoff.replay.log_files import Columns, read_dataset, read_labelled
from tests.support.console import NO_REDIS, NOWHERE

ITEMS = 'Book ID,Title,Price\n1,Ash,"€12,90"\n2,Glass,4.97\n2,Glass again,4.97\n,Lost,9\n'
LOG = (
    "User-ID,Book ID,Book-Rating,Date Added\n"
    "u1,1,3,2024-12-30 08:21:48\n"
    'u2,2,"4,5",2024-12-30\n'
    "u3,1,4,31/12/2024\n"
    "u4,1,five,2024-12-30\n"
    "u5,1,,2024-12-30\n"
    ",1,4,2024-12-30\n"
    "u6,,4,2024-12-30\n"
    "u7,999,4,2024-12-30\n"
    "u1,1,3,2024-12-31\n"
)
NAMED = Columns("Book ID", ("Title",), "User-ID", "Book-Rating", "Date Added")
OPTIONS = (
    *("--item-id", "Book ID", "--text", "Title", "--user-id", "User-ID", "--rating", "Book-Rating"),
    *("--timestamp", "Date Added"),
)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "books.csv").write_text(ITEMS, encoding="utf-16")
    (tmp_path / "ratings.csv").write_text(LOG)
    return tmp_path


def read(folder, columns=NAMED, positive=4.0):
    return read_dataset(folder / "books.csv", folder / "ratings.csv", columns, positive=positive)


def test_bad_rows_are_set_aside_and_the_rest_is_counted(files):
    dataset = read(files)
    assert [(one.unit_id, one.item_id, one.rating) for one in dataset.interactions] == [
        ("u2", "2", 4.5), ("u1", "1", 3.0), ("u1", "1", 3.0)
    ]  # fmt: skip
    rejected = (files / "ratings.csv.rejected.csv").read_text().splitlines()
    assert len(rejected) == 3
    assert "Date Added == '31/12/2024', must be seconds since 1970 or ISO 8601." in rejected[1]
    assert "Book-Rating == 'five', must be a number such as 12.90." in rejected[2]
    assert list(dataset.notes) == [
        "books.csv: 1 row repeats an item's id: the first holds; 1 row without an id is left out.",
        "ratings.csv: 3 of 9 rows are used; left out 1 with a blank rating, 1 without a user's id, "
        "1 without an item's id, 1 whose item is not in the catalogue.",
        f"2 rows are rejected ({files / 'ratings.csv.rejected.csv'}), the first because Date Added == "
        "'31/12/2024', must be seconds since 1970 or ISO 8601.",
        "ratings.csv: 1 row repeats a user and an item: the earliest counts.",
    ]  # fmt: skip
    assert [item.title for item in dataset.items] == ["Ash", "Glass"]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (Columns("book id", ("Title",), "User-ID"), r"has no column 'book id'.* Did you mean 'Book ID'\?"),
        (Columns("Book ID", ("Titel",), "User-ID"), r"has no column 'Titel'.* Did you mean 'Title'\?"),
        (Columns("Book ID", ("Title",), "User_ID"), r"has no column 'User_ID'.* Did you mean 'User-ID'\?"),
        (Columns("Book ID", ("Title",), "User-ID", "Rating"), "has no column 'Rating'"),
        (Columns("Book ID", ("Title",), "User-ID", None, "Date"), "has no column 'Date'"),
    ],
)  # fmt: skip
def test_a_column_that_a_file_lacks_is_refused(files, columns, sentence):
    with pytest.raises(DatasetError, match=sentence):
        read(files, columns)


def test_the_items_id_may_have_a_usual_name_in_one_of_the_files(files):
    (files / "books.csv").write_text("sku,title\n1,Ash\n")
    (files / "ratings.csv").write_text("user,product_id\nu,1\n")
    dataset = read(files, Columns("sku"))
    assert list(dataset.notes) == [
        "ratings.csv has no column 'sku': 'product_id' is read as the item's id."
    ]
    with pytest.raises(DatasetError, match="has no column 'nr'"):
        read(files, Columns("nr"))


def test_a_bound_that_no_rating_reaches_is_refused(files):
    with pytest.raises(DatasetError, match=r"positive == 40, must be at most 4\.5, the highest rating"):
        read(files, positive=40)
    assert read(files, positive=4.5).likes(read(files).interactions[0])


def test_a_log_without_a_row_of_use_says_why(files):
    (files / "ratings.csv").write_text("User-ID,Book ID\nu,7\nu,8\n,1\n")
    with pytest.raises(
        DatasetError, match="Left out: 2 whose item is not in the catalogue, 1 without a"
    ):
        read(files, Columns("Book ID", ("Title",), "User-ID"))


def test_a_folder_that_cannot_be_written_ends_no_replay(files):
    (files / "ratings.csv.rejected.csv").mkdir()
    note = next(note for note in read(files).notes if "rejected" in note)
    assert "2 rows are rejected" in note
    assert "ratings.csv.rejected.csv cannot be written: " in note
    assert "the first because Date Added" in note


def test_labelled_rows_without_a_label_or_a_text_are_set_aside(tmp_path):
    file = tmp_path / "triage.csv"
    file.write_text("msg,urgency\nrain,a\nsun,\n,b\n")
    notes = []
    rows = read_labelled(file, LabelledColumns("msg", "urgency"), notes.append)
    assert [(row.text, row.label) for row in rows] == [("rain", "a")]
    assert notes == [
        f"2 rows are rejected ({file}.rejected.csv), the first because urgency == '', must be a text of "
        "1 to 200 characters."
    ]


AWAY = {"DATABASE_URL": NOWHERE, "REDIS_URL": NO_REDIS}


def test_the_command_refuses_before_a_server_starts(console, files):
    away = {**AWAY, "BAKEOFF_HOME": str(files / "home")}
    log = ("replay", "--items", "books.csv", "--interactions", "ratings.csv", *OPTIONS)
    done = console(*log, "--positive", "40", status=2, cwd=files, **away)
    assert "positive == 40, must be at most 4.5" in done.stderr
    (files / "t.csv").write_text("msg,urgency\nrain,a\n")
    labelled = ("replay", "--labelled", "t.csv", "--label", "urgency")
    for options, sentence in (
        (
            ("--text", "Msg"),
            "file 't.csv' has no column 'Msg', it has ['msg', 'urgency']. Did you mean",
        ),
        (("--text", "msg", "--visitors", "ratings.csv"), "file 'ratings.csv' has no column 'msg'"),
        (("--text", "msg", "--text", "urgency"), "--text must be given once with --labelled."),
        (("--text", "msg", "--user-id", "msg"), "--user-id must be left out with --labelled."),
    ):
        assert sentence in console(*labelled, *options, status=2, cwd=files, **away).stderr
    rows = "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(60))
    (files / "t.csv").write_text(f"msg,urgency\n{rows}")
    done = console(*labelled, "--text", "msg", status=2, cwd=files, **away)
    shown = " ".join(done.stderr.replace("│", " ").split())
    assert "held-out examples == 8, must be at least 20. Of 40 examples with 2 labels" in shown
    assert "load about 64 more" in shown
    assert not (files / "home").exists()
    # What is left out is told first; then the servers are looked for, and are away.
    done = console(*log, status=1, cwd=files, **away)
    assert "ratings.csv: 3 of 9 rows are used; left out 1 with a blank rating" in done.stdout


INTERRUPTED = """
import os, signal, sys
from bakeoff.cli import main
from bakeoff.embedded.supervisor import Platform

# Tests that a shell runs in the background inherit that it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def start(platform):
    os.kill(os.getpid(), int(sys.argv[1]))
    signal.pause()

Platform.start_servers = start
main(sys.argv[2:])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["log", "labelled"])
def test_a_replay_that_is_stopped_while_it_starts_says_so_and_no_more(files, number, kind):
    (files / "t.csv").write_text(
        "text,label\n" + "".join(f"rain {n},{'ab'[n % 2]}\n" for n in range(240))
    )
    log = ["--items", "books.csv", "--interactions", "ratings.csv", *OPTIONS]
    options = log if kind == "log" else ["--labelled", "t.csv"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(int(number)), "replay", *options, "--exit"],
        capture_output=True, text=True, check=False, cwd=files, timeout=120,
        env={**os.environ, "BAKEOFF_HOME": str(files / "home")},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "Stopping …"
    assert done.stderr == ""
    assert done.returncode == 1
    assert not Path(files / "home").exists()
