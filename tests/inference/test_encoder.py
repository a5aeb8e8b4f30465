"""The real loading code on a real, tiny BERT."""

from __future__ import annotations

import numpy as np
import pytest

from inference.actions.load_items import as_bytes
from inference.encoders.item_vectors import (
    custom_vectors_of,
    embed_missing,
    other_widths,
    vectors_of,
)
from inference.encoders.locate import NotFoundError, locate_encoder, sha256_of_encoder
from inference.encoders.text_encoder import TextEncoder
from inference.models import Item, ItemVector
from tests.support import builders


@pytest.fixture(scope="module")
def encoder(tiny_bert) -> TextEncoder:
    return TextEncoder(str(tiny_bert))


def test_vectors_have_length_one(encoder):
    vectors = encoder.encode(["heat rain", "sun", ""])
    assert vectors.shape == (3, 64)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), rel=1e-5)


def test_batches_do_not_change_vectors(encoder):
    texts = ["heat", "rain sun night day", "love " * 40, "river", "black river red star"] * 20
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts[:5]])
    assert together[:5] == pytest.approx(alone, abs=1e-5)


def test_a_long_text_is_cut_not_refused(encoder):
    assert encoder.encode(["heat " * 5000]).shape == (1, 64)


def test_texts_are_embedded_once_for_all_projects(tables, tiny_bert):
    for expected in (1, 0):
        project = builders.make_project()
        item = Item.objects.create(project=project, item_id="a", title="lost river of stars")
        assert embed_missing([item]) == expected
        assert vectors_of([item]).shape == (1, 64)
    assert ItemVector.objects.filter(text_sha256=ItemVector.key_of("lost river of stars")).count() == 1


def test_a_vector_of_another_width_is_not_read_and_counted():
    supplied = [[3.0, 4.0], [0.0, 0.0], None, [1.0], [0.0, 2.0], [1.0, 2.0, 3.0]]
    items = [Item(vector=as_bytes(vector)) for vector in supplied]
    vectors = custom_vectors_of(items)
    assert vectors == pytest.approx(
        np.array([[0.6, 0.8], [0, 0], [0, 0], [0, 0], [0, 1], [0, 0]], dtype=np.float32)
    )
    assert other_widths(items) == 2
    assert other_widths([Item(vector=None)]) == other_widths([]) == 0
    assert custom_vectors_of([Item(vector=None)]) is None


def test_its_name_is_the_hash_of_its_weights(tiny_bert):
    assert len(sha256_of_encoder(str(tiny_bert))) == 64


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match=r"holds no config\.json"):
        locate_encoder(str(tmp_path), tmp_path)
