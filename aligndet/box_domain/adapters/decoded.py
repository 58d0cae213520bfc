"""Adapters for dense heads without an assigner, whose ids come from the IoU of boxes with proposals."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from aligndet.box_domain.adapters.base import serves
from aligndet.box_domain.adapters.matches import best_or
from aligndet.box_domain.adapters.recorders import CallRecorder
from aligndet.box_domain.adapters.roster import LEFT_OUT
from aligndet.box_domain.adapters.score import ScoreAdapter
from aligndet.box_domain.slots import NO_INSTANCE


class DecodedAdapter(ScoreAdapter):
    """Gives a place to the proposal that its box overlaps most (AlignDet, eqs. 1 and 2).

    Early boxes are poor, so the best place of a proposal counts too, from a small overlap on.
    """

    #: IoU from which a place is a proposal's, from which its best place is, below which one is background.
    POSITIVE: ClassVar[float] = 0.5
    BEST: ClassVar[float] = 0.1
    BACKGROUND: ClassVar[float] = 0.4
    #: The head's method that is recorded: what goes in and what comes out.
    RECORDED: ClassVar[str]

    def record(self, head: Any) -> None:
        """Record what goes into and out of the method that stands for an assigner here."""
        self.calls: list[tuple[tuple, Any]] = []
        setattr(head, self.RECORDED, CallRecorder(getattr(head, self.RECORDED), self.calls))

    @abstractmethod
    def boxes(self, args: tuple, result: Any, image: int) -> Tensor:
        """Read ``(P, 4)`` xyxy boxes in pixels, one per place of an image, from a recorded call."""

    def ids_of(self, image: int, sample: Any, places: Tensor) -> tuple[Tensor, Tensor]:
        """Compare the boxes of one image's ``places (P,)`` with its ``G`` proposals."""
        proposals, proposal_ids = self.roster.of(image)  # (G, 4), (G,)
        ids = torch.full_like(places, NO_INSTANCE)  # (P,)
        if len(proposals):
            if len(self.calls) != 1:
                self.misfit(f"called {self.RECORDED} {len(self.calls)} times in a step and not once")
            boxes = self.boxes(*self.calls[0], image).detach()  # (P, 4)
            self.expect(len(boxes), len(places))
            overlap, nearest = bbox_overlaps(boxes, proposals).max(1)  # (P, G) -> (P,) each
            candidates = torch.where(overlap >= self.BEST, proposal_ids[nearest], ids)
            enough = best_or(self.POSITIVE, candidates, overlap)
            ids = torch.where(enough, candidates, ids)
            ids[~enough & (overlap >= self.BACKGROUND)] = LEFT_OUT
        counted = ids != LEFT_OUT
        return places[counted], ids[counted]

    def clear(self) -> None:
        """Forget this step and the recorded calls."""
        super().clear()
        self.calls.clear()

    def priors(self, x: Tensor) -> list[Tensor]:
        """Make the priors ``(cells, 4)`` or points ``(cells, 2)`` of the head on every level, in pixels."""
        sizes = [call.x.shape[-2:] for call in self.features.calls]
        return self.head[0].prior_generator.grid_priors(sizes, dtype=x.dtype, device=x.device)


@serves("FreeAnchorRetinaHead", "AutoAssignHead")
class PredictedBoxAdapter(DecodedAdapter):
    """Serves FreeAnchor and AutoAssign, which weigh candidates by scores: predicted boxes decide."""

    RECORDED: ClassVar[str] = "loss_by_feat"

    def boxes(self, args: tuple, result: Any, image: int) -> Tensor:
        """Decode the predicted boxes of all levels."""
        levels = [
            level[image].permute(1, 2, 0).reshape(-1, 4) for level in args[1]
        ]  # (p * 4, H, W) -> (H * W * p, 4)
        priors = torch.cat(self.priors(levels[0]))
        return self.head[0].bbox_coder.decode(priors, torch.cat(levels))


@serves("CenterNetUpdateHead")
class CenterRegionAdapter(DecodedAdapter):
    """Serves the head of CenterNet2, by the box targets that it gives the 3x3 cells round a centre."""

    RECORDED: ClassVar[str] = "get_targets"

    def boxes(self, args: tuple, result: Any, image: int) -> Tensor:
        """Put the sides that the targets name round the points, level by level."""
        boxes, first = [], 0
        for points, stride, call in zip(args[0], self.head[0].strides, self.features.calls, strict=True):
            of_image = slice(first + image * len(points), first + (image + 1) * len(points))
            sides = result[1][of_image].clamp(min=0) * stride  # (H * W, 4) left, top, right, bottom in pixels
            boxes.append(torch.cat([points - sides[:, :2], points + sides[:, 2:]], 1))  # (H * W, 4) xyxy
            first += len(points) * len(call.x)
        return torch.cat(boxes)


@serves("CenterNetHead")
class CenterAdapter(DecodedAdapter):
    """Serves CenterNet, by the targets that it gives the cell that holds a centre."""

    RECORDED: ClassVar[str] = "get_targets"

    def boxes(self, args: tuple, result: Any, image: int) -> Tensor:
        """Make boxes of the targets for size and offset, which are zero but at centres."""
        shape, pixels = args[2], args[3]
        targets = result[0]
        size, offset = targets["wh_target"][image], targets["offset_target"][image]
        rows, cols = torch.meshgrid(*(torch.arange(n, device=size.device) for n in shape[2:]), indexing="ij")
        centre = torch.stack([cols, rows]) + offset  # (2, H, W) in cells
        scale = size.new_tensor([pixels[1] / shape[3], pixels[0] / shape[2]]).view(2, 1, 1)
        boxes = torch.cat([centre - size / 2, centre + size / 2]) * scale.repeat(
            2, 1, 1
        )  # (4, H, W) in pixels
        return boxes.flatten(1).t()  # (H * W, 4)
