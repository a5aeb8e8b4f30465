"""A small server of the Open Inference Protocol v2, as a process: `python -m tests.support.v2_server`.

It prints its address. As Triton and KServe do, it refuses a request whose tensors are not those of the
model, with status 400 and `{"error": "…"}`, and takes `/v2/models/NAME[/versions/N]/infer` alone.

| model | answers |
|---|---|
| rank | a score per candidate: the number in its id, as FP32 of shape [1, n] |
| nested | the same, as FP64 in nested lists, and a cost |
| label | how many words of a text are of each of `LABELS` |
| wrong-shape, wrong-datatype, fewer | the scores of `rank` with a shape, datatype or number that is none |
| slow | the scores of `rank`, after ten seconds |
| broken | status 500 |
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SLOW_SECONDS = 10
PATH = re.compile(r"/v2/models/([a-z-]+)(?:/versions/\d+)?/infer")
RANKING = {"unit_id", "recent", "candidates", "context"}
INPUTS = {"label": {"text", "features"}}
LABELS = ({"love", "war", "king"}, {"heat", "rain", "sun"}, {"night", "toy", "story"})


class RefusedError(Exception):
    """A request that is none of the model's."""


def _infer(model: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the output tensors of a model."""
    inputs = {tensor["name"]: tensor for tensor in request["inputs"]}
    if inputs.keys() != INPUTS.get(model, RANKING):
        raise RefusedError(f"unexpected inputs {sorted(inputs)} for model '{model}'")
    for name, tensor in inputs.items():
        if tensor["datatype"] != "BYTES":
            raise RefusedError(f"input '{name}' has datatype {tensor['datatype']}, expected BYTES")
        if math.prod(tensor["shape"]) != len(tensor["data"]):
            raise RefusedError(f"input '{name}' has shape {tensor['shape']}, not that of its data")
    if model == "label":
        (text,) = inputs["text"]["data"]
        return [_tensor([float(sum(word in words for word in text.split())) for words in LABELS])]
    scores = [float(re.sub(r"\D", "", one) or 0) for one in inputs["candidates"]["data"]]
    if model == "nested":
        cost = {"name": "cost", "datatype": "FP64", "shape": [1], "data": [0.25]}
        return [_tensor(scores) | {"datatype": "FP64", "data": [scores]}, cost]
    if model == "slow":
        time.sleep(SLOW_SECONDS)
    wrong = {
        "wrong-shape": {"shape": [1, len(scores) + 1]},
        "wrong-datatype": {"datatype": "BYTES", "data": [str(one) for one in scores]},
        "fewer": {"shape": [1, 1], "data": scores[:1]},
    }
    return [_tensor(scores) | wrong.get(model, {})]


def _tensor(scores: list[float]) -> dict[str, Any]:
    return {"name": "scores", "datatype": "FP32", "shape": [1, len(scores)], "data": scores}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        match = PATH.fullmatch(self.path)
        if match is None:
            self._answer(404, {"error": f"no such path: {self.path}"})
            return
        model = match[1]
        if model == "broken":
            self._answer(500, {"error": "CUDA out of memory\nTried to allocate 2 GiB"})
            return
        try:
            outputs = _infer(model, json.loads(body))
        except RefusedError as error:
            self._answer(400, {"error": str(error)})
            return
        self._answer(200, {"model_name": model, "model_version": "1", "outputs": outputs})

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def v2_server() -> Iterator[str]:
    """Run the server for the length of a block; yields where its models are."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.v2_server"],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        address = process.stdout.readline().strip()
        assert address, f"the server ended with {process.wait()}"
        yield address
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}/v2/models\n")
    sys.stdout.flush()
    server.serve_forever()
