"""Export of every kind of checkpoint: one entry, which finds out by the content what a checkpoint holds.

===============================  ==================================================================
a checkpoint of                  gives
===============================  ==================================================================
box-domain pre-training          the whole stock detector but its classifiers
the official AlignDet code       the same, for the detector of ``config``
a detector-level method          backbone, neck, shared layers of the head (``image_domain.methods``)
a plain detector                 the detector of ``config``, fitted to its classes
anything with a backbone         the backbone of ``config``'s detector
===============================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from aligndet.common.checkpoints import (
    SAFETENSORS,
    CheckpointError,
    write_checkpoint,
    write_safetensors,
)
from aligndet.common.configs import read_config
from aligndet.common.errors import InputError
from aligndet.common.finite import refuse_not_finite
from aligndet.common.trust import trusted, trusting
from aligndet.image_domain import convert
from aligndet.image_domain.backbones import backbone_config, build_backbone
from aligndet.image_domain.methods.contract import method_of
from aligndet.image_domain.methods.export import build_detector, export_parts, meta_of, part_of
from aligndet.image_domain.normalisation import normalisation_in
from aligndet.image_domain.sources import load_source
from aligndet.scopes import scope_of
from aligndet.transfer.fit import fit, fit_plain, refuse_other_detector
from aligndet.transfer.report import TransferReport
from aligndet.transfer.source import Checkpoint, State, looks_like, network_state, read_checkpoint
from aligndet.transfer.stock import box_part_keys, build_stock, classifier_layers


@dataclass(frozen=True)
class Question:
    """Holds what :func:`export` was asked for, its checkpoint read."""

    source: Checkpoint
    network: str
    config: Config | None
    allow_partial: bool

    def detector(self) -> Any:
        """Give the stock model config: that of ``config``, else the one that was pre-trained.

        Raises:
            CheckpointError: neither is there, or it is no dict.
        """
        model = self.config.get("model") if self.config is not None else None
        if model is None:
            return pretrained_detector(self.source)
        if not isinstance(model, Mapping):
            raise CheckpointError(f"--config: its model is {str(model)[:40]!r}; expected a dict")
        return model.get("detector") or model

    def whole_config(self) -> Mapping[str, Any]:
        """Give the config whose scope names are looked up in: ``config``, else the checkpoint's own.

        Where files are trusted, modules that the checkpoint's config imports are imported in either case.

        Raises:
            InputError: there is no ``config``, and the checkpoint's own cannot be built from.
        """
        if self.config is None:
            return self.source.config() if self.source.is_pretraining else {}
        if trusted():
            with suppress(InputError):  # what is missing for good is named where the detector is built
                self.source.config()
        return self.config

    def needed_config(self) -> Config:
        """Give the config, where nothing in the checkpoint can stand for it.

        Raises:
            CheckpointError: none was given.
        """
        if self.config is None:
            raise CheckpointError(
                f"{self.source.path} is not a pre-training checkpoint but {looks_like(self.source.state)}; "
                "give the detector's config with --config"
            )
        return self.config


Exported = tuple[State, TransferReport, dict[str, Any]]


def export(
    checkpoint: str | Path,
    out: str | Path,
    network: str = "online",
    config: str | Path | Config | None = None,
    allow_partial: bool = False,
    safetensors: bool = False,
    trust: bool = False,
) -> TransferReport:
    """Write what a checkpoint holds of a detector as a plain mmdet checkpoint, for ``load_from``.

    Args:
        checkpoint: a file, or a work dir of training (its latest).
        out: where to write ``{'meta', 'state_dict'}``, atomically; a name in ``.safetensors`` gives that.
        network: of box-domain pre-training: ``online`` or ``momentum``.
        config: of the detector to export for, of any number of classes: a file, ``mmdet::name`` or a config;
            None takes the one in a checkpoint of box-domain pre-training.
        allow_partial: accept that a part does not fit the detector wholly.
        safetensors: write ``OUT`` with that ending beside it, too.
        trust: read files that can run code.

    Returns:
        What became of each tensor.

    Raises:
        InputError: the checkpoint holds no detector or backbone that fits, or one that is not finite; nothing
            is written.
    """
    out = Path(out)
    given = config if config is None or isinstance(config, Config) else read_config(str(config))
    with trusting(trust):
        question = Question(read_checkpoint(Path(checkpoint)), network, given, allow_partial)
        with scope_of(question.whole_config()):
            state, report, meta = _exporter(question.source)(question)
    refuse_not_finite(state, str(question.source.path))
    if out.suffix != SAFETENSORS:
        write_checkpoint(out, state, meta)
    if safetensors or out.suffix == SAFETENSORS:
        write_safetensors(out.with_suffix(SAFETENSORS), state, {"source": Path(checkpoint).name, **meta})
    return report


def _exporter(source: Checkpoint) -> Callable[[Question], Exported]:
    """Choose what exports a checkpoint of this content."""
    if source.is_pretraining or source.is_official:
        return _of_box_domain
    if method_of(source.state):
        return _of_method
    return _of_detector if source.is_detector else _of_backbone


def _of_box_domain(question: Question) -> Exported:
    """Export box-domain pre-training, this project's or the official one's."""
    source, config = question.source, question.detector()
    stock, classifiers, trained = build_stock(config), classifier_layers(config), box_part_keys(config)
    state = network_state(source, question.network)
    state, report = fit(state, stock, classifiers, str(source.path), question.network, trained)
    if not question.allow_partial:
        refuse_other_detector(report, type(stock).__name__)
    normalisation = normalisation_in(source.meta)
    meta = {"normalisation": normalisation.as_dict() if normalisation else None}
    return state, report, {**meta, "aligndet": {"source": source.path.name, "network": question.network}}


def _of_method(question: Question) -> Exported:
    """Export what a method of the image domain trains beside the backbone, too."""
    method = method_of(question.source.state)
    assert method is not None
    source, detector = load_source(str(question.source.path)), build_detector(question.needed_config())
    parts = export_parts(source, method, detector, question.allow_partial)
    report = _report(source.name, method.name, parts.state, parts.missing, parts.dropped)
    return parts.state, report, meta_of(parts, source, method)


def _of_detector(question: Question) -> Exported:
    """Export a plain detector for other classes."""
    source = question.source
    if question.config is None:
        raise CheckpointError(
            f"{source.path} is not a pre-training checkpoint but {looks_like(source.state)}; "
            "for other classes give the detector's config with --config"
        )
    state, report = fit_plain(source, question.detector())
    normalisation = normalisation_in(source.meta)
    return state, report, {"normalisation": normalisation.as_dict() if normalisation else None}


def _of_backbone(question: Question) -> Exported:
    """Export a backbone of any maker under the detector's names."""
    config = question.needed_config()
    source, backbone = load_source(str(question.source.path)), build_backbone(config)
    convert.check_style(source, backbone_config(config))
    conversion = convert.convert(source, backbone, allow_partial=question.allow_partial)
    state = {f"backbone.{key}": value for key, value in conversion.state.items()}
    used = {key for _, key in conversion.match.pairs}
    missing = [key for key in build_detector(config).state_dict() if key not in state]
    report = _report(source.name, "backbone", state, missing, [k for k in source.tensors if k not in used])
    return state, report, convert.meta_of(conversion)


def _report(
    name: str, network: str, state: State, missing: Iterable[str], dropped: Iterable[str]
) -> TransferReport:
    parts = {key: part_of(key) for key in [*state, *missing, *dropped]}
    return TransferReport(
        name, network, list(state), missing=list(missing), dropped=list(dropped), parts=parts
    )


def pretrained_detector(source: Checkpoint) -> Any:
    """Find the stock model config that was pre-trained.

    Raises:
        CheckpointError: the checkpoint does not hold it.
    """
    model = source.config().get("model")
    model = model if isinstance(model, dict) else {}
    if not isinstance(model.get("detector"), dict):
        kind = str(model.get("type"))[:80]
        raise CheckpointError(
            f"{source.path}: its config has no model.detector (model.type is {kind!r}); "
            "give the detector's config with --config"
        )
    return model["detector"]
