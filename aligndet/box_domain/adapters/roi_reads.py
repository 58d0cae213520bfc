"""Which RoIs a box head has read when it classifies, to be held against those that were sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from torch import Tensor, nn

from aligndet.box_domain.adapters.recorders import named


@dataclass
class Sampled:
    """Keeps what a box head was sampled for one stage.

    Attributes:
        results: mmdet's SamplingResult of each image.
        rois: ``(N, 5)`` image of the batch, then xyxy, as they were: Grid R-CNN moves them later.
    """

    results: list[Any]
    rois: Tensor


class SampleRecorder:
    """Stands where ``get_targets`` of a box head stood, and keeps what was sampled.

    Args:
        method: bound, of a head; its first parameter is the samples.
        calls: where samples are kept.
    """

    def __init__(self, method: Any, calls: list[Sampled]) -> None:
        self.method, self.calls = method, calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        results = next(iter(named(self.method, args, kwargs).values()))
        self.calls.append(Sampled(results, bbox2roi([get_box_tensor(result.priors) for result in results])))
        return self.method(*args, **kwargs)


class RoIReads:
    """Keeps the RoIs that extractors were asked for before each call of a classifier.

    It hooks the extractors, and is an object of which a copied model has another.
    """

    def __init__(self) -> None:
        self.fresh: list[Tensor] = []
        self.classified_before = False
        self.calls: list[list[Tensor]] = []

    def watch(self, extractors: Any) -> None:
        """Hook RoI extractors: one module, or one for each stage."""
        for extractor in extractors if isinstance(extractors, nn.ModuleList) else [extractors]:
            if isinstance(extractor, nn.Module):
                extractor.register_forward_pre_hook(self.read, with_kwargs=True)

    def read(self, module: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        """Keep the RoIs ``(N, 5)`` of one call of an extractor: image of the batch, then xyxy."""
        rois = [value for value in (*args[1:], *kwargs.values()) if isinstance(value, Tensor)]
        if self.classified_before:
            self.fresh, self.classified_before = [], False
        self.fresh += rois[:1]

    def classified(self) -> None:
        """Note that a classifier was called. Several may read what was extracted once."""
        self.classified_before = True
        self.calls.append(list(self.fresh))

    def agree(self, sampled: Tensor, rows: list[int]) -> bool:
        """Say whether each call read the RoIs that were sampled for it, as far as extractors were watched.

        Args:
            sampled: ``(n, 5)`` in the order of the ids.
            rows: features of each call, which add up to ``n``.
        """
        return all(
            not read or any(torch.equal(rois, wanted) for rois in (*read, torch.cat(read)))
            for read, wanted in zip(self.calls, sampled.split(rows), strict=True)
        )

    def clear(self) -> None:
        """Forget this step."""
        self.fresh, self.calls, self.classified_before = [], [], False
