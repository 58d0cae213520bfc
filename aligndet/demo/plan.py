"""What the demo is asked to do, and where its files lie."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

LEAST_IMAGES = (
    16  # fewer make no sense: a batch of the box domain has 8, and each needs others to differ from
)


@dataclass(frozen=True)
class Plan:
    """What the demo is asked to do.

    Attributes:
        work: folder of everything it makes. root: of the repository.
        images: folder of the user's images; None generates a labelled set.
        train, val: the user's labels (COCO json over ``images``), for the comparison; both or none.
        max_images: of the user's, spread evenly over the folder's order.
        image_steps, box_steps, finetune_steps: training iterations; None keeps the configs'.
        seeds: paired seeds of the comparison. lrs: learning rates tried for both starts.
        cores: CPU cores to use.
    """

    work: Path
    root: Path
    images: Path | None = None
    train: Path | None = None
    val: Path | None = None
    max_images: int = 300
    image_steps: int | None = None
    box_steps: int | None = None
    finetune_steps: int = 150
    seeds: int = 3
    lrs: tuple[str, ...] = ("0.001", "0.0005")
    cores: int = 2

    def path(self, *parts: str) -> Path:
        """A file of the demo."""
        return self.work.joinpath(*parts)

    @property
    def unlabelled(self) -> Path:
        """Folder of the images that pre-training sees."""
        return self.path("0_images", "images", "unlabelled")

    @property
    def labels(self) -> tuple[Path, Path, Path] | None:
        """Training labels, validation labels, image folder; None where there are none."""
        if self.images is None:
            made = self.path("0_images", "annotations")
            return made / "train.json", made / "val.json", self.path("0_images", "images")
        return (self.train, self.val, self.images) if self.train and self.val else None

    def word(self, path: Path) -> str:
        """A path as commands show it: relative to the repository where it lies in there."""
        full = path.resolve()
        return str(full.relative_to(self.root)) if full.is_relative_to(self.root) else str(full)

    def tool(self, name: str, *words: object) -> tuple[str, ...]:
        """The command of a tool."""
        texts = (self.word(word) if isinstance(word, Path) else str(word) for word in words)
        return (sys.executable, f"tools/{name}.py", *texts)


def check(plan: Plan) -> None:
    """Find what is wrong with the question before any work.

    Raises:
        ValueError, FileNotFoundError: names the option and what was expected.
    """
    if (plan.train is None) != (plan.val is None) or (plan.train and plan.images is None):
        raise ValueError("--train and --val go together, and with --images: COCO json files over that folder")
    if plan.images is not None and not plan.images.is_dir():
        raise FileNotFoundError(f"--images {plan.images}: there is no such folder")
    for option, path in (("--train", plan.train), ("--val", plan.val)):
        if path is not None and not path.is_file():
            raise FileNotFoundError(f"{option} {path}: there is no such file")
    if plan.max_images < LEAST_IMAGES:
        raise ValueError(f"--max-images {plan.max_images}: at least {LEAST_IMAGES}")
    for name in ("image_steps", "box_steps", "finetune_steps", "seeds"):
        value = getattr(plan, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} {value}: at least 1")


def available_cores() -> int:
    """CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
