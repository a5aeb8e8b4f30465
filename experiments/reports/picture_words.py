"""What is refused of pictures, in the words of pages."""

from __future__ import annotations

from django.utils.translation import gettext_noop

PICTURE_SENTENCES: tuple[tuple[str, str], ...] = (
    (
        "the image has {count} bytes, must be at most {maximum} (10 MB).",
        gettext_noop("The picture is larger than 10 MB. Choose a smaller one."),
    ),
    (
        "the file is no image: it must be one of {formats}.",
        gettext_noop("This file is no picture. Choose one of %(formats)s."),
    ),
    (
        "the image has more than {maximum} pixels.",
        gettext_noop("The picture has more than %(maximum)s pixels. Choose a smaller one."),
    ),
    (
        "the image has {width} x {height} pixels, must be at most {maximum} in all.",
        gettext_noop(
            "The picture has %(width)s × %(height)s pixels: at most %(maximum)s in all are allowed"
        ),
    ),
    (
        "the image is damaged.",
        gettext_noop("The picture is damaged. Save it again, or choose another."),
    ),
)
