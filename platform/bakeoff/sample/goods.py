"""The goods of the sample shop, and their pictures: all drawn here, none taken from anywhere.

Guarantees: pure and repeatable. The same number is the same thing, with the same picture, everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# By department: the kinds of goods, each with the outline of its picture on a ground of 96 × 96.
OUTLINES: Mapping[str, Mapping[str, str]] = {
    "Kitchen": {
        "mug": "M26 28h36v40q0 8-8 8H34q-8 0-8-8zM62 38h8q8 0 8 9t-8 9h-8v-7h7q3 0 3-2t-3-2h-7z",
        "bowl": "M16 42h64q0 30-32 32Q16 72 16 42z",
        "plate": "M48 18a30 30 0 1 0 .1 0zM48 32a16 16 0 1 1-.1 0z",
        "teapot": "M26 40q0-14 20-14t20 14l14-6-8 22q-4 20-26 20T26 56L14 44zM42 18h8v8h-8z",
    },
    "Living": {
        "vase": "M38 14h20l-4 16q16 12 14 30-2 18-20 20-18-2-20-20-2-18 14-30z",
        "lamp": "M32 18h32l12 32H20zM45 50h6v22h12v6H33v-6h12z",
        "cushion": "M18 22q30 8 60 0-8 26 0 52-30-8-60 0 8-26 0-52z",
        "candle": "M34 40h28v38H34zM48 14q10 12 4 20h-8q-6-8 4-20z",
    },
    "Textiles": {
        "blanket": "M14 26h68v40H14zM14 68h6v8h-6zM34 68h6v8h-6zM56 68h6v8h-6zM76 68h6v8h-6z",
        "rug": "M48 26q36 0 36 22T48 70 12 48t36-22z",
        "scarf": "M26 16h44v14H60l8 48H54l-6-34-6 34H28l8-48H26z",
        "hat": "M34 28q14-8 28 0l4 28q14 2 18 12-36 12-72 0 4-10 18-12z",
    },
    "Furniture": {
        "chair": "M30 14h36v28H30zM26 46h44v10h-4v26h-6V56H36v26h-6V56h-4z",
        "stool": "M24 34h48v10h-6l8 38h-8l-6-30H36l-6 30h-8l8-38h-6z",
        "shelf": "M20 14h56v68h-6V68H26v14h-6zM26 20v14h44V20zM26 42v18h44V42z",
        "mirror": "M48 12q24 0 24 34T48 80 24 46t24-34zM48 20q-16 0-16 26t16 26 16-26-16-26z",
    },
    "Accessories": {
        "clock": "M48 16a32 32 0 1 0 .1 0zM45 28h6v20l12 8-4 5-14-10z",
        "basket": "M14 40h68l-8 38H22zM26 40q2-24 22-24t22 24h-7q-2-17-15-17T33 40z",
        "bag": "M22 36h52l4 44H18zM34 36q0-22 14-22t14 22h-6q0-16-8-16t-8 16z",
        "notebook": "M26 14h48v68H26zM18 22h14v5H18zM18 38h14v5H18zM18 54h14v5H18zM18 70h14v5H18z",
    },
}
COLOURS: Mapping[str, str] = {
    "blue": "#3b62c4", "red": "#c2453d", "green": "#3f8f5b", "yellow": "#d9a520", "grey": "#7b8594",
    "pink": "#d06a93", "teal": "#2a9191", "orange": "#d9772b", "violet": "#7c5bb5", "black": "#33373f",
}  # fmt: skip
# Styles, each with the pattern that lies over the colour: a tile of 12 × 12 with its marks.
STYLES: Mapping[str, str] = {
    "plain": "",
    "striped": "M0 0h4v12H0z",
    "dotted": "M6 3a3 3 0 1 0 .1 0z",
    "checked": "M0 0h6v6H0zM6 6h6v6H6z",
    "speckled": "M1 2h2v2H1zM7 8h2v2H7zM9 1h1v1H9zM3 9h1v1H3z",
    "banded": "M0 0h12v4H0z",
    "ribbed": "M0 0h1v12H0zM6 0h1v12H6z",
    "woven": "M0 5h6v2H0zM8 0h2v6H8zM8 10h2v2H8z",
    "diamond": "M6 1l5 5-5 5-5-5z",
    "zigzag": "M0 8l6-6 6 6v3l-6-6-6 6z",
}
KINDS = tuple((kind, department) for department, kinds in OUTLINES.items() for kind in kinds)
COUNT = len(KINDS) * len(COLOURS) * len(STYLES)


@dataclass(frozen=True, slots=True)
class Good:
    """One thing of the shop.

    Attributes:
        number: in [0, COUNT).
        kind: such as mug.
        department: of the shop.
        colour: by name.
        style: by name.
    """

    number: int
    kind: str
    department: str
    colour: str
    style: str

    @property
    def item_id(self) -> str:
        """Its id in the catalogue."""
        return f"g{self.number:04}"

    @property
    def title(self) -> str:
        """Its name, such as "Blue striped mug"."""
        return f"{self.colour.capitalize()} {self.style} {self.kind}"

    @property
    def price(self) -> float:
        """From 6 to 95, the same for a kind in each colour."""
        return 6.0 + 9 * (self.number // (COUNT // len(KINDS)) % 10) + list(STYLES).index(self.style)


def good(number: int) -> Good:
    """Return the thing of a number in [0, COUNT)."""
    rest, style = divmod(number, len(STYLES))
    kind_number, colour = divmod(rest, len(COLOURS))
    kind, department = KINDS[kind_number]
    return Good(number, kind, department, list(COLOURS)[colour], list(STYLES)[style])


def number_of(item_id: str) -> int | None:
    """Return the number of an id; None where the shop has no such thing."""
    digits = item_id.removeprefix("g")
    is_known = item_id == f"g{digits}" and digits.isascii() and digits.isdigit() and len(digits) == 4
    return int(digits) if is_known and int(digits) < COUNT else None


def picture_address(address: str, one: Good) -> str:
    """Return where the picture of a thing lies, on a platform of this address."""
    return f"{address}/sample/{one.item_id}.svg"


def draw(one: Good) -> str:
    """Return the picture of a thing as SVG, that of its colour on a pale ground."""
    colour = COLOURS[one.colour]
    outline = OUTLINES[one.department][one.kind]
    marks = STYLES[one.style]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96" width="192" height="192" '
        f'role="img" aria-label="{one.title}">'
        '<defs><pattern id="p" width="12" height="12" patternUnits="userSpaceOnUse">'
        f'<path d="{marks or "M0 0"}" fill="#fff" fill-opacity=".45"/></pattern></defs>'
        f'<rect width="96" height="96" rx="10" fill="{colour}" fill-opacity=".13"/>'
        f'<path d="{outline}" fill="{colour}" fill-rule="evenodd"/>'
        f'<path d="{outline}" fill="url(#p)" fill-rule="evenodd"/></svg>'
    )
