"""A request as the visitor sent it, whatever proxies stand in between.

One place for both lanes: routes, keys' origins, throttles, cookies and links all read the scope that
leaves here. `X-Forwarded-*` is believed of trusted proxies alone. A proxy may pass the sub-path on or
cut it off: both arrive the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.asgi_types import Asgi, Receive, Scope, Send
    from bakeoff.public_address import PublicUrl, TrustedProxies


class ProxyResolver:
    """Turns the scope of a connection into that of the visitor's request."""

    def __init__(self, public: PublicUrl | None, proxies: TrustedProxies) -> None:
        """Remember where the platform is seen, and whom to believe."""
        self._public, self._proxies = public, proxies
        self._path = public.path if public is not None else ""
        self._idle = public is None and not proxies.networks and not proxies.unix

    def resolve(self, scope: Scope) -> Scope:
        """Return the scope with the visitor's address, scheme, host and path below the sub-path."""
        if self._idle or scope["type"] != "http":
            return scope
        scope = dict(scope)
        peer = scope["client"][0] if scope.get("client") else ""
        if self._proxies.trusts(peer):
            self._believe(scope, peer)
        if self._path:
            scope["root_path"] = self._path
            path = str(scope["path"])
            if path == self._path or path.startswith(f"{self._path}/"):
                scope["path"] = path[len(self._path) :] or "/"
        return scope

    def with_sub_path(self, application: Asgi) -> Asgi:
        """Return an ASGI application that is asked under the path that includes the sub-path."""
        if not self._path:
            return application

        async def below_sub_path(scope: Scope, receive: Receive, send: Send) -> None:
            await application({**scope, "path": f"{self._path}{scope['path']}"}, receive, send)

        return below_sub_path

    def _believe(self, scope: Scope, peer: str) -> None:
        """Take address and scheme from the proxy, and the host from the setting."""
        headers = scope["headers"]
        hops = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        address = self._proxies.client_of(peer, hops.decode("latin-1"))
        scope["client"] = (address, 0)
        schemes = [value for name, value in headers if name == b"x-forwarded-proto"]
        scheme = schemes[-1].decode("latin-1").strip().lower() if schemes else ""
        if scheme in {"http", "https"}:
            scope["scheme"] = scheme
        elif self._public is not None:
            scope["scheme"] = self._public.scheme
        if self._public is not None:
            # A proxy often names its upstream; links and checks of origins need the visitor's host.
            others = [header for header in headers if header[0] != b"host"]
            scope["headers"] = [(b"host", self._public.host.encode()), *others]
