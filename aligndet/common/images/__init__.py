"""Which images there are, and reading one as mmdet will read it later."""

from aligndet.common.images.header import most_pixels
from aligndet.common.images.kinds import SUFFIXES
from aligndet.common.images.listing import list_images
from aligndet.common.images.reading import (
    Picture,
    UnreadableImageError,
    image_size,
    open_image,
    read_image,
    refuse_too_large,
)
from aligndet.common.images.stamps import content_stamp, stamp_of

__all__ = [
    "SUFFIXES",
    "Picture",
    "UnreadableImageError",
    "content_stamp",
    "image_size",
    "list_images",
    "most_pixels",
    "open_image",
    "read_image",
    "refuse_too_large",
    "stamp_of",
]
