"""``backbone.pth``: the weights of the image domain under the detector's own keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.pipeline.codec import NOT_DECISIVE
from aligndet.pipeline.question import Question
from aligndet.pipeline.stage import Stage

OUT = "backbone.pth"


@dataclass(frozen=True)
class BackboneRequest:
    """What is converted.

    Attributes:
        detector: config of the detector.
        out: file to write.
        source: weights of any maker; empty: those that the detector's config names.
        image_config: of the method that trained the source; empty where it was given.
        trust: read files that can run code.
    """

    detector: str
    out: str
    source: str = ""
    image_config: str = ""
    trust: bool = field(default=False, metadata=NOT_DECISIVE)


@dataclass(frozen=True)
class BackboneResult:
    """What was written.

    Attributes:
        source: where the weights come from.
        tensors: written; 0 where nothing was. missing: tensors of the detector's part that it does not have.
        whole: neck and head are in it, too.
        note: why nothing was written, else empty.
    """

    source: str
    tensors: int
    missing: int = 0
    whole: bool = False
    note: str = ""


def plan(question: Question) -> Stage | None:
    """Always: the box domain starts from it, or it shows what the box domain starts from."""
    trained = question.image_config or ""
    source = str(question.path("image_domain")) if trained else question.weights or ""
    told = "convert the trained weights" if trained else f"load {source or 'what DETECTOR names'}"
    return Stage.of(
        __name__,
        f"backbone: {told}",
        BackboneRequest(question.detector, str(question.path(OUT)), source, trained, question.trust),
        outputs=(OUT,),
        inputs=("DETECTOR", "--weights", "--image-config"),
        after=("image_domain",),
        partial=True,
    )


def check(question: Question) -> str | None:
    """Try the conversion of weights that are on this machine."""
    from aligndet.pipeline.starts import check_weights

    return check_weights(question)


def run(request: BackboneRequest) -> BackboneResult:
    """Convert."""
    from aligndet.common.trust import trusting
    from aligndet.pipeline import starts

    with trusting(request.trust):
        if not request.source:
            return _of_config(request)
        whole = starts.trains_detector(request.image_config)
        convert = starts.convert_whole if whole else starts.convert_backbone
        tensors, missing = convert(request.source, request.detector, Path(request.out))
    return BackboneResult(request.source, tensors, missing, whole)


def _of_config(request: BackboneRequest) -> BackboneResult:
    """The weights that the detector's config names; the box domain loads them itself, failing or not."""
    from aligndet.pipeline.starts import write_config_backbone

    try:
        name, tensors = write_config_backbone(request.detector, Path(request.out))
    except Exception as error:
        text = f"not written: {type(error).__name__}: {error}"
        return BackboneResult("the detector's config", 0, note=text)
    return BackboneResult(name, tensors)


def lines(result: dict[str, Any]) -> list[str]:
    """How many tensors."""
    if result["note"]:
        return [result["note"]]
    where = "backbone, neck and head" if result["whole"] else "the backbone"
    return [f"{result['tensors']} tensors of {where}"]
