"""What the box domain begins with: the weights of the image domain, checked and put into the detector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from aligndet.common.configs import read_config
from aligndet.common.errors import InputError
from aligndet.image_domain import convert as conversion
from aligndet.image_domain.backbones import backbone_config, build_backbone, starts_pretrained
from aligndet.image_domain.methods import export as parts
from aligndet.image_domain.methods.contract import method_of_model
from aligndet.image_domain.normalisation import (
    NormalisationError,
    check_normalisation,
    checkpoints_of,
    normalisation_of,
)
from aligndet.image_domain.sources import Source, load_source
from aligndet.pipeline.question import Question
from aligndet.transfer.export import export


def trains_detector(config: str) -> bool:
    """Whether an image-domain method trains neck and head, too; the config may be empty."""
    return bool(config) and method_of_model(str(read_config(config).model.type)) is not None


def give_weights(model: Any, weights: str, whole: bool) -> None:
    """Let a detector's model config start from a file.

    Args:
        model: changed in place.
        weights: the file.
        whole: it holds neck and head, too.
    """
    init = {"type": "Pretrained", "checkpoint": weights}
    if whole:
        model.init_cfg = init
        return
    model.backbone.init_cfg = init
    if model.backbone.get("pretrained") is True:
        model.backbone.pretrained = False  # timm's wrapper would download weights of its own before
    else:
        model.backbone.pop("pretrained", None)


def convert_backbone(source: str, detector: str, out: Path) -> tuple[int, int]:
    """Write weights of any maker under the keys of a detector's backbone.

    Returns:
        how many tensors were written, and how many of the backbone's are missing.

    Raises:
        NoMatchError: they are of another backbone.
    """
    config, weights = read_config(detector), load_source(source)
    conversion.check_style(weights, backbone_config(config))
    backbone = build_backbone(config)
    converted = conversion.convert(weights, backbone)
    conversion.save(converted, out, backbone)
    return len(converted.state), len(converted.match.missing)


def convert_whole(source: str, detector: str, out: Path) -> tuple[int, int]:
    """Write what a method that trains backbone, neck and head gives a detector (InsLoc)."""
    report = export(source, out, config=detector)
    return len(report.kept) + len(report.tiled), len(report.missing)


def write_config_backbone(detector: str, out: Path) -> tuple[str, int]:
    """Write the backbone that a detector's config starts from.

    Returns:
        the name of the weights, and how many tensors were written.
    """
    from aligndet.common.checkpoints import write_checkpoint

    config = read_config(detector)
    state = dict(build_backbone(config, initialise=True).state_dict())
    names = [name for key, name in checkpoints_of(config) if ".backbone." in key]
    name, normalisation = next(iter(names), "pretrained=True"), normalisation_of(config)
    write_checkpoint(out, state, {"source": name, "normalisation": normalisation and normalisation.as_dict()})
    return name, len(state)


def check_weights(question: Question) -> str:
    """Check what the backbone starts from; the text says what that is.

    Raises:
        InputError: the backbone would be frozen at random, or the weights cannot be loaded or do not fit.
    """
    config = read_config(question.detector)
    if question.image_config:
        return "after the image domain"
    if question.weights:
        return _check_source(question.weights, config)
    _check_config(question.detector, config)
    return ", ".join(name for _, name in checkpoints_of(config)) or "as DETECTOR says"


def _check_config(name: str, config: Config) -> None:
    """The detector's own weights: there are some, they are there, and they fit its normalisation."""
    whole = any(key == "model.init_cfg.checkpoint" for key, _ in checkpoints_of(config))
    if not whole and not starts_pretrained(config):
        raise InputError(
            f"{name} gives its backbone no weights, and the box domain freezes the backbone: "
            "load some with --weights, or train one with --image-config"
        )
    for key, file in checkpoints_of(config):
        if "://" not in file and not Path(file).is_file():
            raise InputError(
                f"{name}: {key}={file}: there is no such file (relative paths are of the folder that the "
                "command is given in)"
            )
    _normalised(config)


def _normalised(config: Config) -> None:
    try:
        check_normalisation(config)
    except NormalisationError as error:
        raise InputError(str(error)) from error


def _check_source(source: str, config: Config) -> str:
    """Weights that are on this machine are loaded and fitted; of others, the name is looked up."""
    if not Path(source).exists():
        _check_name(source)
        return f"{source} (to be downloaded, where it is not here yet)"
    weights = load_source(source)
    conversion.check_style(weights, backbone_config(config))
    converted = conversion.convert(weights, build_backbone(config))
    _compare(f"--weights {source}", weights.normalisation, config)
    return f"{len(converted.state)} tensors of {source}"


def _check_name(source: str) -> None:
    """A model zoo's name that its package does not know is refused."""
    from aligndet.common.errors import nearest

    kind, _, name = source.partition(":")
    models: list[str] = []
    if kind == "timm":
        import timm

        models, name = timm.list_models(), name.partition(".")[0]
    elif kind == "torchvision" and not name.startswith("//"):
        from torchvision.models import list_models

        models, name = list_models(), name.partition(":")[0]
    if models and name not in models:
        raise InputError(f"--weights {source}: {kind} has no model {name!r}{nearest(name, models)}")


def _compare(what: str, theirs: Any, config: Config) -> None:
    """Refuse weights of another normalisation than the detector's."""
    ours = normalisation_of(config)
    if theirs is None or not config.get("check_normalisation", True) or theirs.same(ours):
        return
    raise InputError(
        f"{what}: trained on images with {theirs.as_config()}, but DETECTOR's model.data_preprocessor has "
        f"{ours.as_config() if ours else 'no mean and std'}; give DETECTOR those of the weights, or, where "
        "the difference is meant, check_normalisation = False at its top"
    )


def check_method(method: Config, question: Question) -> None:
    """Check that what an image-domain method will give fits the detector.

    Raises:
        InputError: another backbone, or another normalisation.
    """
    from mmengine.registry import MODELS

    config = read_config(question.detector)
    _compare(f"--image-config {question.image_config}", normalisation_of(method), config)
    with MODELS.switch_scope_and_registry(method.get("default_scope") or "mmpretrain") as registry:
        model = registry.build(method.model)
    state: Mapping[str, Any] = model.state_dict()
    source = Source(f"--image-config {question.image_config}", dict(state))
    trains = method_of_model(str(method.model.type))
    if trains:
        parts.export_parts(source, trains, parts.build_detector(config))
    else:
        conversion.convert(source, build_backbone(config))
