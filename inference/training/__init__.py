"""Snapshot, split, fit, gate: what a training run does, in a process of its own."""
