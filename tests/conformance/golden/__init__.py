"""Reference cases of independent libraries, run through the engine: `python -m tests.conformance.golden FILE`."""
