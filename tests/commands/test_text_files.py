"""Files that people's programs wrote: lists of ids in other encodings, and ids that are numbers."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save

from bakeoff.data_files.rows import DatasetError
from bakeoff.data_files.text import read_text, stream_lines
from bakeoff.replay.log_files import Columns, read_dataset
from experiments.models import Event, Unit
from inference.models import Example, Item
from tests.support.commands import run
from tests.support.load_files import items_of, load

IDS = "Zoë\n\n  b 1 \r\nline\u2028inside\n"
LINES = ["Zoë", "b 1", "line\u2028inside"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_lines_are_read_in_any_encoding_that_says_which_it_is(tmp_path, encoding):
    file = tmp_path / "ids.txt"
    file.write_bytes(IDS.encode(encoding))
    assert list(stream_lines(file)) == LINES
    file.write_bytes(gzip.compress(IDS.encode(encoding)))
    assert list(stream_lines(file)) == LINES


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("Zoë".encode("latin-1"), "must be UTF-8, or UTF-16 with its byte order mark"),
        (b"PK\x03\x04rest", "is a workbook or an archive, must be a text"),
        (gzip.compress(b"abc", mtime=0)[:-6], "cannot be read"),
    ],
)
def test_what_is_no_text_is_refused_by_name(tmp_path, content, sentence):
    file = tmp_path / "ids.txt"
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=sentence) as refused:
        list(stream_lines(file))
    assert str(file) in str(refused.value)
    with pytest.raises(DatasetError, match="does not exist"):
        read_text(tmp_path / "none")


LATIN = "Zoë\n".encode("latin-1")


def test_commands_refuse_such_files_with_the_rule(tmp_path, shop):
    file = tmp_path / "ids.txt"
    file.write_bytes(LATIN)
    vectors = tmp_path / "v.safetensors"
    vectors.write_bytes(save({"item_vectors": np.ones((10, 2), np.float32)}))
    slug = ("--project", shop.project.slug)
    for arguments in (
        ("import", "model", "home-feed", vectors, "--items", file),
        ("judging", "home-feed", "--rubric-file", file),
        ("export", "recommendations", "home-feed", "--users", file, "--to", tmp_path / "x.parquet",
         "--key", shop.secret, "--url", "http://127.0.0.1:9"),
    ):  # fmt: skip
        output = " ".join(run(*map(str, arguments), *slug, status=2).split())
        assert "must be UTF-8, or UTF-16 with its byte order mark" in output, arguments
    assert not (tmp_path / "x.parquet").exists()


def test_a_data_set_is_read_like_other_files(tmp_path, shop):
    shop.surface.kind = "generate"
    shop.surface.save()
    file = tmp_path / "rows.jsonl"
    row = '{"messages": [{"role": "user", "content": "Grüße"}]}'
    slug = ("--project", shop.project.slug)
    file.write_bytes(f"{row}\n\n{row}\n".encode("utf-16"))
    assert "2 rows" in run("data-sets", "load", "home-feed", "greetings", str(file), *slug)
    file.write_bytes(f"{row}\n\nnot json\n".encode("utf-16"))
    refused = run("data-sets", "load", "home-feed", "greetings", str(file), *slug, status=1)
    assert "line 3" in refused
    file.write_bytes(row.encode("latin-1"))
    output = " ".join(run("data-sets", "load", "home-feed", "x", str(file), *slug, status=2).split())
    assert "must be UTF-8, or UTF-16 with its byte order mark" in output


def write(folder, called, /, **columns):
    file = folder / called
    pq.write_table(pa.table(columns), file)
    return str(file)


def test_whole_numbers_of_a_parquet_file_name_what_they_say(tmp_path, project):
    """Programs that hold a column with a gap as floats write 1.0 for 1."""
    file = write(
        tmp_path, "items.parquet",
        item_id=[1.0, 2.0, None, 2.5, 1e17], group_id=[7.0, None, 7.0, 7.0, 7.0], title=list("abcde"),
    )  # fmt: skip
    output = load("items", file, project)
    assert {key: item.group_id for key, item in items_of(project).items()} == {"1": "7", "2": ""}
    rejected = (tmp_path / "items.parquet.rejected.csv").read_text()
    assert "item_id == 2.5, must be a text or a whole number." in rejected
    assert "3 rows" in output
    load("users", write(tmp_path, "users.parquet", unit_id=[5.0, None], plan=["a", "b"]), project)
    assert set(Unit.objects.filter(project=project).values_list("unit_id", flat=True)) == {"5"}
    events = write(
        tmp_path, "events.parquet", event_id=["e1", "e2"],
        unit_id=[5.0, 6.0], name=["click", "click"], item_id=[1.0, None],
        occurred_at=["2026-11-01T00:00:00Z"] * 2,
    )  # fmt: skip
    load("events", events, project)
    stored = Event.objects.filter(project=project).values_list("unit_id", "item_id")
    assert {(unit, item or "") for unit, item in stored} == {("5", "1"), ("6", "")}


def test_a_replay_reads_them_in_the_same_way(tmp_path):
    items = write(tmp_path, "items.parquet", item_id=[1, 2, 3], text=["Ash", "Glass", "Sea"])
    log = write(
        tmp_path, "log.parquet", user_id=[1.0, 2.0, 3.0, None], item_id=[1.0, 2.0, 2.5, 1.0],
        rating=[5.0] * 4, timestamp=[1.0, 2.0, 3.0, 4.0],
    )  # fmt: skip
    data = read_dataset(tmp_path / "items.parquet", tmp_path / "log.parquet", Columns(), positive=4)
    assert [(one.unit_id, one.item_id) for one in data.interactions] == [("1", "1"), ("2", "2")]
    assert items != log


def test_labels_and_ids_of_examples(tmp_path, shop):
    file = write(tmp_path, "texts.parquet", text=["a", "b"], label=[1.0, 0.0], row=[10.0, None])
    surface = ("--surface", "home-feed")
    assert Item.objects.filter(project=shop.project).exists()
    shop.surface.kind = "classify"
    shop.surface.save()
    load("labelled", file, shop.project, *surface)
    labels = Example.objects.filter(surface=shop.surface).values_list("label", flat=True)
    assert sorted(labels) == ["0", "1"]
