"""Images that tests draw, a host that serves them, and an image encoder small enough for tests."""

from __future__ import annotations

import io
import shutil
import threading
import warnings
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw
from transformers import ViTConfig, ViTModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COLOURS = ["red", "green", "blue", "yellow", "purple", "orange", "black", "white"]
EDGE = 16


def draw(colour: str, seed: int = 0, *, edge: int = 64, form: str = "PNG") -> bytes:
    """Return an image file: a colour with a small grey disc somewhere, so that no two are equal."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (edge, edge), colour)
    x, y = rng.integers(0, edge - edge // 8, 2).tolist()
    ImageDraw.Draw(image).ellipse((x, y, x + edge // 8, y + edge // 8), fill="grey")
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def make_tiny_vit(folder: Path) -> Path:
    """Save a Vision Transformer of one layer, as it is drawn: what it makes of a colour is enough."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    config = ViTConfig(
        image_size=EDGE,
        patch_size=8,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


class _Vectors(torch.nn.Module):
    """The state of the first token."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.model = ViTModel.from_pretrained(folder, add_pooling_layer=False).eval()

    def forward(self, pixels):
        return self.model(pixels).last_hidden_state[:, 0]


def save_as_graph(encoder: Path, folder: Path) -> None:
    """Write an encoder as ONNX beside its configuration."""
    shutil.copy(encoder / "config.json", folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather have its other exporter used
        torch.onnx.export(
            _Vectors(encoder),
            (torch.zeros(1, 3, EDGE, EDGE),),
            str(folder / "model.onnx"),
            input_names=["pixel_values"],
            dynamic_axes={"pixel_values": {0: "batch"}},
            dynamo=False,
        )


class ImageHost:
    """Serves files by their path until `close`; a path may also behave as it likes.

    Attributes:
        files: content of each path, or a function of the handler.
        paths: those that were requested, in the order in which they were asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.paths: list[str] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.paths.append(self.path)
                content = host.files.get(self.path)
                with suppress(ConnectionError):  # whoever has read enough hangs up
                    if callable(content):
                        content(self)
                        return
                    self.send_response(404 if content is None else 200)
                    self.send_header("content-length", str(len(content or b"")))
                    self.end_headers()
                    self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                """Keep the tests' output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False  # one that hangs must not hang the tests
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(self, files: Mapping[str, bytes]) -> list[str]:
        """Serve files; return their addresses, in order."""
        self.files |= {f"/{name}": content for name, content in files.items()}
        return [f"{self.url}/{name}" for name in files]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
