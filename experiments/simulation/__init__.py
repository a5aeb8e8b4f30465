"""A surface's programme over a year, simulated: what releasing by one rule or another brings."""
