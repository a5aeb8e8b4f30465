"""Traces by OpenTelemetry, where an operator wants them: set up once for every part of the platform."""
