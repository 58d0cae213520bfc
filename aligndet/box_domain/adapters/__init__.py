"""Adapters: how any detector becomes slots and box losses."""

from . import label, query
from .base import Adapter, adapter_for, serves
from .classifiers import classifier_names

__all__ = ["Adapter", "adapter_for", "classifier_names", "label", "query", "serves"]
