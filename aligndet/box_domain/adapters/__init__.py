"""Adapters: how any detector becomes slots and box losses."""

from aligndet.box_domain.adapters import decoded, instance, label, query, roi, rpn, score
from aligndet.box_domain.adapters.base import Adapter, adapter_for, serves
from aligndet.box_domain.adapters.boxes_only import boxes_only, student
from aligndet.box_domain.adapters.classifiers import classifier_names

__all__ = [
    "Adapter",
    "adapter_for",
    "boxes_only",
    "classifier_names",
    "decoded",
    "instance",
    "label",
    "query",
    "roi",
    "rpn",
    "score",
    "serves",
    "student",
]
