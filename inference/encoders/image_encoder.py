"""Image encoders: a directory of safetensors (CLIP, SigLIP, ViT and their like) or of an ONNX graph.

Nothing of a directory is run as code, and no pickle is read. Pixels are prepared as the directory's
`preprocessor_config.json` says.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from inference.encoders.locate import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from inference.serving.artifact import Floats

BATCH = 16
HALF = (0.5, 0.5, 0.5)  # what an encoder is taken to want that says nothing
GRAPH, WEIGHTS = "model.onnx", "model.safetensors"


@dataclass(frozen=True, slots=True)
class Preparation:
    """What an encoder wants of pixels.

    Attributes:
        size: height and width in pixels.
        mean: of each channel, taken away.
        spread: of each channel, divided by.
        crops: whether the middle is cut out, at the shape of `size`; else the image is squeezed.
    """

    size: tuple[int, int]
    mean: tuple[float, ...] = HALF
    spread: tuple[float, ...] = HALF
    crops: bool = False

    @classmethod
    def read(cls, folder: Path) -> Preparation:
        """Read the files of a directory.

        Raises:
            NotFoundError: they do not say how large images must be.
        """
        prepares = _read_json(folder / "preprocessor_config.json")
        crops = bool(prepares.get("do_center_crop"))
        size = _size_of(prepares.get("crop_size") if crops else prepares.get("size"))
        config = _read_json(folder / "config.json")
        size = size or _size_of({**config, **config.get("vision_config", {})}.get("image_size"))
        if size is None:
            raise NotFoundError(f"image encoder '{folder}' does not say how large its images are.")
        return cls(
            size,
            tuple(prepares.get("image_mean") or HALF),
            tuple(prepares.get("image_std") or HALF),
            crops,
        )

    def pixels(self, images: Sequence[Image.Image]) -> Floats:
        """Return what the encoder reads, float32 (n, 3, height, width)."""
        height, width = self.size
        rows = []
        for image in images:
            area = _middle(image.size, width / height) if self.crops else None
            small = image.resize((width, height), Image.Resampling.BICUBIC, box=area)
            rows.append(np.asarray(small, dtype=np.float32) / 255)
        stacked = (np.stack(rows) - np.array(self.mean)) / np.array(self.spread)
        return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2), dtype=np.float32)


def _read_json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _size_of(value: Any) -> tuple[int, int] | None:
    """Return height and width of what a configuration calls a size; None where it says nothing."""
    if isinstance(value, dict):
        edge = value.get("shortest_edge")
        value = [value.get("height", edge), value.get("width", edge)]
    if isinstance(value, int):
        return value, value
    if isinstance(value, list) and len(value) == 2 and all(isinstance(edge, int) for edge in value):
        return value[0], value[1]
    return None


def _middle(size: tuple[int, int], shape: float) -> tuple[float, float, float, float]:
    """Return the largest area in the middle whose width is `shape` times its height."""
    width, height = size
    wide, high = min(width, height * shape), min(height, width / shape)
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, left + wide, top + high


class ImageEncoder:
    """Images to vectors of length 1."""

    def __init__(self, path: str, device: torch.device | None = None) -> None:
        """Load it from a directory.

        Args:
            path: of the directory.
            device: of what torch computes; None for a GPU where there is one.

        Raises:
            NotFoundError: the directory holds no image encoder.
        """
        folder = Path(path)
        self._prepare = Preparation.read(folder)
        self._vectors = (
            _OnnxImages(folder / GRAPH) if (folder / GRAPH).exists() else _TorchImages(folder, device)
        )

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        """Return vectors, float32 (n, width), n at least 1."""
        rows = [
            self._vectors.of(self._prepare.pixels(images[start : start + BATCH]))
            for start in range(0, len(images), BATCH)
        ]
        vectors = np.concatenate(rows).astype(np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(norms, 1e-9), dtype=np.float32)


class _TorchImages:
    def __init__(self, folder: Path, device: torch.device | None) -> None:
        # Slow to import, and a process that reads a graph needs neither.
        from transformers import AutoConfig, AutoModel, CLIPVisionModelWithProjection  # noqa: PLC0415

        from inference.encoders.device import pick_device  # noqa: PLC0415

        config = AutoConfig.from_pretrained(folder)
        is_clip = config.model_type in {"clip", "clip_vision_model"}
        kind: Any = CLIPVisionModelWithProjection if is_clip else AutoModel
        self._device = device or pick_device("auto")
        model, loaded = kind.from_pretrained(folder, use_safetensors=True, output_loading_info=True)
        missing = sorted(loaded["missing_keys"])
        # What a file does not hold, transformers draws at random: a pooler such a one is not read.
        self._pools = not any("pooler" in name for name in missing)
        if rest := [name for name in missing if "pooler" not in name]:
            raise NotFoundError(f"image encoder '{folder}' holds no weights of {rest[0]}.")
        self._model: Any = model.to(self._device).eval()

    def of(self, pixels: Floats) -> Floats:
        import torch  # noqa: PLC0415  likewise

        with torch.inference_mode():
            inputs = torch.from_numpy(pixels).to(self._device)
            model = getattr(self._model, "vision_model", None)  # of SigLIP: its texts are not read
            output = (self._model if model is None or _projects(self._model) else model)(inputs)
            vectors = getattr(output, "image_embeds", None)
            if vectors is None and self._pools:
                vectors = getattr(output, "pooler_output", None)
            if vectors is None:
                vectors = output.last_hidden_state[:, 0]
            array: Floats = vectors.float().cpu().numpy()
        return array


def _projects(model: Any) -> bool:
    return hasattr(model, "visual_projection")


class _OnnxImages:
    def __init__(self, graph: Path) -> None:
        import onnxruntime  # noqa: PLC0415  slow to import

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # beside other work, more threads are slower
        self._session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def of(self, pixels: Floats) -> Floats:
        output = np.asarray(self._session.run(None, {self._input: pixels})[0], dtype=np.float32)
        return output if output.ndim == 2 else output[:, 0]  # states: the first is the image's


def sha256_of_image_encoder(path: str) -> str:
    """Return the hash of an image encoder's weights and of how it prepares pixels.

    Raises:
        NotFoundError: the directory holds no weights that may be read.
    """
    folder = Path(path)
    weights = folder / GRAPH if (folder / GRAPH).exists() else folder / WEIGHTS
    if not weights.is_file():
        raise NotFoundError(f"image encoder '{folder}' holds neither {WEIGHTS} nor {GRAPH}.")
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    for name in ("config.json", "preprocessor_config.json"):
        if (folder / name).exists():
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()
