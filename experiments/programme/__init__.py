"""How a surface's challengers stand: the queue, and the ramp of the one that is tested."""
