"""Answers that travel compressed: scripts and style sheets once per process, pages as they are made.

Files are compressed at the highest level and kept; the bytes that a browser unpacks, and so the hash of
subresource integrity, are those of the file.
"""

from __future__ import annotations

import gzip
import re
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase
    from whitenoise.responders import StaticFile

MIN_BYTES = 500  # below, a packet is a packet
MAX_REMEMBERED = 512  # files: more than the dashboard and the admin pages have
COMPRESSIBLE = frozenset({".css", ".js", ".json", ".map", ".svg", ".txt"})


def takes_gzip(request: HttpRequest) -> bool:
    """Whether a client unpacks gzip; `gzip;q=0` says that it does not."""
    for one in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, weight = one.partition(";")
        if name.strip() == "gzip":
            return not re.fullmatch(r"q=0(\.0*)?", weight.replace(" ", ""))
    return False


@lru_cache(maxsize=MAX_REMEMBERED)
def compressed(path: str, _modified_ns: int) -> bytes:
    """Return a file as gzip, the same bytes in each process; kept until the file changes."""
    return gzip.compress(Path(path).read_bytes(), 9, mtime=0)


def compress_file(request: HttpRequest, response: HttpResponseBase, path: str) -> HttpResponseBase:
    """Return an answer that carries a file, compressed where the client takes it and it is worth it.

    Caches on the way are told that there are two (Vary). A part of a file (Range) stays as it is.
    """
    stat = Path(path).stat()
    if stat.st_size < MIN_BYTES or Path(path).suffix not in COMPRESSIBLE:
        return response
    patch_vary_headers(response, ["Accept-Encoding"])
    if response.status_code != HTTPStatus.OK or not takes_gzip(request):
        return response
    body = compressed(path, stat.st_mtime_ns)
    packed = HttpResponse(b"" if request.method == "HEAD" else body)
    for name, value in response.headers.items():
        packed[name] = value
    packed["Content-Encoding"] = "gzip"
    packed["Content-Length"] = str(len(body))
    if etag := response.headers.get("ETag"):
        packed["ETag"] = f"W/{etag}"  # equal in meaning, not in bytes
    response.close()
    return packed


class CompressedStaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # it has no types
    """WhiteNoise, which by itself serves only what a build compressed; nothing is collected here."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponseBase:
        """Answer a file."""
        if (known := request.META.get("HTTP_IF_NONE_MATCH", "")).startswith("W/"):
            request.META["HTTP_IF_NONE_MATCH"] = known.removeprefix("W/")  # WhiteNoise compares texts
        response = WhiteNoiseMiddleware.serve(static_file, request)
        path = static_file.alternatives[-1][1]
        return compress_file(request, response, str(path))


class CompressPages(GZipMiddleware):
    """Compresses pages, and nothing else: downloads and the API's answers stay as they are.

    A page holds tokens, which could be guessed by the length of the answer when they are compressed
    together with what an address brings (BREACH). Three things are against it: Django masks the token
    of a form anew in each answer, GZipMiddleware adds up to 100 random bytes to each, and the session's
    cookie does not come with what another site embeds (SameSite=Lax). An API key is in one answer only.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Compress a page where the browser takes it."""
        if response.streaming or not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)
