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
    """RPN: its one class is objectness, so no layer follows ``num_classes`` and one must be named."""

    CLASSIFIER: ClassVar[str] = "bbox_head.rpn_cls"  # mmdet's RPN keeps its rpn_head under this name

    @classmethod
    def classifiers(cls, detector: ConfigDict) -> list[Classifier]:
        """See :class:`Adapter`."""
        return [Classifier(cls.CLASSIFIER, cls.priors(detector.rpn_head))]

    @classmethod
    def priors(cls, head: ConfigDict) -> int:
        """Anchors per location: RPN has scales times ratios, heads that shape their anchors have one."""
        generator = head.get("anchor_generator")
        return TASK_UTILS.build(generator).num_base_priors[0] if generator else 1


@serves("GARPNHead")
class GuidedRPNAdapter(RPNAdapter):
    """GA-RPN: its classifier has another name."""

    CLASSIFIER: ClassVar[str] = "bbox_head.conv_cls"


@serves("CascadeRPNHead")
class CascadeRPNAdapter(RPNAdapter):
    """Cascade RPN: the second of two stages classifies."""

    CLASSIFIER: ClassVar[str] = "bbox_head.stages.1.rpn_cls"

    def head_of(self, detector: Detector) -> Any:
        """See :class:`ScoreAdapter`."""
        return detector.bbox_head.stages[-1]
