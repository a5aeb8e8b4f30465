"""Certificates of this machine, and of the authorities that sign them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(name: str, days: int, issuer=None):
    """A certificate of this machine, or of an authority, that ends so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, by = (issuer[0], issuer[1].subject) if issuer else (key, subject)
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    )
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(signer, hashes.SHA256())
    )
    return key, signed


def revocation(issuer, *revoked) -> tuple[str, bytes]:
    """A list of certificates that an authority has revoked, and its name in a folder of such lists."""
    now = datetime.now(UTC)
    name = issuer[1].subject
    lists = x509.CertificateRevocationListBuilder(
        name, now - timedelta(days=1), now + timedelta(days=9)
    )
    for _, signed in revoked:
        one = x509.RevokedCertificateBuilder(signed.serial_number, now - timedelta(days=1)).build()
        lists = lists.add_revoked_certificate(one)
    # As OpenSSL names it, of a name in small letters: a hash of what stands in the outermost sequence.
    digest = hashlib.sha1(name.public_bytes()[2:], usedforsecurity=False).digest()
    number = int.from_bytes(digest[:4], "little")
    text = lists.sign(issuer[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return f"{number:08x}.r0", text


def pem(key, signed) -> tuple[bytes, bytes]:
    encoding = serialization.Encoding.PEM
    return signed.public_bytes(encoding), key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
