"""MLflow's own server, from an environment of its own, with models that its client logged; and a wire to it.

`make test-mlflow` makes the environment (requirements-mlflow.txt): the server wants other versions of
libraries than we do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.debian_servers import START_SECONDS, answers, free_port
from tests.support.learning import WORDS
from tests.support.waiting import wait_until

PYTHON = Path(sys.prefix) / "mlflow" / "bin" / "python"
# Two versions of `intents`, of which the second has an alias, a pickle, and a classifier of texts in the
# format skops that the scoring server can serve. Prints the run of the first.
_LOG = """
import json, pathlib, sys
import mlflow, mlflow.onnx, mlflow.sklearn, onnx
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

graph, labels = onnx.load(sys.argv[1]), json.loads(sys.argv[2])
with mlflow.start_run() as run:
    for _ in range(2):
        mlflow.onnx.log_model(
            graph, name="model", registered_model_name="intents", metadata={"labels": labels}
        )
    mlflow.sklearn.log_model(
        LogisticRegression().fit([[0.0], [1.0]], [0, 1]), name="other", registered_model_name="pickled",
        serialization_format="cloudpickle",
    )
    words = json.loads(sys.argv[3])
    texts = [word for label in labels for word in words[label]]
    truth = [label for label in labels for _ in words[label]]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, truth)
    mlflow.sklearn.log_model(model, name="texts", registered_model_name="texts")

class Texts(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return model.predict_proba(list(model_input["text"]))

with mlflow.start_run():
    mlflow.pyfunc.log_model(name="served", python_model=Texts(), registered_model_name="served")
mlflow.MlflowClient().set_registered_model_alias("intents", "best", 2)
print(json.dumps(run.info.run_id))
"""


class MlflowServer:
    """The server, which is several processes, in a group of their own."""

    def __init__(self, folder: Path) -> None:
        assert PYTHON.exists(), "MLflow's environment is missing: make .venv/.installed-mlflow"
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [
            PYTHON, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port),
            "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
            "--artifacts-destination", folder / "artifacts",
        ]  # fmt: skip
        log = folder / "mlflow.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
                env=_environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"), start_new_session=True,
            )  # fmt: skip
        wait_until(self._is_up, f"MLflow answers on port {self.port} ({log})", seconds=START_SECONDS)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, (self.folder / "mlflow.log").read_text()[-2000:]
        return answers(self.port)

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)  # of what is in its database nothing is read again
        self.process.wait()


def _environment(**variables: str) -> dict[str, str]:
    """Without our modules, which are in front of its own."""
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**others, "MLFLOW_DISABLE_TELEMETRY": "true", **variables}


def log_models(server: MlflowServer, graph: bytes, labels: list[str]) -> str:
    """Log and register models by MLflow's own client, and return the run's ID."""
    file = server.folder / "graph.onnx"
    file.write_bytes(graph)
    done = subprocess.run(
        [PYTHON, "-c", _LOG, file, json.dumps(labels), json.dumps({k: sorted(v) for k, v in WORDS.items()})],
        env=_environment(MLFLOW_TRACKING_URI=server.url), cwd=server.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def scoring_server(server: MlflowServer, uri: str):
    """`mlflow models serve` of a model, with what its environment has; yields the address to ask."""
    port, log = free_port(), server.folder / "serve.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                PYTHON, "-m", "mlflow", "models", "serve", "--model-uri", uri, "--port", str(port),
                "--host", "127.0.0.1", "--env-manager", "local", "--workers", "1",
            ],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=server.folder,
            env=_environment(
                MLFLOW_TRACKING_URI=server.url, MLFLOW_ALLOW_PICKLE_DESERIALIZATION="true",
                PATH=f"{PYTHON.parent}:{os.environ['PATH']}",  # it starts the first uvicorn there
            ),
            start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(lambda: answers(port), f"it answers on port {port} ({log})", seconds=START_SECONDS)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it is several processes
        process.wait()


class _CuttingHandler(BaseHTTPRequestHandler):
    """Passes requests on, and ends the answer with a graph after half of its bytes."""

    def do_GET(self):
        upstream = HTTPConnection("127.0.0.1", self.server.upstream, timeout=30)
        with contextlib.closing(upstream):
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            upstream.request("GET", self.path, headers=headers)
            answer = upstream.getresponse()
            body = answer.read()
        self.send_response(answer.status)
        self.send_header("content-type", answer.getheader("content-type", ""))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        is_graph = self.path.partition("?")[0].endswith(".onnx")
        self.server.cuts += is_graph
        self.wfile.write(body[: len(body) // 2] if is_graph else body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def cutting_wire(server: MlflowServer):
    """A server in front of another, which cuts graphs; `cuts` counts them."""
    wire = ThreadingHTTPServer(("127.0.0.1", 0), _CuttingHandler)
    wire.upstream, wire.cuts = server.port, 0
    thread = threading.Thread(target=wire.serve_forever)
    thread.start()
    try:
        yield wire
    finally:
        wire.shutdown()
        thread.join()
        wire.server_close()
