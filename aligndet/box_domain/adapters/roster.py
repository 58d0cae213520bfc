"""The roster of a view says which instance a box is, whatever a head has made of its targets.

Heads sort their targets, leave some out, repeat them, build them anew or bring them into another format, and
copy no field that they do not know. The box itself they keep, so it tells which instance is meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from logging import WARNING
from typing import Any

import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, get_box_tensor
from mmengine.logging import print_log
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from aligndet.common.errors import InputError

#: Id of a prediction that is no slot: neither an instance's nor background.
LEFT_OUT = -2
#: Id of a prediction whose target is no box of the roster, such as a jittered copy.
UNKNOWN = -3
#: Pixels by which a box may differ from itself after a way through another format.
_TOLERANCE = 0.01
#: Sizes of an image by which heads normalise boxes, in the metainfo of a sample.
_SIZES = ("img_shape", "batch_input_shape", "pad_shape")


class Roster:
    """Keeps boxes and ids of all instances of a view as they are before the detector sees them.

    Args:
        samples: DetDataSample per image, ``B`` in all. ``G`` below is the largest number of instances.

    Attributes:
        counts: number of instances of each image.
        boxes: ``(B, G, 4)`` xyxy in pixels of the view, NaN where an image has fewer.
        ids: ``(B, G)``, ``LEFT_OUT`` there.
    """

    def __init__(self, samples: list[Any]) -> None:
        boxes = [get_box_tensor(sample.gt_instances.bboxes).detach().clone() for sample in samples]
        ids = [sample.gt_instances.instance_ids.clone() for sample in samples]
        boxes, ids = boxes or [torch.zeros(0, 4)], ids or [torch.zeros(0, dtype=torch.long)]
        self.counts = [len(own) for own in ids]
        self.boxes = pad_sequence(boxes, batch_first=True, padding_value=torch.nan)
        self.ids = pad_sequence(ids, batch_first=True, padding_value=LEFT_OUT)
        self.sizes = [  # width, height, width, height
            self.boxes.new_tensor(
                [[*sample.metainfo[key][1::-1]] * 2 for sample in samples]
            )  # (B, 4) w h w h
            for key in _SIZES
            if all(key in sample.metainfo for sample in samples)
        ]

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.boxes)

    @property
    def count(self) -> int:
        """Number of instances of the fullest image."""
        return self.ids.shape[1]

    def of(self, image: int) -> tuple[Tensor, Tensor]:
        """Return boxes ``(g, 4)`` and ids ``(g,)`` of the ``g`` instances of one image."""
        count = self.counts[image]
        return self.boxes[image, :count], self.ids[image, :count]

    def identify(self, image: Tensor, boxes: Tensor, hints: Tensor) -> Tensor:
        """Say which instances targets are.

        Args:
            image: ``(n,)`` row of the batch that each target belongs to.
            boxes: ``(n, 4)`` in any format that a head may use: corners or centre and size, in pixels or
                as parts of the image.
            hints: ``(n,)`` the id that an index or a field of the head says, or :data:`UNKNOWN`. It decides
                between instances of equal boxes, and nothing else.

        Returns:
            ``(n,)`` ids, ``LEFT_OUT`` where several instances have that box, :data:`UNKNOWN` where none has.
        """
        ids = torch.full_like(image, UNKNOWN)
        if not self.count:
            return ids
        for form in self._forms(image, boxes.detach()):
            ids = torch.where(ids == UNKNOWN, self._find(image, form, hints, boxes.dtype), ids)
            if not (ids == UNKNOWN).any():
                break
        return ids

    def images_of(self, ids: Tensor) -> Tensor:
        """Return the image ``(n,)`` of each id ``(n,)``, -1 for an id that no instance has."""
        if not self.count:
            return torch.full_like(ids, -1)
        known, order = self.ids.flatten().sort()  # (B * G,)
        spot = torch.searchsorted(known, ids).clamp(max=len(known) - 1)
        return torch.where(known[spot] == ids, order[spot] // self.count, -1)

    def _forms(self, image: Tensor, boxes: Tensor) -> Iterator[Tensor]:
        """Read boxes ``(n, 4)`` in one format after the other, as xyxy in pixels."""
        boxes = boxes.to(self.boxes.dtype)
        corners = bbox_cxcywh_to_xyxy(boxes)
        yield boxes
        yield corners
        for size in self.sizes:
            yield boxes * size[image]
            yield corners * size[image]

    def _find(self, image: Tensor, boxes: Tensor, hints: Tensor, precision: torch.dtype) -> Tensor:
        known = self.boxes.to(precision).to(self.boxes.dtype)[image]  # (n, G, 4)
        same = ((known - boxes[:, None]).abs() <= _TOLERANCE).all(2)  # (n, G), NaN is like nothing
        candidates, count = self.ids[image], same.sum(1)  # (n, G), (n,)
        first = candidates.gather(1, same.byte().argmax(1, keepdim=True))[:, 0]
        hinted = (same & (candidates == hints[:, None])).any(1)
        ids = torch.where(hinted, hints, torch.where(count == 1, first, LEFT_OUT))
        return torch.where(count == 0, UNKNOWN, ids)


def followed(ids: Tensor, head: str, adapter: str) -> Tensor:
    """Leave out predictions whose targets are no instances.

    Args:
        ids: ``(n,)`` of all targets of a batch.
        head: class of the head, for the message.
        adapter: class of its adapter, for the message.

    Raises:
        InputError: no target at all is an instance.
    """
    strange = ids == UNKNOWN
    some, every = torch.stack([strange.any(), strange.all()]).tolist()
    if some and every:
        raise InputError(
            f"model.detector: {head} matches its predictions to boxes that are no proposals of the image in "
            f"any known format, so {adapter} cannot follow which instance is meant. This head needs an "
            "adapter of its own: docs/adapters.md."
        )
    if some:
        _say_once(
            f"{head} matches some predictions to boxes that are no proposals (jittered copies?), and these "
            "predictions are no slots."
        )
    return torch.where(strange, LEFT_OUT, ids)


@lru_cache
def _say_once(message: str) -> None:
    print_log(message, logger="current", level=WARNING)
