"""What people look at: retrieval before and after, proposals on photos, views with matches, losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.pipeline.question import Question
from aligndet.pipeline.run_file import SCRATCH
from aligndet.pipeline.stage import Stage
from aligndet.pipeline.stages import proposals


@dataclass(frozen=True)
class EvidenceRequest:
    """What is looked at.

    Attributes:
        config: of the box domain, as it was run. work_dir: of that run.
        proposals: file or store. image_root: folder of its file names.
        out: folder of the pictures.
        images: that retrieval is measured on; 0 measures nothing.
    """

    config: str
    work_dir: str
    proposals: str
    image_root: str
    out: str
    images: int = 16


@dataclass(frozen=True)
class EvidenceResult:
    """What came out; what failed is in ``warnings``, and stops nothing.

    Attributes:
        retrieval: ``before``, ``after``, ``chance``: shares (0..1) of boxes found in the mirrored view.
        pictures: files by name.
        warnings: what could not be made, and why.
    """

    retrieval: dict[str, float] | None = None
    pictures: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def plan(question: Question) -> Stage:
    """Always; it may fail."""
    run_dir = question.path("box_domain")
    return Stage.of(
        __name__,
        "evidence: retrieval before and after, pictures",
        EvidenceRequest(
            config=str(run_dir / "pretrain.py"),
            work_dir=str(run_dir),
            proposals=proposals.proposal_file(question),
            image_root=proposals.image_root(question),
            out=str(question.path(SCRATCH, "pictures")),
            images=_images(question),
        ),
        outputs=(f"{SCRATCH}/pictures",),
        inputs=("IMAGES", "--proposals"),
        after=("proposals", "box_domain"),
        optional=True,
    )


def _images(question: Question) -> int:
    """Count the images to measure retrieval on, which are few after a smoke run."""
    most = question.max_iters
    return min(question.evidence_images, 2 * most) if most else question.evidence_images


def run(request: EvidenceRequest) -> EvidenceResult:
    """Measure and draw; each part alone, so that one that fails takes no other with it."""
    folder = Path(request.out)
    folder.mkdir(parents=True, exist_ok=True)
    retrieval, pictures, warnings = None, {}, []
    for name, draw in PICTURES.items():
        try:
            pictures[name] = str(draw(request, folder / f"{name}.jpg"))
        except Exception as error:  # a picture is no reason to lose a training
            warnings.append(f"no picture of {name}: {type(error).__name__}: {error}")
    if request.images:
        try:
            retrieval = measure_retrieval(request)
        except Exception as error:
            warnings.append(f"retrieval was not measured: {type(error).__name__}: {error}")
    return EvidenceResult(retrieval, pictures, tuple(warnings))


def measure_retrieval(request: EvidenceRequest) -> dict[str, float]:
    """Shares of boxes that find themselves in the mirrored view, before training and after."""
    from aligndet.common.newest_checkpoint import latest_checkpoint
    from aligndet.evaluation.retrieval import evaluate, mirror
    from aligndet.training.config import load_config

    config = load_config(request.config)
    mirror(config.train_dataloader.dataset.pipeline)
    return evaluate(config, str(latest_checkpoint(Path(request.work_dir))), request.images)


def draw_proposals(request: EvidenceRequest, out: Path) -> Path:
    """The best proposals on some photos."""
    from aligndet.proposals.formats import read_proposals
    from aligndet.visualization.drawing import write_image
    from aligndet.visualization.proposals import draw_proposals as draw

    picture = draw(read_proposals(request.proposals), Path(request.image_root), count=8, long_side=280)
    write_image(picture, str(out))
    return out


def draw_views(request: EvidenceRequest, out: Path) -> Path:
    """Two views of some images, boxes of one instance in one colour."""
    import numpy as np
    from mmengine.registry import DATASETS
    from mmengine.runner import set_random_seed

    from aligndet.scopes import scope_of
    from aligndet.training.config import load_config
    from aligndet.visualization.drawing import fit, montage, write_image
    from aligndet.visualization.views import draw_views as draw

    config = load_config(request.config)
    with scope_of(config):
        dataset: Any = DATASETS.build(config.train_dataloader.dataset)
        set_random_seed(0)
        chosen = np.random.default_rng(0).permutation(len(dataset))[:4]
        pairs = [fit(draw(dataset[int(number)]), 1000) for number in chosen]
    write_image(montage(pairs, columns=1 if pairs[0].shape[1] > 600 else 2), str(out))
    return out


#: Name of a picture -> what draws it.
PICTURES: dict[str, Callable[[EvidenceRequest, Path], Path]] = {
    "proposals": draw_proposals,
    "views": draw_views,
}


def lines(result: dict[str, Any]) -> list[str]:
    """Retrieval before and after, and what failed."""
    shares = result["retrieval"]
    if not shares:
        return [f"{len(result['pictures'])} pictures", *result["warnings"]]
    before, after, chance = (100 * shares[key] for key in ("before", "after", "chance"))
    return [f"box found in the mirrored view: {before:.0f} % -> {after:.0f} % (chance {chance:.1f} %)"]
