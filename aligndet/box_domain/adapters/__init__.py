"""Adapters turn any detector into slots and box losses."""

# A module registers its adapters when it is imported: one line for each.
from aligndet.box_domain.adapters import (  # noqa: F401
    decoded,
    instance,
    label,
    query,
    roi,
    rpn,
    score,
)
from aligndet.box_domain.adapters.base import Adapter, adapter_for, serves
from aligndet.box_domain.adapters.boxes_only import boxes_only
from aligndet.box_domain.adapters.classifiers import classifier_names
from aligndet.box_domain.adapters.distillation import student
from aligndet.box_domain.adapters.refusals import refuse_config

__all__ = [
    "Adapter",
    "adapter_for",
    "boxes_only",
    "classifier_names",
    "refuse_config",
    "serves",
    "student",
]
