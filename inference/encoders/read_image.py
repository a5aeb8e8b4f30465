"""Bytes from elsewhere to pixels: what is decoded is bounded before it is decoded.

A file of a few kilobytes may claim a million times as many pixels. The format and the size in pixels
are read from its header and judged first; only four formats have a decoder here.
"""

from __future__ import annotations

import io
import struct
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES = 10 * 2**20
MAX_PIXELS = 40_000_000  # 120 MB decoded: a camera's largest picture, and a worker's patience
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MAX_EDGE = 512  # pixels: no encoder here reads more, and a batch of these fits in memory


class ImageRefusedError(ValueError):
    """Bytes that are no usable image; the message is a sentence."""


def read_image(content: bytes, *, max_edge: int = MAX_EDGE, as_seen: bool = False) -> Image.Image:
    """Return an image in RGB, transparent parts white, its longer edge at most `max_edge` pixels.

    Of an animation it is the first frame.

    Args:
        content: of a file.
        max_edge: in pixels.
        as_seen: turned as its camera was held, in the colours of its profile. Not for encoders: the
            vectors of images that were read before would be others.

    Raises:
        ImageRefusedError: too many bytes or pixels, another format, or damaged.
    """
    if len(content) > MAX_BYTES:
        raise ImageRefusedError(
            f"the image has {len(content)} bytes, must be at most {MAX_BYTES} (10 MB)."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own bound is looser than ours
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_pixels(image.size)
                image.draft("RGB", (max_edge, max_edge))  # a JPEG decodes at a fraction of its size
                image.thumbnail((max_edge, max_edge))
                return _on_white(_as_seen(image) if as_seen else image)
        except UnidentifiedImageError:
            raise ImageRefusedError(
                f"the file is no image: it must be one of {', '.join(FORMATS)}."
            ) from None
        except Image.DecompressionBombError:
            raise ImageRefusedError(f"the image has more than {MAX_PIXELS} pixels.") from None
        except ImageRefusedError:
            raise
        except (OSError, ValueError, SyntaxError, EOFError, MemoryError, IndexError, KeyError):
            # What Pillow's decoders raise on damaged files, whatever the format.
            raise ImageRefusedError("the image is damaged.") from None


def _check_pixels(size: Iterable[int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageRefusedError(
            f"the image has {width} x {height} pixels, must be at most {MAX_PIXELS} in all."
        )


def _as_seen(image: Image.Image) -> Image.Image:
    """Return an image upright and in sRGB; a note of the camera that cannot be read says nothing."""
    with suppress(OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, struct.error):
        image = ImageOps.exif_transpose(image)
    profile = image.info.get("icc_profile")
    if profile and image.mode in {"RGB", "CMYK"}:
        with suppress(ImageCms.PyCMSError, OSError, ValueError):
            camera = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            seen = ImageCms.profileToProfile(
                image, camera, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            return image if seen is None else seen
    return image


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        layered = image.convert("RGBA")
        ground = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(ground, layered).convert("RGB")
    return image.convert("RGB")
