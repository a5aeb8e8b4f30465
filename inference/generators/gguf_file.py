"""GGUF files: the weights of one as torch names them, and a file like another with new weights.

A trained model is exported to the file of its base with the same tokenizer, chat template and
hyper-parameters, and the matrices in 8 bits (Q8_0): in 4 bits what an adapter has learnt is lost in
rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.serving.artifact import Floats

# llama.cpp rotates neighbouring halves of queries and keys, transformers interleaved ones.
_ROTATED = {"llama": {"attn_q": "attention.head_count", "attn_k": "attention.head_count_kv"}}
_WRITTEN_BY_LIBRARY = ("general.architecture", "general.file_type", "general.quantization_version")
BLOCK = 32  # numbers that share a scale


class GgufFile:
    """A GGUF file, mapped from the disk.

    Attributes:
        architecture: such as llama.
    """

    def __init__(self, path: Path) -> None:
        """Read its metadata.

        Raises:
            ValueError: it is no GGUF file.
        """
        from gguf import MODEL_ARCH_NAMES, GGUFReader, get_tensor_name_map  # noqa: PLC0415  an extra

        self._reader = GGUFReader(path)
        self.architecture = str(self.value("general.architecture"))
        known = {name: arch for arch, name in MODEL_ARCH_NAMES.items()}
        if self.architecture not in known:
            raise ValueError(f"architecture == '{self.architecture}', is none that gguf knows.")
        blocks = int(self.value(f"{self.architecture}.block_count"))
        self._names = get_tensor_name_map(known[self.architecture], blocks)

    def value(self, key: str) -> Any:
        """Return a value of the metadata.

        Raises:
            ValueError: it has none of that name.
        """
        field = self._reader.get_field(key)
        if field is None:
            raise ValueError(f"the GGUF file has no '{key}'.")
        return field.contents()

    def weights(self) -> dict[str, Floats]:
        """Return every tensor by its name in the file, float32, in llama.cpp's order."""
        return {one.name: _numbers_of(one) for one in self._reader.tensors}

    def weights_for(self, names: list[str]) -> dict[str, Floats]:
        """Return the tensors that a model of transformers has, by its names and in its order.

        Raises:
            ValueError: the file lacks one of them.
        """
        weights = self.weights()
        chosen = {}
        for name in names:
            ours = self._name_of(name)
            if ours not in weights:
                raise ValueError(f"the GGUF file has no tensor for '{name}'.")
            chosen[name] = self._rotated(ours, weights[ours], back=True)
        return chosen

    def write_like(self, path: Path, weights: Mapping[str, Floats]) -> None:
        """Write a file with this one's metadata and other weights, its matrices in Q8_0.

        Args:
            path: where.
            weights: by the names of transformers; what is not among them stays as it is here.
        """
        from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, quants  # noqa: PLC0415

        writer = GGUFWriter(path, self.architecture)
        self._copy_metadata(writer)
        writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
        writer.add_quantization_version(2)
        new = {self._name_of(name): array for name, array in weights.items()}
        for one in self._reader.tensors:
            name = one.name
            rotated = self._rotated(name, new[name]) if name in new else _numbers_of(one)
            if rotated.ndim == 2 and rotated.shape[1] % BLOCK == 0:
                packed = quants.quantize(rotated, GGMLQuantizationType.Q8_0)
                writer.add_tensor(name, packed, raw_dtype=GGMLQuantizationType.Q8_0)
            else:
                writer.add_tensor(name, np.ascontiguousarray(rotated, dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    def _copy_metadata(self, writer: Any) -> None:
        from gguf import GGUFValueType  # noqa: PLC0415  likewise

        for field in self._reader.fields.values():
            if field.name.startswith("GGUF.") or field.name in _WRITTEN_BY_LIBRARY:
                continue
            kind = field.types[0]
            sub_type = field.types[-1] if kind == GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), kind, sub_type=sub_type)

    def _name_of(self, name: str) -> str:
        """Return the file's name of a tensor of transformers."""
        return self._names.get_name(name, try_suffixes=(".weight", ".bias")) or name

    def _rotated(self, name: str, array: Floats, *, back: bool = False) -> Floats:
        """Return queries and keys in the other order; every other tensor as it is."""
        parts = name.split(".")
        kinds = _ROTATED.get(self.architecture, {})
        if len(parts) != 4 or parts[2] not in kinds:
            return array
        heads = int(self.value(f"{self.architecture}.{kinds[parts[2]]}"))
        rows = len(array) // heads
        shape = (heads, rows // 2, 2) if back else (heads, 2, rows // 2)
        return array.reshape(*shape, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


def _numbers_of(tensor: Any) -> Floats:
    """Return the numbers of a tensor of a file, float32, whatever they are packed in."""
    from gguf import dequantize  # noqa: PLC0415  likewise

    numbers = np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32)
    return numbers.reshape(tensor.shape[::-1])
