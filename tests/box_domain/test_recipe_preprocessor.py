"""A project's own collate function and the preprocessor that reads its batches.

Kind: a library collates a batch into a dictionary of tensors, and its preprocessor asks for that. Samples of
two views are collated as mmdet's, so mmdet's preprocessor takes its place, with the options that it knows.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from mmdet.models import BatchSyncRandomResize, DetDataPreprocessor
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict

from aligndet.box_domain.adapters.classifiers import set_classes
from aligndet.box_domain.recipe.preprocessor import of_plain_batches
from aligndet.box_domain.recipe.table import Table
from tests.registration import registered_in


class FastPreprocessor(DetDataPreprocessor):
    """Reads batches that only its collate function makes."""

    def __init__(self, *args: Any, fast: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class FastResize(BatchSyncRandomResize):
    """Resizes such a batch."""


@pytest.fixture(autouse=True)
def parts() -> Iterator[None]:
    """A library's parts."""
    with registered_in(MODELS, FastPreprocessor, FastResize):
        yield


def own(kind: Any = "FastPreprocessor") -> ConfigDict:
    augments = [{"type": "FastResize", "interval": 1}, {"type": "BatchSyncRandomResize", "interval": 2}]
    return ConfigDict(type=kind, mean=[1.0], std=[2.0], fast=True, batch_augments=augments)


def project(collate: Any) -> Config:
    return Config({"train_dataloader": {"collate_fn": collate} if collate else {}})


@pytest.mark.parametrize("kind", ["FastPreprocessor", "mmdet.FastPreprocessor", FastPreprocessor])
def test_mmdets_preprocessor_reads_batches_of_views(kind: Any) -> None:
    table = Table()
    assert of_plain_batches(own(kind), project({"type": "fast_collate"}), table) == {
        "type": "mmdet.DetDataPreprocessor",
        "mean": [1.0],
        "std": [2.0],
        "batch_augments": [{"type": "BatchSyncRandomResize", "interval": 2}],
    }
    ((key, what, because),) = table.rows
    assert (key, what) == ("data_preprocessor FastPreprocessor", "replaced")
    assert "fast_collate" in because


@pytest.mark.parametrize("collate", [None, {"type": "pseudo_collate"}, {"type": "mmengine.pseudo_collate"}])
def test_a_preprocessor_of_ordinary_batches_stays(collate: Any) -> None:
    table = Table()
    assert of_plain_batches(own(), project(collate), table) == own()
    stock = own("DetDataPreprocessor")
    assert of_plain_batches(stock, project({"type": "fast_collate"}), table) is stock, "mmdet's own reads any"
    unknown = ConfigDict(type="nobody.Knows")
    assert of_plain_batches(unknown, project({"type": "fast_collate"}), table) is unknown
    assert table.rows == []


def test_assigners_count_as_many_classes_as_their_head() -> None:
    """Assigners of mmyolo are told the number of classes in ``train_cfg``, beside the head."""
    head = {"type": "RetinaHead", "num_classes": 80}
    detector = ConfigDict(
        bbox_head=head,
        train_cfg={"assigner": {"num_classes": 80, "topk": 10}, "other": [{"num_classes": 80}]},
    )
    set_classes(detector, 1)
    assert detector.bbox_head.num_classes == 1
    assert detector.train_cfg == {"assigner": {"num_classes": 1, "topk": 10}, "other": [{"num_classes": 1}]}
    set_classes(ConfigDict(bbox_head=head, train_cfg=None), 1)
