"""From a unit's recent items to a slate: numpy only, fast enough for a request."""
