"""Generators, trained from preferences, one file each behind one protocol; `GENERATORS` names them."""

from inference.generators.dpo import Dpo
from inference.generators.protocol import Generator
from inference.generators.sft import Sft

GENERATORS: dict[str, Generator] = {generator.name: generator for generator in (Sft(), Dpo())}

__all__ = ["GENERATORS", "Generator"]
