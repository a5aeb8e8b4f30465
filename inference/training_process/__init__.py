"""The training subprocess: `python -m inference.training_process RUN LEASE`.

It may be killed at any moment: checkpoints let the next attempt go on, and the lease keeps an
attempt that was given up, or cancelled, from publishing. Several may share the steps of one run
(`inference.encoders.parallel`): all compute the same, and the first alone writes.
"""
