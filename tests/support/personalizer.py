"""What a client of Azure Personalizer sends."""

from __future__ import annotations

ACTIONS = [
    {"id": "none", "features": [{"price": 0}]},
    {"id": "half", "features": [{"price": 5}, {"taste": {"hot": True}}]},
    {"id": "gift", "features": [{"brand": "x"}]},
]
CONTEXT = [{"device": {"kind": "phone"}}, {"hour": 9, "tags": ["b", "a"]}]
