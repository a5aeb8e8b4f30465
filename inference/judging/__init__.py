"""Judge generated answers: assertions, judges, and the gate of versions that generate."""
