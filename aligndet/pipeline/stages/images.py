"""Images of the demo: a generated, labelled set, or small copies of the user's, so that its time is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.pipeline.question import Question
from aligndet.pipeline.stage import Stage

SIZE = 224  # side of generated images, pixels
LONG_SIDE = 320  # of copies, pixels
LEAST = 16  # fewer make no sense: a batch of the box domain has 8, and each needs others to differ from


@dataclass(frozen=True)
class ImagesRequest:
    """What is made.

    Attributes:
        out: folder to write into.
        generate: images by split; empty copies ``images``.
        images: to copy; most: of them at most, evenly spread over their order.
        seed: of the generated set.
    """

    out: str
    generate: dict[str, int] = field(default_factory=dict)
    images: str = ""
    most: int = 0
    seed: int = 0


@dataclass(frozen=True)
class ImagesResult:
    """How many images there are, by split, and which were left out, with reasons."""

    counts: dict[str, int]
    left_out: tuple[str, ...] = ()


def plan(question: Question) -> Stage | None:
    """Only where images are generated or copied."""
    if not question.prepared:
        return None
    made = bool(question.generate)
    return Stage.of(
        __name__,
        "images: a generated, labelled set" if made else f"images: small copies of {question.images}",
        ImagesRequest(
            str(question.path("images")),
            question.generate,
            "" if made else question.images,
            question.copies,
            question.seed,
        ),
        outputs=("images",),
        inputs=() if made else ("IMAGES",),
    )


def run(request: ImagesRequest) -> ImagesResult:
    """Generate or copy."""
    if request.generate:
        from aligndet.synthetic.dataset import write_dataset

        write_dataset(Path(request.out), request.generate, SIZE, request.seed)
        return ImagesResult(dict(request.generate))
    left_out = copy_images(Path(request.images), Path(request.out), request.most)
    return ImagesResult(
        {"unlabelled": _spread(Path(request.images), request.most)[1] - len(left_out)}, left_out
    )


def _spread(source: Path, most: int) -> tuple[Any, int]:
    """Names of at most ``most`` images, evenly spread, with their folder; and how many."""
    import numpy as np

    from aligndet.common.images import list_images

    table, root = list_images(source)
    places = np.unique(np.linspace(0, len(table) - 1, min(most, len(table))).astype(int))
    return ([table[int(place)].file_name for place in places], root), len(places)


def copy_images(source: Path, out: Path, most: int) -> tuple[str, ...]:
    """Write JPEG copies of at most :data:`LONG_SIDE` pixels; copies that are there are kept.

    Returns:
        Names and reasons of the images that cannot be read.

    Raises:
        InputError: fewer than :data:`LEAST` images that can be read.
    """
    from concurrent.futures import ThreadPoolExecutor

    from aligndet.common.errors import InputError

    (names, root), count = _spread(source, most)
    with ThreadPoolExecutor(2) as pool:
        reasons = list(
            pool.map(lambda name: _copy(root / name, target(out / "images" / "unlabelled", name)), names)
        )
    bad = tuple(f"{name}: {reason}" for name, reason in zip(names, reasons, strict=True) if reason)
    if count - len(bad) < LEAST:
        first = f" (of {count}, {len(bad)} cannot be read: {bad[0]})" if bad else ""
        raise InputError(f"--images {source}: {count - len(bad)} images{first}; expected at least {LEAST}")
    return bad


def target(folder: Path, name: str) -> Path:
    """Where the copy of an image lies: names stay, other kinds than .jpg get that ending added."""
    return folder / (name if name.lower().endswith((".jpg", ".jpeg")) else f"{name}.jpg")


def _copy(source: Path, copy: Path) -> str:
    """Copy one image; the reason if it cannot be read, else nothing."""
    import cv2

    from aligndet.common.files import write_bytes
    from aligndet.common.images import UnreadableImageError, read_image
    from aligndet.visualization.drawing import fit

    if copy.exists():
        return ""
    try:
        image = fit(read_image(source), LONG_SIDE)
    except UnreadableImageError as error:
        return str(error)
    write_bytes(copy, cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
    return ""


def lines(result: dict[str, Any]) -> list[str]:
    """Counts by split."""
    counts = [f"{count} {split}" for split, count in result["counts"].items()]
    return [", ".join(counts), *([f"{len(result['left_out'])} left out"] if result["left_out"] else [])]
