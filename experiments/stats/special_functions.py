"""SciPy's special functions, imported when the first of them is called.

Lists, exports and pages read stored looks, whose types live beside formulas; they call none of them,
and SciPy takes half of a command's time to start.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scipy import special
else:

    class _Special:
        """Stands for `scipy.special`."""

        def __getattr__(self, name: str) -> Any:
            function = getattr(importlib.import_module("scipy.special"), name)
            setattr(self, name, function)  # found at once from now on
            return function

    special = _Special()

__all__ = ["special"]
