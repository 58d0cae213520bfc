"""Pre-training of neck and heads on the proposals: by the recipe, or by the user's own config."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.pipeline.question import Question
from aligndet.pipeline.stage import Stage
from aligndet.pipeline.stages import proposals
from aligndet.pipeline.training import TrainingRequest

OUT = "box_domain"


@dataclass(frozen=True, kw_only=True)
class BoxDomainRequest(TrainingRequest):
    """What is pre-trained.

    Attributes:
        detector: config of the detector.
        proposals: file or store. image_root: folder of its file names.
        weights: ``backbone.pth`` where the image domain was trained or loaded; empty: as the detector says.
        image_config: of the method that trained them, if any.
        box_config: pre-training config of the user's, but for detector and data; empty is the recipe.
        options: dotted keys and values.
        iters, epochs: length; None keeps the recipe's.
    """

    detector: str
    proposals: str
    image_root: str
    weights: str = ""
    image_config: str = ""
    box_config: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    iters: int | None = None
    epochs: int | None = None


def plan(question: Question) -> Stage:
    """Always."""
    return Stage.of(
        __name__,
        "box domain: AlignDet pre-trains neck and heads on the proposals",
        request_of(question),
        outputs=(OUT,),
        tokens=(f"{OUT}/pretrain.py", f"{OUT}/last_checkpoint"),
        inputs=("DETECTOR", "--box-config", "IMAGES", "--proposals"),
        after=("images", "proposals", "backbone"),
    )


def request_of(question: Question) -> BoxDomainRequest:
    """What is asked of this stage."""
    given = bool(question.weights or question.image_config)
    return BoxDomainRequest(
        detector=question.detector,
        proposals=proposals.proposal_file(question),
        image_root=proposals.image_root(question),
        work_dir=str(question.path(OUT)),
        weights=str(question.path("backbone.pth")) if given else "",
        image_config=question.image_config or "",
        box_config=question.box_config or "",
        options=question.box_options,
        iters=question.iters,
        epochs=question.epochs,
        imports=question.imports,
        max_iters=question.max_iters,
        amp=question.amp,
        seed=question.seed,
        gpus=question.gpus,
        nan_patience=question.nan_patience,
    )


def built_config(request: BoxDomainRequest, file: Path) -> Any:
    """The pre-training config, with data, detector and weights put in.

    Args:
        request: what is asked.
        file: that the generated config is written to on the way.
    """
    from aligndet.common.configs import add_imports
    from aligndet.pipeline.box_config import of_user
    from aligndet.pipeline.length import set_length
    from aligndet.pipeline.starts import give_weights, trains_detector
    from aligndet.training.config import wrap_config

    data = request.proposals, request.image_root
    if request.box_config:
        config = of_user(request.box_config, request.detector, *data, request.options)
        add_imports(config, request.imports)
    else:
        config = wrap_config(request.detector, *data, file, request.options, request.imports)
    if request.weights:
        whole = trains_detector(request.image_config)
        give_weights(config.model.detector, request.weights, whole)
    set_length(config, request.iters, request.epochs)
    return config


def check(question: Question) -> str:
    """Build the config and the pre-trainer, on a stand-in for proposals that are made later."""
    import tempfile
    from dataclasses import replace

    from aligndet.pipeline.box_config import build, stand_in
    from aligndet.pipeline.training import length

    request = request_of(question)
    with tempfile.TemporaryDirectory() as folder:
        boxes = question.proposals or str(stand_in(Path(folder)))
        config = built_config(replace(request, proposals=boxes), Path(folder) / "pretrain.py")
    build(config)
    return length(config, question.max_iters)


def run(request: BoxDomainRequest) -> Any:
    """Train."""
    from aligndet.pipeline.training import train_config
    from aligndet.training.config import TABLE_FILE

    config = built_config(request, Path(request.work_dir) / "pretrain.py")
    if not request.box_config:
        print((Path(request.work_dir) / TABLE_FILE).read_text(encoding="utf-8"))
    return train_config(config, "pretrain", request)


def lines(result: dict[str, Any]) -> list[str]:
    """Losses at both ends, and positives of a step."""
    from aligndet.pipeline.training import ends

    told = [f"{ends(result, 'loss_contrast')} in {result['iters']} steps", ends(result, "loss")]
    positives = result["last"].get("positives")
    return [*told, f"{positives:.0f} positives a step"] if positives is not None else told
