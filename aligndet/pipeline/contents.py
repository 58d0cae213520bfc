"""Hashes of all that a question names: configs, images, labels, weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from aligndet.pipeline import inputs
from aligndet.pipeline.question import Question, label

if TYPE_CHECKING:
    from aligndet.common.image_table import ImageTable

CONFIGS = ("detector", "image_config", "box_config")
FILES = ("train", "val", "proposals", "weights")


def contents(question: Question, files: Sequence[str] = ()) -> dict[str, str]:
    """Hashes of all that a question names, by the names of the options.

    Args:
        question: what is asked.
        files: more files that decide the result: checkpoints that configs name.

    Raises:
        InputError: a config or the images are not there.
    """
    hashes = {}
    for name in CONFIGS:
        if value := getattr(question, name):
            hashes[label(name)] = inputs.text_hash(inputs.config_content(value))
    for name in FILES:
        value = getattr(question, name)
        if value and Path(value).exists():
            hashes[label(name)] = inputs.path_content(Path(value))
    if question.images and not question.generate:
        table, root = image_table(question)
        hashes["IMAGES"] = inputs.images_content(root, [entry.file_name for entry in table])
    for file in files:
        hashes[file] = inputs.path_content(Path(file)) if Path(file).exists() else "gone"
    return hashes


def image_table(question: Question) -> tuple[ImageTable, Path]:
    """The user's images and the folder that their names are relative to; listed once."""
    return _listed(question.images)


@lru_cache(maxsize=4)
def _listed(images: str) -> tuple[ImageTable, Path]:
    from aligndet.common.images import list_images

    return list_images(Path(images))
