"""Put a user's classes and images into a fine-tune config: the one place for it."""

from pathlib import Path
from typing import Any

from aligndet.common.errors import InputError

#: Parts of a detector whose ``num_classes`` is not that of the data.
NOT_OF_THE_DATA = ("backbone", "rpn_head", "data_preprocessor")


def set_num_classes(model: Any, num_classes: int) -> int:
    """Set every ``num_classes`` of a detector config, except in backbone and proposal network.

    Returns:
        How many were set.
    """
    if isinstance(model, list | tuple):
        return sum(set_num_classes(item, num_classes) for item in model)
    if not isinstance(model, dict):
        return 0
    count = 0
    for key, value in model.items():
        if key == "num_classes":
            model[key], count = num_classes, count + 1
        elif key not in NOT_OF_THE_DATA:
            count += set_num_classes(value, num_classes)
    return count


def dataset_leaf(dataset: Any) -> Any:
    """Find the annotated data set in wrappers (``RepeatDataset``, ``MultiImageMixDataset``, a list of one).

    Raises:
        InputError: several data sets are joined; nobody could say which to replace.
    """
    while "ann_file" not in dataset:
        inner = dataset.get("dataset", dataset.get("datasets"))
        if isinstance(inner, list | tuple):
            if len(inner) != 1:
                raise InputError(f"the config joins {len(inner)} data sets; give one with a single data set")
            inner = inner[0]
        if inner is None:
            raise InputError(f"no 'ann_file' in the config's data set {dataset.get('type')!r}")
        dataset = inner
    return dataset


def point_dataset(dataloader: Any, annotations: Path, images: Path, classes: tuple[str, ...]) -> None:
    """Make a data loader config read a COCO json as a ``CocoDataset``; pipeline and filter stay."""
    leaf = dataset_leaf(dataloader["dataset"])
    kept = {key: leaf[key] for key in ("pipeline", "filter_cfg", "backend_args", "test_mode") if key in leaf}
    leaf.clear()
    leaf.update(kept)
    leaf.update(
        type="mmdet.CocoDataset",
        ann_file=str(annotations.resolve()),
        data_prefix={"img": str(images.resolve())},
        metainfo={"classes": classes},
    )
