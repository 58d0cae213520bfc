"""Boxes on the unlabelled images, by selective search or another backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.common.machine import usable_cores
from aligndet.pipeline.codec import NOT_DECISIVE
from aligndet.pipeline.question import Question
from aligndet.pipeline.stage import Stage

OUT = "proposals"


@dataclass(frozen=True)
class ProposalsRequest:
    """What is searched, and how; None keeps a default.

    Attributes:
        images, image_root: as :func:`aligndet.proposals.runner.make_proposals` takes them.
        out: store to write.
        backend, backend_options, max_side, max_per_image, min_side: of the search.
        recall_labels: labels whose boxes the proposals of their images are measured on; empty: none.
        recall_images: folder of these images.
        workers: processes; 0 is all cores.
    """

    images: str
    out: str
    backend: str = "fast"
    backend_options: dict[str, Any] = field(default_factory=dict)
    max_side: int | None = None
    max_per_image: int | None = None
    min_side: float | None = None
    recall_labels: str = ""
    recall_images: str = ""
    workers: int = field(default=0, metadata=NOT_DECISIVE)


@dataclass(frozen=True)
class ProposalsResult:
    """What was found.

    Attributes:
        images, boxes, without_boxes, skips: counts.
        skipped: file name and reason of the first of the images left out.
        recall: share of true boxes that a proposal overlaps by IoU 0.5; None where none are known.
        recall_images: images behind it.
        warnings: what a person should know about the images.
    """

    images: int
    boxes: int
    without_boxes: int
    skips: int
    skipped: tuple[dict[str, str], ...] = ()
    recall: float | None = None
    recall_images: int = 0
    warnings: tuple[str, ...] = ()


def plan(question: Question) -> Stage | None:
    """Unless proposals are given."""
    if question.proposals:
        return None
    return Stage.of(
        __name__,
        "proposals: boxes on the unlabelled images",
        _request(question),
        outputs=(OUT,),
        inputs=("IMAGES",),
        after=("images",),
    )


def _request(question: Question) -> ProposalsRequest:
    test = question.path("images", "annotations", "test.json") if question.generate.get("test") else None
    return ProposalsRequest(
        images=question.unlabelled,
        out=str(question.path(OUT)),
        backend=question.backend,
        backend_options=question.backend_options,
        max_side=question.max_side,
        max_per_image=question.max_per_image,
        min_side=question.min_side,
        recall_labels=str(test or ""),
        recall_images=question.label_folders[0] if test else "",
        workers=question.workers,
    )


def proposal_file(question: Question) -> str:
    """The proposals, made or given."""
    return question.proposals or str(question.path(OUT))


def image_root(question: Question) -> str:
    """The folder that file names of the proposals are relative to."""
    if question.prepared:
        return question.unlabelled
    from aligndet.pipeline.contents import image_table

    return str(image_table(question)[1])


def check(question: Question) -> str:
    """Make the backend with its options, and read proposals that are given."""
    if question.proposals:
        from aligndet.proposals.formats import read_proposals

        store = read_proposals(question.proposals)
        return f"{store.num_boxes} proposals in {len(store)} images"
    from aligndet.proposals.backends import make_backend

    request = _request(question)
    made = _options(request)
    make_backend(made.backend, **made.backend_options)
    if question.prepared:
        return "images that are made first"
    from aligndet.pipeline.contents import image_table

    return f"{len(image_table(question)[0])} images"


def _options(request: ProposalsRequest) -> Any:
    from aligndet.proposals.backends import parse_options
    from aligndet.proposals.filters import FilterOptions
    from aligndet.proposals.options import ProposalOptions

    given: dict[str, Any] = {"max_per_image": request.max_per_image, "min_side": request.min_side}
    pairs = [f"{key}={value}" for key, value in request.backend_options.items()]
    rule = FilterOptions(**{key: value for key, value in given.items() if value is not None})
    options = parse_options(request.backend, pairs)
    return ProposalOptions(request.backend, options, rule, request.max_side or 0)


def run(request: ProposalsRequest) -> ProposalsResult:
    """Search, and measure recall where there are labels for it."""
    from aligndet.common.images.bad import max_bad
    from aligndet.proposals.runner import make_proposals

    options, workers = _options(request), request.workers or usable_cores()
    _compile(options)
    source, out = Path(request.images), Path(request.out)
    report = make_proposals(source, out, options, workers=workers, mend=True, max_bad=max_bad())
    recall, images = None, 0
    if request.recall_labels:
        recall, images = _recall(request, options, workers)
    counts = (report.images, report.boxes, report.without_boxes, report.skips)
    left_out = [f"{row['file_name']}: {row['reason']}; it is skipped" for row in report.skipped]
    return ProposalsResult(*counts, tuple(report.skipped), recall, images, (*report.notes, *left_out))


def _compile(options: Any) -> None:
    """Compile the search before processes are started that would each do so; once on a machine."""
    import numpy as np

    from aligndet.common.progress import ProgressFile
    from aligndet.proposals.backends import make_backend, run_backend

    if options.backend == "fast":
        ProgressFile().write(0, 0, "compiling selective search, once: about 30 s", None)
        noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8)
        run_backend(make_backend(options.backend, **options.backend_options), noise, "")


def _recall(request: ProposalsRequest, options: Any, workers: int) -> tuple[float, int]:
    """Recall at IoU 0.5 of proposals on labelled images, and how many these are."""
    import tempfile

    from aligndet.evaluation.recall import recall_of_files
    from aligndet.proposals.runner import make_proposals

    labels = Path(request.recall_labels)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        make_proposals(labels, store, options, Path(request.recall_images), workers=workers, progress=False)
        return recall_of_files(store, labels)


def lines(result: dict[str, Any]) -> list[str]:
    """Proposals an image, images left out, recall."""
    images = result["images"]
    told = [f"{result['boxes'] / max(1, images):.1f} proposals per image, {images} images"]
    if result["skips"]:
        told.append(f"{result['skips']} images left out")
    if result["recall"] is not None:
        told.append(
            f"recall {100 * result['recall']:.0f} % at IoU 0.5 on {result['recall_images']} test images"
        )
    return told
