"""One training in several processes: each reads a part of a step's texts, all take the same step.

Every process runs the same program over the same rows, as torchrun starts it: RANK and WORLD_SIZE in
the environment, one GPU or core each. A step's texts are shared among them; each transforms its part,
gets the others' results, and computes the loss of the whole batch; gradients are averaged before the
step. So a loss over pairs within a batch, such as a contrastive one, sees all pairs, and steps are
those of one process but for rounding and for what dropout drops. Only the first process writes.

Where there is one process, nothing here does anything.
"""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import distributed

from inference.process_group import RENDEZVOUS, place, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Row = TypeVar("Row")
# Between two steps one process may judge, or embed a catalogue, for hours. That another has died shows
# at once, by its closed connection.
PATIENCE = timedelta(days=7)
DROPOUT_STRIDE = 1_000_000_007  # a prime: keeps the dropout of two processes apart at every step


class PeerLostError(RuntimeError):
    """Another process of the same training has ended, so no step can be taken any more."""


def join() -> None:
    """Wait until all processes are there; at the first call, where there are several.

    Raises:
        PeerLostError: one of them ended instead.
    """
    if processes() == 1 or distributed.is_initialized():
        return
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "nccl"
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK") or 0))
    method = os.environ.get(RENDEZVOUS) or "env://"
    with _peers():
        distributed.init_process_group(
            backend, init_method=method, timeout=PATIENCE, rank=place(), world_size=processes()
        )


@contextlib.contextmanager
def first_goes_ahead() -> Iterator[None]:
    """Run a block in the first process, then in the others: they find what it has made."""
    join()
    if place():
        _wait()
    yield
    if not place():
        _wait()


def same_start(parameters: Sequence[torch.Tensor]) -> None:
    """Give all processes the first one's parameters, in place."""
    join()
    if processes() > 1:
        with _peers(), torch.no_grad():
            for parameter in parameters:
                distributed.broadcast(parameter.data, 0)


def seed_of(seed: int) -> int:
    """Return this process's own seed of what is dropped in a step."""
    return seed + DROPOUT_STRIDE * place()


def shared(transform: Callable[[Sequence[Row]], torch.Tensor], rows: Sequence[Row]) -> torch.Tensor:
    """Return `transform(rows)`, (n, …), of which each process has computed a part; with gradients.

    Where no gradients are taken, and where there are fewer rows than processes, each computes all.
    """
    count = processes()
    if count == 1 or not torch.is_grad_enabled() or len(rows) < count:
        return transform(rows)
    join()
    # Row i belongs to process i mod count. A short part repeats its first row, so that all parts have
    # one length; what the copy says is cut off again, and gets no gradient.
    mine = list(rows[place() :: count])
    size = -(-len(rows) // count)
    part = transform([*mine, *mine[:1] * (size - len(mine))])
    gathered: torch.Tensor = _Gather.apply(part)  # type: ignore[no-untyped-call]
    return gathered.transpose(0, 1).flatten(0, 1)[: len(rows)]


def average_gradients(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Put the mean over all processes in place of each gradient."""
    if processes() == 1:
        return
    grads = [one.grad for one in parameters if one.grad is not None]
    flat = torch.cat(
        [one.flatten() for one in grads]
    )  # one exchange: many small ones wait for each other
    with _peers():
        distributed.all_reduce(flat)
    flat /= processes()
    parts = torch.split(flat, [one.numel() for one in grads])
    for one, part in zip(grads, parts, strict=True):
        one.copy_(part.view_as(one))


class _Gather(torch.autograd.Function):
    """All processes' parts, (processes, n, …); the gradient of a part is the sum of all processes'."""

    @staticmethod
    def forward(_context: Any, part: torch.Tensor) -> torch.Tensor:
        parts = [torch.empty_like(part) for _ in range(processes())]
        with _peers():
            distributed.all_gather(parts, part.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(_context: Any, gradient: torch.Tensor) -> torch.Tensor:
        whole = gradient.contiguous()
        with _peers():
            distributed.all_reduce(whole)
        return whole[place()]


def _wait() -> None:
    if processes() > 1:
        with _peers():
            # Not `barrier`, which would choose a device of its own.
            device = "cuda" if torch.cuda.is_available() else "cpu"
            distributed.all_reduce(torch.zeros(1, device=device))


@contextlib.contextmanager
def _peers() -> Iterator[None]:
    """Name what an exchange fails by: nothing of this process's own can make it fail."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLostError(f"another process of this training ended: {error}") from error
