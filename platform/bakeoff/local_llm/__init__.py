"""The embedded language model: a process of its own that speaks OpenAI's protocol on loopback."""
