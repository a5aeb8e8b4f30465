"""A provider of language models, compatible with OpenAI's, that misbehaves when it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk-provider-0123456789abcdef"  # of no real provider; tests look for it everywhere

Behaviour = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One request to the provider, and the means to answer it."""

    handler: BaseHTTPRequestHandler
    body: dict
    headers: dict[str, str]

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))

    def json(self, status: int, data, content_type: str = "application/json") -> None:
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.handler.send_response(status)
        self.handler.send_header("content-type", content_type)
        self.handler.send_header("content-length", str(len(raw)))
        self.handler.end_headers()
        self.handler.wfile.write(raw)

    def start_stream(self) -> None:
        self.handler.send_response(200)
        self.handler.send_header("content-type", "text/event-stream")
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def event(self, data) -> None:
        self.write(b"data: " + json.dumps(data).encode() + b"\n\n")


def chunk(delta: dict, finish: str | None = None, **fields) -> dict:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "theirs", "object": "chat.completion.chunk", "created": 1, "model": "theirs",
            "choices": [choice], **fields}  # fmt: skip


def usage(tokens_in: int = 10, tokens_out: int = 5, cached: int = 0) -> dict:
    return {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out,
            "prompt_tokens_details": {"cached_tokens": cached}}  # fmt: skip


def completion(message: dict, finish: str = "stop", **fields) -> dict:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "theirs", "object": "chat.completion", "created": 1, "model": "theirs",
            "choices": [choice], **fields}  # fmt: skip


def says(text: str, *, tokens: dict | None = None, pieces: int = 3) -> Behaviour:
    """Answer with a text, whole or in pieces."""

    def behave(exchange: Exchange) -> None:
        stated = usage() if tokens is None else tokens
        if not exchange.streamed:
            fields = {"usage": stated} if stated else {}
            exchange.json(200, completion({"content": text}, **fields))
            return
        exchange.start_stream()
        exchange.event(chunk({"role": "assistant", "content": ""}))
        size = max(1, -(-len(text) // pieces))
        for start in range(0, len(text), size):
            exchange.event(chunk({"content": text[start : start + size]}))
        exchange.event(chunk({}, "stop"))
        if stated:
            exchange.event({**chunk({}), "choices": [], "usage": stated})
        exchange.write(b"data: [DONE]\n\n")

    return behave


def refuses(status: int, message: str = "no") -> Behaviour:
    return lambda exchange: exchange.json(status, {"error": {"message": message, "type": "x"}})


def is_silent(seconds: float = 30.0) -> Behaviour:
    def behave(exchange: Exchange) -> None:
        # Until its client hangs up: a test must not wait for all of it.
        exchange.handler.connection.settimeout(seconds)
        with suppress(OSError):
            exchange.handler.connection.recv(1)

    return behave


def breaks_off(text: str = "Half of") -> Behaviour:
    """Begin a stream and close the connection in the middle."""

    def behave(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.event(chunk({"content": text}))

    return behave


def floods(piece: bytes = b"x" * 65536, megabytes: int = 100) -> Behaviour:
    """Answer with more bytes than anybody wants."""

    def behave(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.write(b'data: {"choices": [{"delta": {"content": "')
        for _ in range(megabytes * 16):
            exchange.write(piece)

    return behave


def drips(seconds: float = 0.05, times: int = 2000) -> Behaviour:
    """Keep the connection open with comments, and say nothing."""

    def behave(exchange: Exchange) -> None:
        exchange.start_stream()
        for _ in range(times):
            exchange.write(b": wait\n\n")
            time.sleep(seconds)

    return behave


def sends(raw: bytes) -> Behaviour:
    """Answer with these bytes, as a stream or whole."""

    def behave(exchange: Exchange) -> None:
        if exchange.streamed:
            exchange.start_stream()
            exchange.write(raw)
        else:
            exchange.json(200, raw)

    return behave


class TestProvider:
    """A real HTTP server; what it does may be changed while it runs."""

    __test__ = False

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.behave: Behaviour = says("Hello there.")
        self.by_model: dict[str, Behaviour] = {}
        self.broken = 0  # connections that their client closed before the end
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                exchange = Exchange(self, body, {k.lower(): v for k, v in self.headers.items()})
                outer.exchanges.append(exchange)
                behave = outer.by_model.get(body["model"], outer.behave)
                try:
                    behave(exchange)
                except OSError:
                    outer.broken += 1
                self.close_connection = True

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

            @staticmethod
            def pause() -> None:
                time.sleep(0.01)

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def requests(self) -> list[dict]:
        return [exchange.body for exchange in self.exchanges]

    def reset(self) -> None:
        self.exchanges.clear()
        self.by_model.clear()
        self.behave = says("Hello there.")

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
