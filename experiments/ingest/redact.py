"""Take out of a free text what names or exposes a person, before it is stored.

Guarantees: the same text gives the same result; a redacted text redacted again is unchanged; time is
linear in the length: what could look back is matched by RE2, and where a text holds more digits than
`MAX_DIGITS` every long number in it goes, because looking at each would take seconds. Does not
guarantee to find names, addresses or a number without its check digit.

Kinds: email, url_secret (credentials and tokens in addresses), ip, iban (mod 97), card (Luhn), cn_id
and cn_mobile (Chinese identity and mobile numbers), phone (libphonenumber).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from datetime import date
from typing import TYPE_CHECKING

import phonenumbers
import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Span = tuple[int, int]
# A number without a country code is read as these countries would, grouped as they group it.
REGIONS = ("US", "GB", "DE", "FR", "CN", "IN")
_INVISIBLE = dict.fromkeys((0x200B, 0x2060, 0xFEFF, 0x00AD))

_EMAIL = re.compile(
    r"[^\W_](?:[\w.!#$%&'*+/=?^`{|}~-]{0,63})@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}(?![\w-])"
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s<>\"']+", re.IGNORECASE)
_USER_INFO = re.compile(r"://([^/\s@]+)@")
_SECRET = re2.compile(
    r"(?i)[?&#;](?:[\pL\pN_.-]*(?:token|secret|passw(?:or)?d|pwd|api[-_]?key|access[-_]?key|auth|session|sid|"
    r"signature|credential|code|otp|jwt|ticket)[\pL\pN_.-]*|key|sig|pass)=([^&#;\s]+)"
)
_JWT = re2.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])[0-9a-f:]{2,39}(?:(?<=:)(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])", re.IGNORECASE
)
_IBAN = re.compile(
    r"(?:(?<![A-Z0-9])|(?<=IBAN))[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?"
    r"(?![A-Z0-9])",
    re.IGNORECASE,
)
_CARD = re.compile(r"(?<![\d.,-])\d(?:[ -]?\d){12,18}(?![\d-]|[.,]\d)")
_CN_ID = re.compile(r"(?<![0-9A-Za-z])\d{6}[ -]?\d{8}[ -]?\d{3}[0-9Xx](?![0-9A-Za-z])")
_CN_MOBILE = re.compile(
    r"(?<![\d.+])(?:\(?(?:\+|00)?86\)?[ -]?)?1[3-9]\d(?:\d{8}|[ -]\d{4}[ -]\d{4})(?![\d]|[.,]\d)"
)
# A number of at least seven digits, however it is grouped; no two parts of it can match the same.
_LONG_NUMBER = re.compile(r"\+?\(?[0-9](?:[^\w\n]{0,4}[0-9]){6,}")
MAX_DIGITS = 500
# What every kind needs one of: most short texts have none, and are passed without looking for each.
_TRACE = re.compile(r"[\d@:]|eyJ")
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CARD_ISSUERS = re.compile(r"4|5[1-5]|2[2-7]|3[47]|3[0689]|35|6|50|5[6-9]")


def redact(text: str) -> tuple[str, list[str]]:
    """Return a text with what was found replaced by `[kind]`, and the kinds in order.

    Args:
        text: of any length; callers bound it.
    """
    if text.isascii() and not _TRACE.search(text):
        return text, []
    text = text.translate(_INVISIBLE)
    kinds: dict[str, None] = {}
    changed = True
    while changed:  # a mark may set apart what was not seen beside its neighbour
        changed = False
        for kind, find in _FINDERS.items():
            spans = list(find(_plain(text)))
            # From behind, so that the places in front stay where they were found.
            for start, end in reversed(spans):
                text = f"{text[:start]}[{kind}]{text[end:]}"
            if spans:
                kinds[kind], changed = None, True
    return text, list(kinds)


def _plain(text: str) -> str:
    """Write full-width characters and digits of any script as ASCII, each in its place."""
    if text.isascii():
        return text
    return "".join(_plain_character(c) for c in text)


def _plain_character(c: str) -> str:
    if "\uff01" <= c <= "\uff5e":
        return chr(ord(c) - 0xFEE0)
    if c.isdecimal():
        return str(unicodedata.decimal(c))
    return {"\u3000": " ", "\u00a0": " ", "\u2010": "-", "\u2011": "-", "\u2013": "-"}.get(c, c)


def _find_emails(text: str) -> Iterator[Span]:
    for match in _EMAIL.finditer(text):
        yield match.span()


def _find_url_secrets(text: str) -> Iterator[Span]:
    yield from _apart([*_find_in_addresses(text), *(jwt.span() for jwt in _JWT.finditer(text))])


def _find_in_addresses(text: str) -> Iterator[Span]:
    for url in _URL.finditer(text):
        address, base = url.group(), url.start()
        if (info := _USER_INFO.search(address)) and not info[1].startswith("["):
            yield base + info.start(1), base + info.end(1)
        for secret in _SECRET.finditer(address):
            if not secret[1].startswith("["):
                yield base + secret.start(1), base + secret.end(1)


def _find_ips(text: str) -> Iterator[Span]:
    spans = [
        match.span()
        for pattern in (_IPV4, _IPV6)
        for match in pattern.finditer(text)
        if _is_ip(match.group())
    ]
    yield from _apart(spans)


def _is_ip(text: str) -> bool:
    if text.count(":") < 2 and "." not in text:
        return False
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    # "::" alone, and times such as 10::, are no addresses in prose; 0.0.0.0 and 127.0.0.1 name nobody.
    return len(text) > 4 and not address.is_unspecified and not address.is_loopback


def _find_ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        start, end = match.span()
        # A word may stand where the last group would: shorten from the right until it checks.
        while end - start >= 15:
            if _is_iban(text[start:end]):
                yield start, end
                break
            end = max(text.rfind(" ", start, end), text.rfind("-", start, end))


def _is_iban(text: str) -> bool:
    plain = re.sub(r"[ -]", "", text).upper()
    if not 15 <= len(plain) <= 34 or not plain.isalnum():
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def _find_cards(text: str) -> Iterator[Span]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if _CARD_ISSUERS.match(digits) and _passes_luhn(digits):
            yield match.span()


def _passes_luhn(digits: str) -> bool:
    weighted = [int(d) * (2 if n % 2 else 1) for n, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in weighted) % 10 == 0


def _find_cn_ids(text: str) -> Iterator[Span]:
    for match in _CN_ID.finditer(text):
        if _is_cn_id(re.sub(r"[ -]", "", match.group())):
            yield match.span()


def _is_cn_id(number: str) -> bool:
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(d) * weight for d, weight in zip(number, _ID_WEIGHTS, strict=False))
    return "10X98765432"[total % 11] == number[-1].upper()


def _find_cn_mobiles(text: str) -> Iterator[Span]:
    for match in _CN_MOBILE.finditer(text):
        yield match.span()


def _find_phones(text: str) -> Iterator[Span]:
    digits = sum(c.isdigit() for c in text)
    if digits < 7:
        return
    if digits > MAX_DIGITS:
        for number in _LONG_NUMBER.finditer(text):
            yield number.span()
        return
    leniency = phonenumbers.Leniency
    spans = [
        (match.start, match.end)
        for match in phonenumbers.PhoneNumberMatcher(text, None, leniency.VALID)
    ]
    spans += [
        (match.start, match.end)
        for region in REGIONS
        for match in phonenumbers.PhoneNumberMatcher(text, region, leniency.STRICT_GROUPING)
        if _is_written_as_a_phone(match.raw_string)
    ]
    yield from _apart(spans)


def _is_written_as_a_phone(raw: str) -> bool:
    """Whether a national number is grouped: ten bare digits are as likely an order's number."""
    groups = re.findall(r"\d+", raw)
    return len(groups) >= 2 and not re.fullmatch(r"(?:19|20)\d\d", groups[0])


def _apart(spans: list[Span]) -> Iterator[Span]:
    """Yield spans in order, joined where they overlap."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    yield from joined


# In this order: what one finds, the next cannot take for its own.
_FINDERS: dict[str, Callable[[str], Iterator[Span]]] = {
    "url_secret": _find_url_secrets,
    "email": _find_emails,
    "iban": _find_ibans,
    "cn_id": _find_cn_ids,
    "card": _find_cards,
    "cn_mobile": _find_cn_mobiles,
    "ip": _find_ips,
    "phone": _find_phones,
}
