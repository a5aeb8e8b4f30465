"""What a month's quota refuses once it is used up.

Enforcement follows the counts: what is committed is added up every tick, and read with the serving
config every two seconds, so that more than a quota may pass by what comes meanwhile. Counts that cannot
be read anew refuse and admit as they did, until the month ends.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bakeoff.accounts.usage_kinds import QUOTA_NAMES
from bakeoff.gateway.http.errors import ApiError

if TYPE_CHECKING:
    from bakeoff.gateway.config.serving_config import KeyConfig, ServingConfig


def refuse_used_up(config: ServingConfig, key: KeyConfig, quota: str) -> None:
    """Refuse a request of a project whose quota is used up.

    Raises:
        ApiError: 429.
    """
    state = config.used_up.get((key.project_id, quota))
    if state is None or (left := state.until - time.time()) <= 0:
        return
    what, month = QUOTA_NAMES[quota], f"{state.month:%Y-%m}"
    then = datetime.fromtimestamp(state.until, UTC)
    raise ApiError(
        429,
        "quota_used_up",
        f"{what} of {month} == {state.used}, must be below {state.limit}, the quota of project "
        f"'{key.project}'; the next month begins on {then:%Y-%m-%d} (UTC).",
        retry_after=math.ceil(left),
    )
