"""A causal language model in torch: what is trained, and by what answers are scored.

Its base is a GGUF file. transformers reads one in half a minute, so it is imported once, to
safetensors in a cache that is named by the file's hash.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from inference.encoders.device import pick_device, training_precision
from inference.encoders.parallel import shared
from inference.generators.gguf_file import GgufFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.serving.artifact import Floats
    from inference.training.preferences import Message

BASE = "base.gguf"
IGNORED = -100  # no target: tokens of the prompt, and padding
MAX_ROUNDING = 1e-4  # of a base's weights between the two libraries


def import_base(file: Path, cache: Path) -> Path:
    """Return the folder of a GGUF file's model in the form of transformers; imported once.

    Raises:
        ValueError: transformers cannot read the model, or what it reads cannot be written back.
    """
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    target = cache / digest[:32]
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=cache))
    try:
        _import(file, scratch)
        try:
            scratch.rename(target)
        except OSError:  # another process was faster
            if not target.exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _import(file: Path, folder: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    # transformers takes the numbers for quantised still, and would refuse to save them.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    _check_names(GgufFile(file), model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    try:
        os.link(file, folder / BASE)
    except OSError:  # another disk
        shutil.copyfile(file, folder / BASE)


def _check_names(file: GgufFile, model: Any) -> None:
    """Refuse a model whose weights we would write back in another place or order."""
    ours = {name: value.detach().numpy() for name, value in model.named_parameters()}
    for name, array in file.weights_for(list(ours)).items():
        if array.shape != ours[name].shape or np.abs(array - ours[name]).max() > MAX_ROUNDING:
            raise ValueError(
                f"'{name}' of a model of architecture '{file.architecture}' cannot be written back."
            )


class CausalModel:
    """A model and its tokenizer on a device.

    Attributes:
        model: the transformer.
        device: where it is.
    """

    def __init__(self, folder: Path, device: torch.device | None = None) -> None:
        """Load an imported base; None for a GPU when there is one."""
        self.device, self._folder = device or pick_device("auto"), folder
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.replace(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32))

    def replace(self, model: Any) -> None:
        """Put another form of the same transformer in its place: with adapters, or without."""
        self.model: Any = model.to(self.device)

    def load_gguf(self, file: Path) -> None:
        """Take the weights of a GGUF file, as llama.cpp serves them.

        Raises:
            ValueError: it is no file of this model.
        """
        names = [name for name, _ in self.model.named_parameters()]
        arrays = GgufFile(file).weights_for(names)
        weights = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        # Not strict: tied weights have two names, and one tensor.
        self.model.load_state_dict(weights, strict=False)

    def gguf_bytes(self) -> bytes:
        """Return the model as a GGUF file in 8 bits."""
        weights = {
            name: value.detach().to("cpu", torch.float32).numpy()
            for name, value in self.model.named_parameters()
        }
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "model.gguf"
            GgufFile(self._folder / BASE).write_like(path, weights)
            return path.read_bytes()

    def encode(
        self, messages: Sequence[Message], answer: str, *, max_tokens: int
    ) -> tuple[list[int], list[int]]:
        """Return the tokens of a conversation and of its answer, with the answer's end.

        A long answer is cut at its end, a long conversation at its start.
        """
        template = self.tokenizer.apply_chat_template
        opening = template(list(messages), add_generation_prompt=True, tokenize=False)
        prompt: list[int] = self.tokenizer(opening, add_special_tokens=False)["input_ids"]
        reply: list[int] = self.tokenizer(answer, add_special_tokens=False)["input_ids"]
        reply = [*reply[: max_tokens // 2 - 1], self.tokenizer.eos_token_id]
        return prompt[-(max_tokens - len(reply)) :], reply

    def log_probabilities(self, rows: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
        """Return each answer's log-probability given its conversation, (n,), with gradients.

        Processes that train together share the rows.

        Args:
            rows: tokens of conversation and answer.
        """
        return shared(self._log_probabilities, rows)

    def _log_probabilities(self, rows: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
        width = max(len(prompt) + len(answer) for prompt, answer in rows)
        tokens = torch.full((len(rows), width), self.tokenizer.eos_token_id)
        targets = torch.full((len(rows), width), IGNORED)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for row, (prompt, answer) in enumerate(rows):
            end = len(prompt) + len(answer)
            tokens[row, :end] = torch.tensor([*prompt, *answer])
            targets[row, len(prompt) : end] = torch.tensor(answer)
            mask[row, :end] = 1
        tokens, targets, mask = (one.to(self.device) for one in (tokens, targets, mask))
        with training_precision(self.device):
            logits = self.model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
        # The token at a place is predicted by what stands before it.
        losses = torch.nn.functional.cross_entropy(
            logits[:, :-1].float().transpose(1, 2),
            targets[:, 1:],
            ignore_index=IGNORED,
            reduction="none",
        )
        return -losses.sum(1)

    def score(self, rows: Sequence[tuple[list[int], list[int]]], *, batch: int = 8) -> Floats:
        """Return each answer's log-probability, float32 (n,), without gradients."""
        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            parts = [
                self.log_probabilities(rows[start : start + batch]).cpu().numpy()
                for start in range(0, len(rows), batch)
            ]
        self.model.train(was_training)
        return np.concatenate(parts).astype(np.float32)
