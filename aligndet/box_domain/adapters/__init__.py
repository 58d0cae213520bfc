"""Adapters: how any detector becomes slots and box losses."""

from . import decoded, instance, label, query, roi, rpn, score
from .base import Adapter, adapter_for, serves
from .boxes_only import boxes_only, student
from .classifiers import classifier_names

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
