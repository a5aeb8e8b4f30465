"""Where the platform is seen from outside, and which proxies stand in front of it.

`BAKEOFF_PUBLIC_URL` names scheme, host and sub-path under which people and pages reach the platform;
`BAKEOFF_TRUSTED_PROXIES` names whose `X-Forwarded-*` headers are believed. Pure: neither Django nor the
fast lane is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

UNIX = "unix"  # a proxy that speaks over a socket file has no address
Network = IPv4Network | IPv6Network


class AddressError(ValueError):
    """A setting that cannot be understood; the message names value and rule."""


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """Scheme, host and sub-path of the platform, or of a page that asks it, as visitors see it.

    Attributes:
        scheme: http or https.
        host: name or address, with its port unless that is the scheme's own.
        path: of the sub-path, `/bakeoff`; empty at the root.
    """

    scheme: str
    host: str
    path: str = ""

    @classmethod
    def parse(cls, url: str) -> PublicUrl:
        """Read `https://example.com/bakeoff`.

        Raises:
            AddressError: it is no such URL.
        """
        rule = "a URL such as https://example.com/bakeoff, without user, query or fragment"
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError as error:
            raise AddressError(f"BAKEOFF_PUBLIC_URL == '{url}', must be {rule}: {error}.") from error
        plain = not (parts.query or parts.fragment or "@" in parts.netloc)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
            raise AddressError(f"BAKEOFF_PUBLIC_URL == '{url}', must be {rule}.")
        name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        default = {"http": 80, "https": 443}[parts.scheme]
        host = name if port in {None, default} else f"{name}:{port}"
        return cls(parts.scheme, host, parts.path.rstrip("/"))

    @property
    def origin(self) -> str:
        """What a browser sends as `Origin`."""
        return f"{self.scheme}://{self.host}"

    @property
    def hostname(self) -> str:
        """The host without its port, as Django's ALLOWED_HOSTS wants it."""
        return self.host if self.host.endswith("]") else self.host.rsplit(":", 1)[0]

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Whose word about a visitor's address and scheme is believed."""

    networks: tuple[Network, ...] = ()
    unix: bool = False

    @classmethod
    def parse(cls, text: str) -> TrustedProxies:
        """Read addresses and networks, separated by commas or blanks; `unix` is a socket file.

        Raises:
            AddressError: one is neither.
        """
        words = text.replace(",", " ").split()
        networks = []
        for word in words:
            if word == UNIX:
                continue
            try:
                networks.append(ip_network(word, strict=False))
            except ValueError as error:
                raise AddressError(
                    f"BAKEOFF_TRUSTED_PROXIES has '{word}', must be an address, a network such as "
                    "10.0.0.0/8, or unix."
                ) from error
        return cls(tuple(networks), UNIX in words)

    def trusts(self, address: str) -> bool:
        """Whether an address is a proxy's; an empty one is that of a socket file."""
        if not address:
            return self.unix
        if not self.networks:
            return False
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        # A dual-stack socket says ::ffff:10.0.0.1 of 10.0.0.1.
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return any(ip in network for network in self.networks)

    def client_of(self, peer: str, forwarded_for: str) -> str:
        """Return the visitor's address: the last one that no trusted proxy has.

        Args:
            peer: who is connected.
            forwarded_for: `X-Forwarded-For`; whatever stands left of the first untrusted address was
                said by the visitor.
        """
        address = peer
        for hop in reversed([hop.strip() for hop in forwarded_for.split(",")]):
            if not self.trusts(address):
                break
            if not _is_address(hop):
                break
            address = hop
        return address


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
