"""An image is read, measured and judged as training will see it, and a giant one is not decoded."""

from __future__ import annotations

import io
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from aligndet.common.errors import InputError
from aligndet.common.images import (
    UnreadableImageError,
    content_stamp,
    image_size,
    most_pixels,
    open_image,
    read_image,
)

SCENE = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8), (80, 60))


def saved(kind: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(SCENE[..., ::-1].copy()).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(kind, exif=exif)


def giant_png(side: int) -> bytes:
    """A sound one-bit png of side x side pixels in side * side / 8000 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    rows = zlib.compress(bytes((side // 8 + 1) * side), 1)
    head = side.to_bytes(4, "big") * 2 + b"\x01\x00\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


KINDS = {
    **{f"{kind}_{n}": turned(kind, n) for kind in ("jpeg", "png", "webp", "tiff") for n in range(1, 9)},
    "grey": saved("jpeg", "L"),
    "palette": saved("png", "P"),
    "one_bit": saved("png", "1"),
    "cmyk": saved("jpeg", "CMYK"),
    "alpha": saved("png", "RGBA"),
    "bmp": saved("bmp"),
    "gif": saved("gif"),
    "pages": saved("tiff", save_all=True, append_images=[Image.new("RGB", (10, 10))]),
    "sixteen": cv2.imencode(".png", SCENE.astype(np.uint16) * 257)[1].tobytes(),
    "nonsense_exif": turned("jpeg", 77),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_is_that_of_the_pixels_that_training_loads(kind: str, tmp_path: Path) -> None:
    """EXIF turns, pages, palettes and depths: the size from the header is that of the decoded image."""
    path = tmp_path / "image.jpg"
    path.write_bytes(KINDS[kind])
    height, width = read_image(path).shape[:2]
    assert image_size(path) == (width, height)
    loaded = pytest.importorskip("mmcv").imfrombytes(KINDS[kind])
    np.testing.assert_array_equal(read_image(path), loaded)


def test_a_quarter_turn_swaps_the_sides(tmp_path: Path) -> None:
    for orientation, size in ((1, (80, 60)), (6, (60, 80))):
        (tmp_path / "a.jpg").write_bytes(turned("jpeg", orientation))
        assert image_size(tmp_path / "a.jpg") == size


def test_an_orientation_that_stands_in_xmp_alone_is_not_obeyed(tmp_path: Path) -> None:
    """OpenCV turns by EXIF; Pillow looks into XMP too, where EXIF says nothing."""
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    exif = Image.Exif()
    exif[0x0131] = "a camera"
    (tmp_path / "a.jpg").write_bytes(saved("jpeg", exif=exif, xmp=xmp))
    assert image_size(tmp_path / "a.jpg") == (80, 60) == read_image(tmp_path / "a.jpg").shape[1::-1]


def test_a_giant_in_a_small_file_is_refused_by_its_header(tmp_path: Path) -> None:
    """900 million pixels in some 100 KB: neither memory nor minutes are spent on it."""
    path = tmp_path / "bomb.png"
    path.write_bytes(giant_png(30_000))
    began = time.process_time()
    for read in (read_image, image_size):
        with pytest.raises(UnreadableImageError, match=r"30000x30000 px are more .* cut it into tiles"):
            read(path)
    assert time.process_time() - began < 1


def test_the_limit_of_pixels_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(saved("png"))
    monkeypatch.setenv("ALIGNDET_MAX_PIXELS", "4799")
    with pytest.raises(UnreadableImageError, match="ALIGNDET_MAX_PIXELS=4800"):
        read_image(tmp_path / "a.png")
    monkeypatch.setenv("ALIGNDET_MAX_PIXELS", "4800")
    assert read_image(tmp_path / "a.png").shape == (60, 80, 3)
    monkeypatch.setenv("ALIGNDET_MAX_PIXELS", "many")
    with pytest.raises(InputError, match="ALIGNDET_MAX_PIXELS=many: expected a number"):
        most_pixels()


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_twelve_bits_in_sixteen_are_noted_with_their_range(suffix: str, tmp_path: Path) -> None:
    """As 8 bits such an image is nearly black; one that fills its 16 bits is not."""
    grey = SCENE[..., 0].astype(np.uint16)
    for name, values in (("dark", 16 * grey), ("full", 257 * grey), ("black", 0 * grey)):
        cv2.imwrite(str(tmp_path / f"{name}{suffix}"), values)
    note = open_image(tmp_path / f"dark{suffix}").note
    assert f"from {16 * grey.min()} to {16 * grey.max()}, of which training sees" in note
    levels = int((16 * grey.max() >> 8) - (16 * grey.min() >> 8)) + 1
    assert f"sees {levels} grey levels of 256" in note
    assert open_image(tmp_path / f"full{suffix}").note == ""
    assert open_image(tmp_path / f"black{suffix}").note == ""


def test_further_pages_are_noted(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(KINDS["pages"])
    assert open_image(tmp_path / "a.tif").note.startswith("holds 2 pages, of which training sees the first")
    assert image_size(tmp_path / "a.tif") == (80, 60)


def test_the_stamp_is_of_the_bytes_alone(tmp_path: Path) -> None:
    for name, quality in (("a.jpg", 90), ("b.jpg", 90), ("c.jpg", 89)):
        (tmp_path / name).write_bytes(saved("jpeg", quality=quality))
    first = content_stamp(tmp_path / "a.jpg")
    assert first == content_stamp(tmp_path / "b.jpg") == open_image(tmp_path / "a.jpg").stamp != 0
    assert content_stamp(tmp_path / "c.jpg") != first
    assert content_stamp(tmp_path / "gone.jpg") == 0
