"""Surfaces that generate text: OpenAI's chat completions, answered by the version of the unit."""
