"""Two images with planted boxes, and what an adapter makes of them."""

from typing import Any

import pytest
import torch
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters.features import Call, Places
from aligndet.box_domain.adapters.matches import Match
from aligndet.box_domain.pretrainer import number_instances
from aligndet.box_domain.slots import IMAGE_STRIDE, Slots
from tests.small import detector, fill, sample

SIZE = 128
BOXES = (  # xyxy per image; nothing of one image lies where the other has a box
    torch.tensor([[6.0, 6.0, 44.0, 40.0], [70.0, 72.0, 122.0, 124.0]]),
    torch.tensor([[74.0, 8.0, 120.0, 50.0], [4.0, 74.0, 60.0, 122.0]]),
)


def rois_read(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """A list that gets the RoIs ``(n, 5)`` of every reading from here on: image, x1, y1, x2, y2."""
    rois: list[Tensor] = []
    forward = SingleRoIExtractor.forward

    def spy(self: SingleRoIExtractor, feats: Any, found: Tensor, **kwargs: Any) -> Tensor:
        rois.append(found)
        return forward(self, feats, found, **kwargs)

    monkeypatch.setattr(SingleRoIExtractor, "forward", spy)
    return rois


class Seen:
    """One pass of the online detector over the planted images.

    Args:
        config: of a detector, or its name in ``tests.small``.
        options: of the pre-trainer.
    """

    def __init__(self, config: Any, **options: Any) -> None:
        torch.manual_seed(0)
        config = detector(config) if isinstance(config, str) else config
        self.model: Any = BoxDomainPretrainer(config, **options)
        self.model.init_weights()
        fill(self.model.online)
        self.model.train()
        adapter = self.model.online_adapter
        self.calls: list[Call] = []
        self.matches: list[Match] = []
        places = adapter.places

        def keep(samples: list[Any]) -> Places:
            self.places = places(samples)
            self.calls = list(adapter.features.calls)
            self.matches = list(getattr(adapter, "matches", ()))
            return self.places

        setattr(adapter, "places", keep)  # noqa: B010  mypy knows it as a method
        self.samples = [sample(boxes.clone(), SIZE) for boxes in BOXES]
        number_instances(self.samples)
        self.slots: Slots
        self.slots, self.losses = adapter(self.model.online, torch.randn(2, 3, SIZE, SIZE), self.samples)

    def where(self, place: int) -> tuple[int, float, float, float]:
        """Image, x, y of the centre of a place's cell, and the cell's side, in pixels."""
        call = next(c for c in self.calls if c.first <= place < c.first + c.count)
        height, width = call.x.shape[2:]
        cell = (place - call.first) // call.priors
        side = SIZE / width
        x, y = (cell % width + 0.5) * side, (cell // width % height + 0.5) * side
        return cell // (height * width), x, y, side

    @property
    def positive(self) -> list[tuple[int, int]]:
        """Places with the instances that they carry."""
        everywhere = zip(self.places.index.tolist(), self.places.ids.tolist(), strict=True)
        return [(place, number) for place, number in everywhere if number >= 0]

    def check_dense(self) -> None:
        """Places lie on the box whose id they carry, or a cell beside it."""
        for place, number in self.positive:
            image, x, y, side = self.where(place)
            assert image == number // IMAGE_STRIDE
            x1, y1, x2, y2 = BOXES[image][number % IMAGE_STRIDE].tolist()
            assert x1 - side <= x <= x2 + side, (place, number)
            assert y1 - side <= y <= y2 + side, (place, number)
