"""Images of a folder as a data set for stage 1: a plain folder of any nesting, or the ImageNet layout."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmcv
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from aligndet.common.errors import InputError
from aligndet.common.images import SUFFIXES
from aligndet.registry import DATASETS

CONFIG_KEY = "train_dataloader.dataset.data_root"


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """All images below a folder, in the order of their names; with labels, the classes are its sub-folders.

    The images are those of ``data_root/split`` where that folder exists (ImageNet: ``train`` and ``val``),
    else those of ``data_root``: one path changes from ImageNet to images of one's own. An image that cannot
    be decoded is named in the log, once per loading process, and another takes its place; training goes on.

    Args:
        data_root: the folder.
        split: sub-folder to take where there is one.
        with_label: the name of the folder directly below the root is the class; images outside of any are an
            error.
        kwargs: of mmengine's ``BaseDataset`` (``pipeline``, ``indices``, ``test_mode``, ...).

    Each entry is ``{'img_path': str}``, with labels also ``{'gt_label': int}``, classes numbered by name.

    Raises:
        InputError: no such folder.
        InputError: no image in it, or labels are asked for and an image lies outside of every class folder.
    """

    def __init__(self, data_root: str, split: str = "train", with_label: bool = False, **kwargs: Any) -> None:
        below = Path(data_root).expanduser()
        self.folder = below / split if split and (below / split).is_dir() else below
        self.with_label = with_label
        self._unreadable: set[str] = set()
        super().__init__(data_root=str(below), **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Find the images; nothing is decoded."""
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: no such folder of images (config key {CONFIG_KEY})")
        names = sorted(image_names(self.folder))
        if not names:
            raise InputError(
                f"{self.folder}: no image in it or below; expected files ending in "
                f"{', '.join(sorted(SUFFIXES))} (config key {CONFIG_KEY})"
            )
        entries: list[dict[str, Any]] = [{"img_path": str(self.folder / name)} for name in names]
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
        """One image through the pipeline; None (mmengine takes another) where it cannot be decoded."""
        path = self.get_data_info(idx)["img_path"]
        if path in self._unreadable and not self.test_mode:
            return None
        try:
            return super().prepare_data(idx)
        except Exception as error:
            if self.test_mode or _decodes(path):
                raise  # the pipeline's own fault
            self._unreadable.add(path)
            said = f"{path} cannot be read ({type(error).__name__}: {error}); another image takes its place"
            print_log(said, logger="current", level=logging.WARNING)
            return None


def image_names(folder: Path) -> Iterator[str]:
    """Names, with forward slashes, of all images below a folder; links are followed, circles are not."""
    seen: set[tuple[int, int]] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(here)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        below = Path(here).relative_to(folder).as_posix()
        prefix = "" if below == "." else f"{below}/"
        yield from (prefix + name for name in files if os.path.splitext(name)[1].lower() in SUFFIXES)


def _decodes(path: str) -> bool:
    try:
        return mmcv.imread(path) is not None
    except Exception:  # every backend has its own errors
        return False
