"""What people call their browser and device, from the header that it sends."""

from __future__ import annotations

# In this order: each also claims to be those after it.
_BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
    ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


def browser_name(header: str) -> str:
    """Return such as `Firefox, Linux`; of no known browser the header's beginning."""
    browser = next((name for mark, name in _BROWSERS if mark in header), "")
    if not browser:
        return header[:40]
    system = next((name for mark, name in _SYSTEMS if mark in header), "")
    return f"{browser}, {system}" if system else browser
