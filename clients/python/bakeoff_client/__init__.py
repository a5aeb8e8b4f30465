"""A client of Bakeoff.

    client = Client("http://localhost:8000", "pk_…")
    slate = client.recommend("home-feed", unit_id="u42", k=10)
    client.track("click", unit_id="u42", item_id="i1", recommendation_id=slate["recommendation_id"])

    flags = Flags(client)                      # evaluates here, from rules that it polls
    flags.variant("new-button", unit_id="u42", attributes={"country": "DE"})

    with Events(client, spool="events.spool") as events:   # batches; survives an outage and a restart
        events.track("click", unit_id="u42", item_id="i1")

    admin = Admin("http://localhost:8000", "sk_…")          # the management API
    admin.start("trial")

AsyncClient and AsyncAdmin are the same for asyncio.

BakeoffError        an answer other than 2xx, or none
"""

from bakeoff_client.admin import Admin, WaitTimeoutError
from bakeoff_client.asynchronous import AsyncAdmin, AsyncClient
from bakeoff_client.client import Client
from bakeoff_client.events import Events
from bakeoff_client.flags import Evaluation, Flags
from bakeoff_client.transport import BakeoffError

__all__ = [
    "Admin", "AsyncAdmin", "AsyncClient", "BakeoffError", "Client", "Evaluation", "Events", "Flags",
    "WaitTimeoutError",
]  # fmt: skip
