"""Training runs: what conducts split, fit, gate and export, in a process of its own."""
