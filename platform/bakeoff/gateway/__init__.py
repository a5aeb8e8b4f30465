"""The fast lane: raw ASGI routes beside Django, no ORM, no torch, rows committed before the answer."""
