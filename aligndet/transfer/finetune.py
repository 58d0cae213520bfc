"""Put a user's classes and images into a fine-tune config: the one place for it."""

from pathlib import Path
from typing import Any

from aligndet.common.errors import InputError

#: Parts of a detector whose ``num_classes`` is not that of the data.
NOT_OF_THE_DATA = ("backbone", "rpn_head", "data_preprocessor")
#: Options of a data set that say which data it reads.
OF_THE_DATA = ("ann_file", "data_root", "data_prefix", "metainfo", "indices")


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


def point_dataset(
    dataloader: Any, annotations: Path, images: Path, classes: tuple[str, ...], scope: str = "mmdet"
) -> None:
    """Make a data loader config read a COCO json; pipeline and filter stay.

    A data set of the user's own that is a ``CocoDataset`` stays with all of its options, for its pipeline may
    need them (mmyolo's mosaic asks its data set for further images); any other becomes a ``CocoDataset``.

    Args:
        dataloader: is changed.
        annotations: COCO json. images: folder of its images.
        classes: names, in the order of their numbers.
        scope: in which the data set's name is looked up.
    """
    leaf = dataset_leaf(dataloader["dataset"])
    own = _is_own_coco(leaf.get("type"), scope)
    kept = {
        key: value
        for key, value in leaf.items()
        if key in ("pipeline", "filter_cfg", "backend_args", "test_mode") or (own and key not in OF_THE_DATA)
    }
    leaf.clear()
    leaf.update({"type": "mmdet.CocoDataset", **kept})
    leaf.update(
        ann_file=str(annotations.resolve()),
        data_prefix={"img": str(images.resolve())},
        metainfo={"classes": classes},
    )


def _is_own_coco(kind: Any, scope: str) -> bool:
    """Whether a data set's class is a ``CocoDataset`` that is not of mmdet."""
    from mmdet.datasets import CocoDataset
    from mmengine.registry import DATASETS

    if isinstance(kind, str):
        with DATASETS.switch_scope_and_registry(scope) as registry:
            kind = registry.get(kind)
    return (
        isinstance(kind, type) and issubclass(kind, CocoDataset) and not kind.__module__.startswith("mmdet.")
    )
