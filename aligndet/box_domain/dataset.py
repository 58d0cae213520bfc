"""Proposals as an mmdet data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmengine.logging import print_log
from pycocotools.coco import COCO

from ..registry import DATASETS


@DATASETS.register_module()
class ProposalDataset(CocoDataset):
    """Unlabelled images with proposals, from a COCO json as ``tools/make_proposals.py`` writes it.

    Categories are read from the file: one (``proposal``), or one per cluster. Images without a proposal
    are left out.

    Raises:
        FileNotFoundError: the proposal file, or the images it names, are not there.
        ValueError: no image has a proposal.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("filter_cfg", {"filter_empty_gt": True, "min_size": 1})
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """As CocoDataset; checks what a user can get wrong, and names it."""
        if "://" not in self.ann_file and not Path(self.ann_file).is_file():
            raise FileNotFoundError(
                f"Proposal file not found: {self.ann_file} (config key train_dataloader.dataset.ann_file). "
                "Make it with: python tools/make_proposals.py IMAGES OUT.json"
            )
        coco = COCO(self.ann_file)
        names = tuple(category["name"] for category in coco.loadCats(coco.getCatIds()))
        self._metainfo["classes"] = names
        if not coco.anns:
            raise ValueError(
                f"{self.ann_file} holds no proposals for any of its {len(coco.imgs)} images. Loosen the "
                "filter of tools/make_proposals.py (--min-side, --max-size, --max-ratio) and make it again."
            )
        data = super().load_data_list()
        self._check_images(data)
        print_log(f"{self.ann_file}: {len(coco.anns)} proposals on {len(data)} images", "current")
        return data

    def _check_images(self, data: list[dict[str, Any]]) -> None:
        local = [Path(item["img_path"]) for item in data if "://" not in item["img_path"]]
        probe = local[:: max(1, len(local) // 20)]
        missing = [path for path in probe if not path.is_file()]
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} of {len(probe)} images looked for are not there, e.g. {missing[0]}. The "
                f"proposals in {self.ann_file} do not belong to the images in "
                f"{self.data_prefix.get('img')} (config key train_dataloader.dataset.data_prefix.img)."
            )
