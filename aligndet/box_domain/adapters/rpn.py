"""Adapters for detectors that are nothing but a region proposal network."""

from __future__ import annotations

from typing import Any, ClassVar

from mmdet.registry import TASK_UTILS
from mmengine.config import ConfigDict

from aligndet.box_domain.adapters.base import Detector, serves
from aligndet.box_domain.adapters.classifiers import Classifier
from aligndet.box_domain.adapters.score import ScoreAdapter


@serves("RPNHead")
class RPNAdapter(ScoreAdapter):
    """Serves RPN, whose one class is objectness: no layer follows ``num_classes``, so one is named."""

    CLASSIFIER: ClassVar[str] = "bbox_head.rpn_cls"  # mmdet's RPN keeps its rpn_head under this name

    @classmethod
    def classifiers(cls, detector: ConfigDict) -> list[Classifier]:
        """Return the layer that ``CLASSIFIER`` names."""
        return [Classifier(cls.CLASSIFIER, cls.priors(detector.rpn_head))]

    @classmethod
    def priors(cls, head: ConfigDict) -> int:
        """Count anchors per location, one where a head shapes its anchors."""
        generator = head.get("anchor_generator")
        return TASK_UTILS.build(generator).num_base_priors[0] if generator else 1


@serves("GARPNHead")
class GuidedRPNAdapter(RPNAdapter):
    """Serves GA-RPN, whose classifier has another name."""

    CLASSIFIER: ClassVar[str] = "bbox_head.conv_cls"


@serves("CascadeRPNHead")
class CascadeRPNAdapter(RPNAdapter):
    """Serves Cascade RPN, where the second of two stages classifies."""

    CLASSIFIER: ClassVar[str] = "bbox_head.stages.1.rpn_cls"

    def head_of(self, detector: Detector) -> Any:
        """Return the last stage."""
        return detector.bbox_head.stages[-1]
