"""Stage 0: unlabelled images -> boxes ("proposals"), in a store or as COCO json.

A numpy, numba and OpenCV world: nothing in this package imports torch or an OpenMMLab package, so that
proposals can be made in a small environment of their own.

    images.list_images -> backends.make_backend -> filters.filter_rows -> parts -> store_writer.StoreWriter
                          \\____________ runner.make_proposals, parallel and resumable ____________/
    formats.read_proposals: a store, or other kinds of proposal files -> store.ProposalStore (columns)
"""

from aligndet.proposals.boxes import iou_matrix, recall, suppress
from aligndet.proposals.filters import FilterOptions, filter_boxes

__all__ = ["FilterOptions", "filter_boxes", "iou_matrix", "recall", "suppress"]
