"""What the people of the sample shop write, by what it is about; none of it was written by a customer.

Guarantees: nothing but words; `{thing}` stands for a thing that was shown, such as mug.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMENTS: Mapping[str, Sequence[str]] = {
    "delivery": (
        "Delivery took two weeks, that is far too long.",
        "My parcel was delivered to a neighbour without a note.",
        "Fast delivery, the parcel came the next day.",
        "The delivery was late again, third parcel in a row.",
        "No delivery date on the page, so I had to wait at home all day.",
        "Delivery to my door costs extra, I did not expect that.",
        "The parcel arrived open and the {thing} was missing.",
        "Please offer delivery on Saturdays.",
        "Tracking said delivered, but the parcel was not there.",
        "Delivery was quick and the driver was friendly.",
        "Slow delivery, the {thing} was meant as a birthday present.",
    ),
    "size": (
        "The {thing} is much smaller than I thought.",
        "What size is the {thing}? I see no measurements.",
        "Please show the size in centimetres.",
        "The size chart is wrong, the {thing} is too big.",
        "Too small for a family, and no larger size in stock.",
        "I ordered two sizes because the measurements are missing.",
        "The size of the {thing} fits exactly, thank you.",
        "Width and height are missing, so I cannot tell if it fits.",
        "A filter by size would help a lot.",
        "The {thing} is bigger than the measurements say.",
        "Sizes differ from one {thing} to the next.",
    ),
    "price": (
        "The {thing} is too expensive for what it is.",
        "Prices went up again since last month.",
        "The price at the checkout was higher than on the page.",
        "Good price for a {thing} like this.",
        "I found the same {thing} cheaper in another shop.",
        "Too expensive, I wait for the sale.",
        "Please show the price with tax.",
        "Your prices are fair, I will be back.",
        "The discount code did not lower the price.",
        "Nice things, but nothing here is cheap.",
        "Only expensive things are shown to me.",
    ),
    "search": (
        "I search for a {thing} and get everything but that.",
        "Search finds nothing when I mistype a word.",
        "I keep seeing the same things and cannot find what I want.",
        "The search results are not sorted in any way I understand.",
        "Where is the search filter for colours?",
        "I had to search for a long time to find the {thing}.",
        "Search is slow on my phone.",
        "I cannot find the {thing} that I looked at yesterday.",
        "Search shows things that are sold out.",
        "It is hard to find anything in this long list.",
        "Finding a {thing} that I like takes forever.",
    ),
    "photos": (
        "The colour in the photo is not the colour of the {thing}.",
        "Please add more photos from other sides.",
        "The photos are too small to see the pattern.",
        "The photo shows two, but only one {thing} came.",
        "Beautiful photos, they made me buy.",
        "I would like a photo of the {thing} in a room.",
        "The photos look darker than the {thing} really is.",
        "One photo of the {thing} is not enough.",
        "Photos do not open on my phone.",
        "The zoom of the photos is blurred.",
        "The same photo is shown for every colour.",
    ),
    "returns": (
        "Returning the {thing} was easy, the refund came in two days.",
        "I sent it back a month ago and still have no refund.",
        "Why do I have to pay for the return?",
        "There was no return label in the box.",
        "The return form does not accept my order number.",
        "My refund was two euros short.",
        "Thirty days to return things is generous.",
        "I want to return the {thing}, but nobody answers.",
        "Returns should be free.",
        "The refund went to the wrong account.",
        "I could not return a {thing} that was on sale.",
    ),
}
# How often each is written about. Where a list knows the visitor, fewer look for things in vain, and
# more of what is shown is liked and found dear.
USUAL: Mapping[str, float] = {**dict.fromkeys(COMMENTS, 1.0), "search": 3.0}
PERSONAL: Mapping[str, float] = {**dict.fromkeys(COMMENTS, 1.0), "search": 0.6, "price": 1.8}
