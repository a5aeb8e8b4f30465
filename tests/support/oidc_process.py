"""A provider of OpenID Connect in a process of its own, as an organization's is.

`python -m tests.support.oidc_process [--forge]` prints its issuer and serves until it is ended. With
`--forge` it signs with a key that it does not publish, under the id of the one that it does.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.oidc import Provider

FORGE = "--forge"


@contextmanager
def provider_process(*options: str) -> Iterator[Provider]:
    """Run the process for the length of a block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.oidc_process", *options],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        issuer = process.stdout.readline().strip()
        assert issuer, f"the provider ended with {process.wait()}"
        yield Provider(issuer)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _forge() -> None:
    from joserfc.jwk import RSAKey
    from oidc_provider_mock._app import OpenIDCode

    honest = OpenIDCode.get_jwt_config
    forger = RSAKey.generate_key(2048).as_dict(private=True)

    def forged(self, grant, client=None):
        config = honest(self, grant, client)
        named = {"kid": config["key"]["kid"]} if "kid" in config["key"] else {}
        return config | {"key": forger | named}

    OpenIDCode.get_jwt_config = forged


def _serve() -> None:
    warnings.simplefilter("ignore")  # it uses what its own library calls old
    from oidc_provider_mock import app
    from werkzeug.serving import make_server

    if FORGE in sys.argv:
        _forge()
    server = make_server("localhost", 0, app(), threaded=True)
    sys.stdout.write(f"http://localhost:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    _serve()
