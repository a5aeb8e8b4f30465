"""AdaLoRA as this platform trains it, beside peft's own: its loss, its ranks, its weights."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from peft import AdaLoraConfig, get_peft_model

from inference.encoders.onnx_export import Pooled
from inference.encoders.text_encoder import TextEncoder
from inference.options import FitOptions
from inference.training.tune import (
    MAX_GRADIENT_NORM,
    Schedule,
    add_adapters,
    merge_adapters,
    orthogonality,
    tune,
)
from tests.support.tiny_bert import WORDS

SCHEDULE = Schedule("adalora", steps=30, rate=1e-3, head_rate=1e-3, rank=4)


class _WithLoss(torch.nn.Module):
    """An encoder whose output holds the loss: peft adds its term to that alone."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.model = encoder.model

    def forward(self, batch):
        loss = loss_of_vectors(Pooled(self.model)(*batch))
        self.without_term = loss.item()
        return SimpleNamespace(loss=loss)


def loss_of_vectors(vectors):
    """Ask for vectors that are far from how they start."""
    wanted = torch.nn.functional.one_hot(torch.arange(len(vectors)), vectors.shape[1])
    return ((vectors - wanted) ** 2).sum(1).mean()


def train_by_peft(encoder, tokens):
    """The loop of peft's documentation, with our schedule; return the model and its losses."""
    rank, steps = SCHEDULE.rank, SCHEDULE.steps
    config = AdaLoraConfig(
        target_modules=["query", "value"], lora_alpha=2 * rank, lora_dropout=0.0,
        init_r=rank + rank // 2, target_r=rank,
        tinit=steps // 10, tfinal=steps // 5, deltaT=max(1, steps // 50), total_step=steps,
    )  # fmt: skip
    torch.manual_seed(3)
    model = get_peft_model(_WithLoss(encoder), config)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, weight_decay=SCHEDULE.decay)
    padded = encoder.tokenizer.pad({"input_ids": tokens}, return_tensors="pt")
    losses = []
    model.train()
    for step in range(steps):
        torch.manual_seed(step)
        optimiser.param_groups[0]["lr"] = 10 * SCHEDULE.rate * SCHEDULE.factor(step)
        # Not model(…): a PeftModel without a task goes past AdaLoRA's own forward, which adds the term.
        loss = model.base_model((padded["input_ids"], padded["attention_mask"])).loss
        ours = config.orth_reg_weight * orthogonality(model)
        assert loss.item() == pytest.approx(model.base_model.model.without_term + ours.item())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, MAX_GRADIENT_NORM)
        optimiser.step()
        model.base_model.update_and_allocate(step)
        losses.append(model.base_model.model.without_term)
    return model, losses


@pytest.mark.filterwarnings("ignore")  # peft's own
def test_loss_ranks_and_weights_are_those_of_peft(tmp_path, tiny_bert):
    texts = [f"{word} {other}" for word, other in pairwise(WORDS)]
    theirs = TextEncoder(str(tiny_bert), torch.device("cpu"))
    tokens = theirs.tokens(texts)
    model, their_losses = train_by_peft(theirs, tokens)
    pattern = model.peft_config["default"].rank_pattern
    their_ranks = {
        name.split("model.")[-1].split(".lora_E")[0]: sum(ranks) for name, ranks in pattern.items()
    }

    ours = TextEncoder(str(tiny_bert), torch.device("cpu"))
    torch.manual_seed(3)
    add_adapters(ours, SCHEDULE)
    losses = []
    options = FitOptions(curve=lambda _step, loss: losses.append(loss), checkpoint=tmp_path)

    def loss_of(_rng: np.random.Generator) -> torch.Tensor:
        return loss_of_vectors(ours.forward(tokens))

    tune(ours, torch.nn.Identity(), SCHEDULE, loss_of, options)
    assert merge_adapters(ours, SCHEDULE) == their_ranks
    # Which layers give ranks to others depends on the vocabulary, which is learnt anew in each run.
    assert sum(their_ranks.values()) == SCHEDULE.rank * len(their_ranks)
    assert losses == pytest.approx(their_losses, rel=1e-5)
    merged = model.merge_and_unload().model.state_dict()
    for name, value in ours.model.state_dict().items():
        assert torch.allclose(value, merged[name], atol=1e-6), name

    # A run that stopped after the last allocation goes on with its ranks.
    again = TextEncoder(str(tiny_bert), torch.device("cpu"))
    add_adapters(again, SCHEDULE)
    tune(again, torch.nn.Identity(), replace(SCHEDULE), loss_of, options)
    assert merge_adapters(again, SCHEDULE) == their_ranks
