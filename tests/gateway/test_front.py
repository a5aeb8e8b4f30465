"""Where a request comes from and where it goes, behind proxies and below a sub-path."""

from __future__ import annotations

import asyncio

import pytest

from bakeoff.environment import read_environment
from bakeoff.gateway.http.proxies import ProxyResolver
from bakeoff.public_address import AddressError, PublicUrl, TrustedProxies

PUBLIC = PublicUrl.parse("https://example.com/bakeoff/")


def scope(path="/v1/events", peer="10.0.0.5", **headers):
    return {
        "type": "http",
        "scheme": "http",
        "path": path,
        "client": (peer, 4711) if peer else None,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }


@pytest.mark.parametrize(
    ("url", "origin", "hostname", "path"),
    [
        ("https://example.com", "https://example.com", "example.com", ""),
        ("https://example.com:443/", "https://example.com", "example.com", ""),
        ("http://example.com:8080/a/b/", "http://example.com:8080", "example.com", "/a/b"),
        ("https://[::1]:8443/x", "https://[::1]:8443", "[::1]", "/x"),
    ],
)
def test_a_public_url_is_read(url, origin, hostname, path):
    parsed = PublicUrl.parse(url)
    assert (parsed.origin, parsed.hostname, parsed.path) == (origin, hostname, path)


@pytest.mark.parametrize(
    "url",
    ["example.com", "ftp://example.com", "https://", "https://a/?q", "https://u@a", "https://a:x"],
)
def test_what_is_no_public_url_is_named(url):
    with pytest.raises(AddressError, match="BAKEOFF_PUBLIC_URL == "):
        PublicUrl.parse(url)


def test_what_is_no_proxy_is_named():
    with pytest.raises(AddressError, match=r"BAKEOFF_TRUSTED_PROXIES has '10\.0\.0'"):
        TrustedProxies.parse("127.0.0.1, 10.0.0")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.5", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.5", "6.6.6.6, 203.0.113.7, 10.0.0.9", "203.0.113.7"),  # the left one is a lie
        ("::ffff:10.0.0.5", "203.0.113.7", "203.0.113.7"),
        ("203.0.113.8", "6.6.6.6", "203.0.113.8"),  # not a proxy: believed in nothing
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "nonsense", "10.0.0.5"),
        ("", "203.0.113.7", ""),  # a socket file, which nobody trusts here
    ],
)
def test_a_visitors_address_is_what_the_first_untrusted_hop_has(peer, forwarded, client):
    assert TrustedProxies.parse("10.0.0.0/8").client_of(peer, forwarded) == client


def test_a_proxy_says_address_and_scheme_and_the_setting_says_the_host():
    resolver = ProxyResolver(PUBLIC, TrustedProxies.parse("10.0.0.0/8 unix"))
    request = {"x_forwarded_for": "203.0.113.7", "x_forwarded_proto": "https", "host": "web:8000"}
    for peer in ("10.0.0.5", ""):
        seen = resolver.resolve(scope(peer=peer, **request))
        assert (seen["client"][0], seen["scheme"]) == ("203.0.113.7", "https")
        assert [value for name, value in seen["headers"] if name == b"host"] == [b"example.com"]
    stranger = resolver.resolve(scope(peer="203.0.113.8", **request))
    assert (stranger["client"][0], stranger["scheme"]) == ("203.0.113.8", "http")
    assert (b"host", b"web:8000") in stranger["headers"]


@pytest.mark.parametrize(
    ("sent", "fast", "whole"),
    [
        ("/bakeoff/v1/events", "/v1/events", "/bakeoff/v1/events"),
        ("/v1/events", "/v1/events", "/bakeoff/v1/events"),  # the proxy cut it off
        ("/bakeoff", "/", "/bakeoff/"),
        ("/bakeoffs", "/bakeoffs", "/bakeoff/bakeoffs"),
    ],
)
def test_a_sub_path_may_be_passed_on_or_cut_off(sent, fast, whole):
    resolver = ProxyResolver(PUBLIC, TrustedProxies())
    paths = []

    async def django(scope, receive, send):
        paths.append((scope["path"], scope["root_path"]))

    seen = resolver.resolve(scope(sent))
    asyncio.run(resolver.with_sub_path(django)(seen, None, None))
    assert (seen["path"], paths) == (fast, [(whole, "/bakeoff")])


def test_without_settings_nothing_is_touched_and_nothing_believed():
    untouched = scope(x_forwarded_for="6.6.6.6")
    resolver = ProxyResolver(None, TrustedProxies())
    assert resolver.resolve(untouched) is untouched
    assert resolver.with_sub_path(test_a_public_url_is_read) is test_a_public_url_is_read


def test_the_environment_is_read_with_its_blanks(monkeypatch):
    monkeypatch.setenv("BAKEOFF_PUBLIC_URL", "https://example.com/bakeoff")
    monkeypatch.setenv("BAKEOFF_ALLOWED_HOSTS", " a.example , b.example,, ")
    environment = read_environment()
    assert environment.allowed_hosts == ("a.example", "b.example")
    assert str(environment.public) == "https://example.com/bakeoff"
    assert environment.trusted_proxies.trusts("127.0.0.1")
    monkeypatch.setenv("BAKEOFF_TRUSTED_PROXIES", "10.1.0.0/16")
    assert not read_environment().trusted_proxies.trusts("127.0.0.1")
