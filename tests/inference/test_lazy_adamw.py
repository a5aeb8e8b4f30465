"""AdamW by rows: the same as AdamW where every row is read, and cheaper where few are."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from inference.training.checkpoint import Checkpoint, save_checkpoint
from inference.training.lazy_adamw import LazyAdamW

OPTIONS = {"lr": 0.05, "weight_decay": 0.1}


def table(rows=6) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.linspace(-1, 1, rows * 3).reshape(rows, 3))


def step(optimiser, parameter, rows, *, sparse) -> None:
    """One step towards 0.3 in some rows, one of them read twice."""
    read = functional.embedding(torch.tensor([*rows, rows[0]]), parameter, sparse=sparse)
    optimiser.zero_grad()
    ((read - 0.3) ** 2).sum().backward()
    optimiser.step()


def test_it_is_adamw_where_every_row_is_read():
    ours, theirs = table(), table()
    lazy, dense = LazyAdamW([ours], **OPTIONS), torch.optim.AdamW([theirs], **OPTIONS)
    for _ in range(10):
        step(lazy, ours, range(6), sparse=True)
        step(dense, theirs, range(6), sparse=False)
    lazy.settle()
    assert torch.allclose(ours, theirs, atol=2e-4)  # the decay is an exponential


def test_a_row_that_is_not_read_decays_and_does_not_move():
    ours, theirs = table(), table()
    lazy, dense = LazyAdamW([ours], **OPTIONS), torch.optim.AdamW([theirs], **OPTIONS)
    before = ours.detach().clone()
    for _ in range(20):
        step(lazy, ours, [1, 2], sparse=True)
        step(dense, theirs, [1, 2], sparse=False)
    assert torch.equal(ours[4], before[4])  # nobody has looked at it yet
    lazy.settle()
    assert torch.allclose(ours, theirs, atol=1e-3)
    settled = ours.detach().clone()
    lazy.settle()
    assert torch.equal(ours, settled)


def test_what_has_a_dense_gradient_is_updated_by_adamw_itself():
    ours, theirs = table(), table()
    lazy, dense = LazyAdamW([ours], **OPTIONS), torch.optim.AdamW([theirs], **OPTIONS)
    for _ in range(5):
        step(lazy, ours, [0, 3], sparse=False)
        step(dense, theirs, [0, 3], sparse=False)
    assert torch.equal(ours, theirs)


def test_it_resumes_from_a_checkpoint_to_the_bit(tmp_path):
    ours = table()
    lazy = LazyAdamW([ours], **OPTIONS)
    for rows in ([0, 1], [1, 2], [3]):
        step(lazy, ours, rows, sparse=True)
    save_checkpoint(tmp_path, 3, {"table": ours}, lazy)
    again = table()
    found = Checkpoint.find(tmp_path, {"table": again})
    again.data.copy_(found.part("model")["table"])
    resumed = LazyAdamW([again], **OPTIONS)
    found.restore(resumed)
    for rows in ([5, 0], [1]):
        step(lazy, ours, rows, sparse=True)
        step(resumed, again, rows, sparse=True)
    lazy.settle()
    resumed.settle()
    assert torch.equal(ours, again)


@pytest.mark.parametrize("like", [{"table": table(7)}, {"other": table()}])
def test_a_checkpoint_of_another_model_is_none(tmp_path, like):
    ours = table()
    save_checkpoint(tmp_path, 1, {"table": ours}, LazyAdamW([ours], **OPTIONS))
    assert Checkpoint.find(tmp_path, like) is None
