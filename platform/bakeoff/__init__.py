"""The site: wiring and faces of Bakeoff, no rule of the domain."""

__version__ = "0.2.0"
