"""What the labels share with what is trained on: told before the work, and in the report."""

from __future__ import annotations

from pathlib import Path

from aligndet.common.labels.reader import read_labels
from aligndet.common.leaks import ImageSet, find_leak
from aligndet.pipeline.contents import image_table
from aligndet.pipeline.question import Question


def leaks_of_pretraining(question: Question) -> tuple[str, ...]:
    """Say which images of ``--val`` are among those that pre-training sees, without their labels."""
    if question.generate or not question.label_files:
        return ()
    table, root = image_table(question)
    folder = Path(question.label_folders[1])
    names = read_labels(question.label_files[1], folder, "val").names
    report = ImageSet(f"--val {question.val}", folder, names)
    leak = find_leak(
        report, ImageSet(f"IMAGES {question.images}", root, [entry.file_name for entry in table])
    )
    told = []
    if leak.certain:
        told.append(
            f"{leak.text()}: the detector is pre-trained on images that AP is reported on, though without "
            "their labels; on new images it may gain less"
        )
    if leak.hint():
        told.append(leak.hint())
    return tuple(told)
