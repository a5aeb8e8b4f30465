"""Experiments as feature flags: OFREP, GrowthBook's payload, rules for our own clients."""
