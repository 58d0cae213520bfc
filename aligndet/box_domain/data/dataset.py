"""Proposals as an mmdet data set."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.datasets import BaseDetDataset
from mmengine.fileio import get_local_path
from mmengine.logging import print_log

from aligndet.box_domain.data.loading import ProposalInstances
from aligndet.common.errors import InputError
from aligndet.common.images import most_pixels
from aligndet.common.images.replaced import Replaced
from aligndet.common.notices import warn
from aligndet.proposals.formats import read_proposals
from aligndet.proposals.looked_at import look_at_images
from aligndet.proposals.store import ProposalStore
from aligndet.registry import DATASETS

MAKE = "aligndet proposals make IMAGES OUT"
KEYS = ("config key train_dataloader.dataset.ann_file", "config key train_dataloader.dataset.data_prefix.img")


@DATASETS.register_module()
class ProposalDataset(BaseDetDataset):
    """Unlabelled images with proposals, as ``aligndet proposals make`` writes them.

    ``ann_file`` is a proposal store (a folder) or a COCO json. A store is memory-mapped: opening takes
    milliseconds whatever its size, all data-loader workers and all processes of a machine share its pages,
    and no Python object is made for a box (``instances`` is a view). A json is read once, into the same
    columns, held in memory and shared with forked workers.

    Classes are read from the file: one (``proposal``), or one per cluster. Images without a proposal are left
    out, unless ``filter_cfg`` says otherwise. Another image takes the place of one that is bad: see
    :class:`aligndet.common.images.replaced.Replaced`.

    Args:
        args, kwargs: as mmdet's BaseDetDataset; ``serialize_data`` has no meaning here.

    Attributes:
        proposals: the opened file, a :class:`aligndet.proposals.store.ProposalStore`.
        rows: (n,) int64, the images of ``proposals`` that are used, in order.

    Raises:
        InputError: the proposal file is missing or none, most of its images are missing or of another size,
            or none has a proposal.
    """

    METAINFO = dict(classes=("proposal",))  # noqa: RUF012  mmengine's way
    proposals: ProposalStore
    rows: np.ndarray
    _fully_initialized: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("filter_cfg", {"filter_empty_gt": True, "min_size": 1})
        self.bad_images = Replaced()
        super().__init__(*args, **kwargs)

    def full_init(self) -> None:
        """Open the file and choose the images, the first time that this is called."""
        if self._fully_initialized:
            return
        self.proposals = self._open()
        self._metainfo["classes"] = _classes(self.proposals)
        self.rows = self._subset(self._usable(), self._indices)
        self._fully_initialized = True
        self._check_images()
        text = f"{self.ann_file}: {self.proposals.num_boxes} proposals on {len(self.rows)} images"
        print_log(text, "current")

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Give the pipeline mmdet's keys of an image, without a copy of its boxes."""
        self.full_init()
        row = int(self.rows[idx])
        width, height = self.proposals.size(row)
        return {
            "img_path": self._image_path(row),
            "img_id": int(self.proposals.image_ids[row]),
            "seg_map_path": None,
            "height": height,
            "width": width,
            "instances": ProposalInstances(self.proposals.boxes(row), self.proposals.column("clusters", row)),
            "sample_idx": idx if idx >= 0 else len(self) + idx,
        }

    def get_cat_ids(self, idx: int) -> list[int]:
        """List the labels of an image's proposals."""
        return self.get_data_info(idx)["instances"].labels.tolist()

    def __len__(self) -> int:
        self.full_init()
        return len(self.rows)

    def get_subset_(self, indices: Sequence[int] | int) -> None:
        """Keep these images, or the first ``indices``, or the last ``-indices``."""
        self.full_init()
        self.rows = self._subset(self.rows, indices)
        self.bad_images.forget()

    def get_subset(self, indices: Sequence[int] | int) -> ProposalDataset:
        """Make a copy with these images, which shares the proposals."""
        self.full_init()
        other: ProposalDataset = self._copy_without_annotation()
        other.get_subset_(indices)
        return other

    def _open(self) -> ProposalStore:
        if "://" in self.ann_file:
            with get_local_path(self.ann_file, backend_args=self.backend_args) as local:
                return read_proposals(local)
        if not Path(self.ann_file).exists():
            raise InputError(
                f"Proposal file not found: {self.ann_file} (config key train_dataloader.dataset.ann_file). "
                f"Make it with: {MAKE}"
            )
        return read_proposals(self.ann_file)

    def _usable(self) -> np.ndarray:
        store, rule = self.proposals, self.filter_cfg or {}
        if not store.num_boxes:
            raise InputError(
                f"{self.ann_file} holds no proposals for any of its {len(store)} images. Loosen the "
                "filter of aligndet proposals make (--min-side, --max-size, --max-ratio) and make it again."
            )
        if (store.sizes < 0).any():
            raise InputError(
                f"{self.ann_file} does not say how large its images are, which training needs. Convert it "
                "with: aligndet proposals convert SOURCE OUT --images IMAGES"
            )
        keep = store.sizes.astype(np.int64).prod(axis=1) <= most_pixels()
        if not keep.all():
            name = store.file_name(int(np.flatnonzero(~keep)[0]))
            warn(f"{(~keep).sum()} images are too large to be loaded and are left out, such as {name}")
        if not self.test_mode:
            keep &= store.sizes.min(axis=1) >= rule.get("min_size", 0)
            keep &= (store.counts > 0) | (not rule.get("filter_empty_gt", False))
        return np.flatnonzero(keep)

    @staticmethod
    def _subset(rows: np.ndarray, indices: Sequence[int] | int | None) -> np.ndarray:
        if isinstance(indices, int):
            return rows[:indices] if indices >= 0 else rows[indices:]
        return rows if indices is None else rows[np.asarray(indices, dtype=np.int64)]

    def _image_path(self, row: int) -> str:
        return osp.join(self.data_prefix.get("img", ""), self.proposals.file_name(row))

    def prepare_data(self, idx: int) -> Any:
        """One image through the pipeline; None (mmengine takes another) where it is bad."""
        return self.bad_images.prepared(self, idx, super().prepare_data)

    def _check_images(self) -> None:
        """Look at some of the images, so that a wrong folder fails here and not in a worker."""
        folder = self.data_prefix.get("img", "")
        if "://" in folder:
            return
        looked = look_at_images(self.proposals, self.rows, Path(folder))
        looked.refuse_most(self.ann_file, folder, KEYS)
        for text in looked.warnings():
            warn(text)


def _classes(store: ProposalStore) -> tuple[str, ...]:
    count = store.num_clusters
    if not count:
        return ("proposal",)
    names = store.info.get("clusters", {}).get("names")
    return tuple(names) if names else tuple(f"cluster_{number}" for number in range(count))
