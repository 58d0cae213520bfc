"""The whole report on labels: what they hold, is mended, left out and refused, and how they fit images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aligndet.common.fit_of_labels import Fit, fit_of_labels
from aligndet.common.labels.file import LabelFile
from aligndet.common.labels.reader import inspect_labels


@dataclass(frozen=True, eq=False)
class LabelCheck:
    """What was found.

    Attributes:
        labels: as read; their report holds counts and notes.
        fit: how they fit their images; None where no folder was given.
    """

    labels: LabelFile
    fit: Fit | None = None

    @property
    def faults(self) -> list[str]:
        """What keeps the labels from being used."""
        refused = [str(note) for note in self.labels.report.refused]
        return refused + (self.fit.faults() if self.fit else [])

    def to_dict(self) -> dict[str, Any]:
        """Plain data: counts, notes, and how images fit."""
        fit = asdict(self.fit) | {"faults": self.fit.faults()} if self.fit else None
        return {**asdict(self.labels.report), "faults": self.faults, "fit": fit}

    def __str__(self) -> str:
        lines = [str(self.labels.report)]
        if self.fit:
            lines += [self.fit.line(), *(f"refused: {fault}" for fault in self.fit.faults())]
        return "\n".join(lines)


def check_labels(file: Path, images: Path | None = None, split: str = "") -> LabelCheck:
    """Read labels and say all that is to be said of them.

    Args:
        file: labels of any kind that is read.
        images: folder of the images; with it, the size of every image is compared.
        split: ``train`` or ``val`` of labels that hold several.

    Raises:
        InputError: no labels at all.
    """
    labels = inspect_labels(file, images, split)
    folder = images or labels.folder
    return LabelCheck(labels, fit_of_labels(labels, folder, most=None) if folder else None)
