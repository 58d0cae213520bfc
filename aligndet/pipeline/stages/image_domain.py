"""A backbone trained on the images by an image-domain method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aligndet.pipeline.question import Question
from aligndet.pipeline.stage import Stage
from aligndet.pipeline.training import TrainingRequest

OUT = "image_domain"
DATA_ROOT = "train_dataloader.dataset.data_root"


@dataclass(frozen=True, kw_only=True)
class ImageDomainRequest(TrainingRequest):
    """Asks to train a config on images.

    Attributes:
        config: of the method. options: dotted keys and values put over it.
        images: what its data set reads.
    """

    config: str
    images: str
    options: dict[str, Any] = field(default_factory=dict)


def plan(question: Question) -> Stage | None:
    """Only with ``--image-config``."""
    if not question.image_config:
        return None
    return Stage.of(
        __name__,
        f"image domain: {question.image_config} trains a backbone on the images",
        _request(question),
        outputs=(OUT,),
        tokens=(f"{OUT}/last_checkpoint",),
        inputs=("--image-config", "IMAGES"),
        after=("images",),
    )


def _request(question: Question) -> ImageDomainRequest:
    return ImageDomainRequest(
        config=str(question.image_config),
        images=question.unlabelled,
        work_dir=str(question.path(OUT)),
        options=question.image_options,
        amp=question.amp,
        seed=question.seed,
        max_iters=question.max_iters,
        gpus=question.gpus,
        nan_patience=question.nan_patience,
        imports=question.imports,
    )


def built_config(request: ImageDomainRequest) -> Any:
    """The config that is run."""
    from aligndet.training.config import load_config

    config = load_config(request.config, request.options, request.imports)
    if DATA_ROOT not in request.options:
        config.train_dataloader.dataset.data_root = request.images
    return config


def check(question: Question) -> str | None:
    """Build the config and its model, and compare it with the detector's backbone."""
    if not question.image_config:
        return None
    from aligndet.common.errors import InputError
    from aligndet.pipeline.contents import image_table
    from aligndet.pipeline.starts import check_method
    from aligndet.pipeline.training import length, refuse_no_batch

    config = built_config(_request(question))
    if "model" not in config or "train_dataloader" not in config:
        raise InputError(
            f"--image-config {question.image_config}: no 'model' and 'train_dataloader' in it; give a config "
            "of an image-domain method, such as aligndet::image_domain/simsiam_r18_folder.py"
        )
    if not question.prepared:
        refuse_no_batch(config, len(image_table(question)[0]), question.gpus)
    check_method(config, question)
    return length(config, question.max_iters)


def run(request: ImageDomainRequest) -> Any:
    """Train."""
    from aligndet.pipeline.training import train_config

    return train_config(built_config(request), "image_domain", request)


def lines(result: dict[str, Any]) -> list[str]:
    """Loss at both ends."""
    from aligndet.pipeline.training import ends

    return [f"{ends(result, 'loss')} in {result['iters']} steps"]
