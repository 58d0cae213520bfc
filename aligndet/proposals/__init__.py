"""Stage 0: unlabelled images -> boxes ("proposals"), as COCO json.

A numpy and OpenCV world: nothing in this package imports torch or an OpenMMLab package, so that proposals
can be made in a small environment of their own (the `opencv` backend needs one, see
:mod:`aligndet.proposals.backends.opencv`).

    images.list_images -> backends.make_backend -> filters.filter_boxes -> coco.assemble
                          \\______________ runner.make_proposals, parallel and resumable ______________/
"""

from .boxes import iou_matrix, recall, suppress
from .filters import FilterOptions, filter_boxes

__all__ = ["FilterOptions", "filter_boxes", "iou_matrix", "recall", "suppress"]
