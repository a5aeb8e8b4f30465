"""A model of somebody else's, behind HTTP: it recommends what users liked who liked the same.

It is judged and started while it answers well. Then a faulty build of it is deployed, which answers
every request with an error: what the autopilot must notice and switch off.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

SHRINK = 10.0  # pairs that few users liked together weigh less


class NeighboursEndpoint:
    """Item-kNN by cosine with shrinkage, served on a free port of 127.0.0.1.

    Attributes:
        url: where it answers.
        is_faulty: whether the faulty build is deployed.
    """

    def __init__(self, likes: Mapping[str, Sequence[str]]) -> None:
        """Learn and serve.

        Args:
            likes: what each user liked, by user.
        """
        self.is_faulty = False
        self._places = {
            item: n for n, item in enumerate(sorted({i for one in likes.values() for i in one}))
        }
        self._close = _cosines(likes, self._places)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}/rank"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def scores(self, recent: Sequence[str], candidates: Sequence[str]) -> list[float]:
        """Return a score of each candidate: how close it is to what the user liked before."""
        liked = [self._places[item] for item in recent if item in self._places]
        to_all = self._close[liked].sum(0) if liked else np.zeros(len(self._places))
        return [float(to_all[self._places[c]]) if c in self._places else 0.0 for c in candidates]

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(likes: Mapping[str, Sequence[str]]) -> Iterator[NeighboursEndpoint]:
    """Serve such a model for the length of the block."""
    endpoint = NeighboursEndpoint(likes)
    try:
        yield endpoint
    finally:
        endpoint.stop()


def _cosines(likes: Mapping[str, Sequence[str]], places: Mapping[str, int]) -> NDArray[Any]:
    """Return the closeness of every item to every other, float32 (items, items)."""
    liked = np.zeros((len(likes), len(places)), dtype=np.float32)
    for row, items in enumerate(likes.values()):
        liked[row, [places[item] for item in items]] = 1.0
    together = liked.T @ liked
    norms = np.sqrt(np.diag(together))
    close = together / (np.outer(norms, norms) + SHRINK)
    np.fill_diagonal(close, 0.0)
    return close


def _handler_of(endpoint: NeighboursEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # the platform asks again over the same connection

        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            answer: dict[str, Any] = {"error": "faulty build"}
            if not endpoint.is_faulty:
                scores = endpoint.scores(question["recent"], question["candidates"])
                status, answer = HTTPStatus.OK, {"scores": scores}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, *_: Any) -> None:
            """Write nothing: the replay tells what happens."""

    return Handler
