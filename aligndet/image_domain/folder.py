"""Images of a folder as a data set for stage 1: a plain folder of any nesting, or the ImageNet layout."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from aligndet.common.errors import InputError
from aligndet.common.images import list_images
from aligndet.common.images.folders import holds_image, is_image
from aligndet.common.images.kinds import is_hidden
from aligndet.common.images.replaced import Replaced
from aligndet.common.notices import warn
from aligndet.registry import DATASETS

CONFIG_KEY = "train_dataloader.dataset.data_root"
#: Names of folders that hold one split of a data set.
SPLIT = re.compile(r"(train|training|val|valid|validation|dev|test|testing|eval|unlabell?ed)[\d_-]*")
SHOWN = 10  # things left out that are named


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """Lists all images below a folder as :func:`~aligndet.common.images.list_images` does.

    With labels, the classes are its sub-folders.

    The images are those of ``data_root/split`` where that folder exists and nothing but other splits lies
    beside it (ImageNet: ``train`` and ``val``), else all below ``data_root``: one path changes from ImageNet
    to images of one's own, and a class may be called ``train``. Which of both was taken is said. Another
    image takes the place of one that is bad: see :class:`aligndet.common.images.replaced.Replaced`.

    Args:
        data_root: the folder; a list file or COCO json names images that lie elsewhere.
        split: sub-folder to take where there is one.
        with_label: the name of the folder directly below the root is the class; images outside of any are an
            error.
        kwargs: of mmengine's ``BaseDataset`` (``pipeline``, ``indices``, ``test_mode``, ...).

    Each entry is ``{'img_path': str}``, with labels also ``{'gt_label': int}``, classes numbered by name.

    Raises:
        InputError: no such folder, no image in it, or labels are asked for and an image lies outside of every
            class folder.
    """

    def __init__(self, data_root: str, split: str = "train", with_label: bool = False, **kwargs: Any) -> None:
        below = Path(data_root).expanduser()
        self.folder = _chosen(below, split)
        self.with_label = with_label
        self.bad_images = Replaced()
        super().__init__(data_root=str(below), **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Find the images; nothing is decoded."""
        if not self.folder.exists():
            raise InputError(f"{self.folder}: no such folder of images (config key {CONFIG_KEY})")
        try:
            table, root = list_images(self.folder)
        except InputError as error:
            raise InputError(f"{error} (config key {CONFIG_KEY})") from error
        for left in table.skipped[:SHOWN]:
            warn(f"{left['file_name']}: {left['reason']}")
        if len(table.skipped) > SHOWN:
            warn(f"{self.folder}: {len(table.skipped)} files and folders in it are left out")
        if table.others:
            warn(f"{self.folder}: {table.left_out()}")
        names = [entry.file_name for entry in table]
        entries: list[dict[str, Any]] = [{"img_path": str(root / name)} for name in names]
        if self.with_label:
            for entry, label in zip(entries, self._labels(names), strict=True):
                entry["gt_label"] = label
        print_log(f"{len(entries)} images below {self.folder}", logger="current")
        return entries

    def _labels(self, names: list[str]) -> list[int]:
        outside = [name for name in names if "/" not in name]
        if outside:
            raise InputError(
                f"{self.folder / outside[0]}: with labels (with_label=True) every image lies in the folder "
                f"of its class; {len(outside)} do not"
            )
        classes = sorted({name.split("/")[0] for name in names})
        self._metainfo["classes"] = tuple(classes)
        numbers = {name: number for number, name in enumerate(classes)}
        return [numbers[name.split("/")[0]] for name in names]

    def prepare_data(self, idx: int) -> Any:
        """One image through the pipeline; None (mmengine takes another) where it is bad."""
        return self.bad_images.prepared(self, idx, super().prepare_data)


def _chosen(root: Path, split: str) -> Path:
    """The folder whose images are taken: that of the split, or the root where the split is but a class."""
    if not split or not (root / split).is_dir():
        return root
    beside = [entry for entry in root.iterdir() if entry.is_dir() and entry.name != split]
    beside = sorted(entry for entry in beside if not is_hidden(entry.name) and holds_image(entry))
    classes = [entry.name for entry in beside if not SPLIT.fullmatch(entry.name.lower())]
    if classes:
        warn(
            f"{root}: {split}/ is taken for a class, because {classes[0]}/ lies beside it: all images are "
            f"used; for those of {split}/ alone give {root / split}"
        )
        return root
    loose = sum(is_image(entry) for entry in os.scandir(root) if entry.is_file())
    if loose:
        warn(f"{root}: the images in {split}/ are used, {loose} images outside of it are left out")
    if beside:
        names = ", ".join(f"{entry.name}/" for entry in beside)
        print_log(f"{root}: the images in {split}/ are used; those in {names} are left out", logger="current")
    return root / split
