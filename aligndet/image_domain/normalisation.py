"""How images are normalised before they reach a backbone: read, recorded, and compared between the stages.

A conversion writes the normalisation into its checkpoint (``meta['normalisation']``), mmengine's checkpoints
carry it in their config. :func:`check_normalisation` compares it with the detector that is about to load the
file; ``aligndet.training.run.train`` calls it for every config, whichever stage, before anything is built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from aligndet.common.checkpoints import read_meta
from aligndet.common.errors import InputError
from aligndet.common.literal_config import parse_literals

#: Pixel values (0..255). Makers round: 0.406 * 255 is 103.53, some write 103.5.
TOLERANCE = 0.1


class NormalisationError(InputError):
    """Weights of one normalisation in a model of another: it trains, and never gets as good as it should."""


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation per channel, for pixels 0..255 in ``channel_order`` ('rgb' or 'bgr')."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    channel_order: str

    def as_dict(self) -> dict[str, Any]:
        return {"mean": list(self.mean), "std": list(self.std), "channel_order": self.channel_order}

    def as_config(self) -> str:
        """As one writes it into mmdet's ``data_preprocessor``."""
        rgb = self.channel_order == "rgb"
        return f"mean={list(self.mean)}, std={list(self.std)}, bgr_to_rgb={rgb}"

    def same(self, other: Normalisation | None) -> bool:
        """Equal within :data:`TOLERANCE`."""
        if other is None or self.channel_order != other.channel_order or len(self.mean) != len(other.mean):
            return False
        pairs = zip(self.mean + self.std, other.mean + other.std, strict=True)
        return all(abs(a - b) <= TOLERANCE for a, b in pairs)


IMAGENET = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")


def normalisation_of(cfg: Mapping | Config) -> Normalisation | None:
    """The normalisation in an OpenMMLab config's ``data_preprocessor``; None where it has none.

    A pre-trainer's own one counts before that of its ``detector``, as in training; one preprocessor inside
    another (two views) is looked through.
    """
    model = cfg.get("model")
    model = model if isinstance(model, Mapping) else {}
    holders = [h for h in (model, model.get("detector"), cfg) if isinstance(h, (Mapping, Config))]
    parts = (h.get("data_preprocessor") for h in holders)
    preprocessor = next((part for part in parts if part and isinstance(part, Mapping)), {})
    while isinstance(inner := preprocessor.get("data_preprocessor"), Mapping) and inner:
        preprocessor = inner
    rgb = bool(preprocessor.get("bgr_to_rgb") or preprocessor.get("to_rgb"))
    return _normalisation(preprocessor.get("mean"), preprocessor.get("std"), "rgb" if rgb else "bgr")


def normalisation_in(meta: Any) -> Normalisation | None:
    """The normalisation in a checkpoint's meta: as a conversion recorded it, or in its config."""
    if not isinstance(meta, Mapping):
        return None
    if isinstance(recorded := meta.get("normalisation"), Mapping):
        order = str(recorded.get("channel_order"))
        return _normalisation(recorded.get("mean"), recorded.get("std"), order)
    cfg = config_in(meta)
    return normalisation_of(cfg) if cfg is not None else None


def _normalisation(mean: Any, std: Any, channel_order: str) -> Normalisation | None:
    """Put a normalisation together; None where its parts are not there, or are no numbers."""
    rows = [value if isinstance(value, (list, tuple)) else () for value in (mean, std)]
    if not all(row and all(isinstance(number, (int, float)) for number in row) for row in rows):
        return None
    return Normalisation(tuple(rows[0]), tuple(rows[1]), channel_order)


def config_in(meta: Any) -> Mapping | Config | None:
    """The config that mmengine keeps in a checkpoint's meta; None where there is none that can be read."""
    cfg = meta.get("cfg") if isinstance(meta, Mapping) else None
    if isinstance(cfg, str):
        try:
            cfg = parse_literals(cfg)
        except (InputError, SyntaxError):  # an old or foreign config text only costs the check
            return None
    return cfg if isinstance(cfg, (Mapping, Config)) else None


def check_normalisation(cfg: Config) -> list[str]:
    """Compare the normalisation of every checkpoint that a config's model starts from with the model's own.

    Checkpoints are those of ``load_from`` and of every ``init_cfg`` of type ``Pretrained`` in the model. A
    file that says nothing of its normalisation, or that is not on this machine, is passed over with a line in
    the log. A config with ``check_normalisation = False`` at its top is not checked.

    Returns:
        The config keys whose checkpoint was compared and agreed.

    Raises:
        NormalisationError: one differs; the message says what to write.
        CheckpointError: a file cannot be read, or has to be trusted.
    """
    if not cfg.get("check_normalisation", True):
        return []
    ours, agreed = normalisation_of(cfg), []
    for key, name in checkpoints_of(cfg):
        recorded = _recorded(name)
        if recorded is None:
            print_log(f"{key}: {name} does not say how its images were normalised; not checked", "current")
        elif recorded.same(ours):
            agreed.append(key)
        else:
            raise NormalisationError(_difference(key, name, recorded, ours, cfg))
    return agreed


def checkpoints_of(cfg: Mapping | Config) -> Iterator[tuple[str, str]]:
    """Config key and name of every checkpoint that a model starts from."""
    if cfg.get("load_from"):
        yield "load_from", str(cfg["load_from"])
    yield from _pretrained(cfg.get("model"), "model")


def is_pretrained(node: Mapping[str, Any]) -> bool:
    """Whether an ``init_cfg`` loads weights; its ``type`` is a name, or a class in the new style."""
    kind = node.get("type")
    return getattr(kind, "__name__", kind) in ("Pretrained", "PretrainedInit")


def _pretrained(node: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, (list, tuple)):
        for number, item in enumerate(node):
            yield from _pretrained(item, f"{key}.{number}")
    elif isinstance(node, Mapping):
        if is_pretrained(node) and isinstance(node.get("checkpoint"), str):
            yield f"{key}.checkpoint", node["checkpoint"]
        for name, value in node.items():
            yield from _pretrained(value, f"{key}.{name}")


def _recorded(name: str) -> Normalisation | None:
    """What is known of a checkpoint without downloading it."""
    if name.startswith("torchvision://"):
        return IMAGENET
    if "://" in name or not Path(name).is_file():
        return None
    return normalisation_in(read_meta(Path(name)))


def _difference(
    key: str, name: str, theirs: Normalisation, ours: Normalisation | None, cfg: Mapping | Config
) -> str:
    model = cfg.get("model") or {}
    holder = "model.detector" if model.get("detector") and not model.get("data_preprocessor") else "model"
    reverse = ", rgb_to_bgr=False" if theirs.channel_order == "rgb" else ""
    return (
        f"{key}: {name} was trained on images with\n  {theirs.as_config()}\nbut this config's "
        f"{holder}.data_preprocessor has\n  {ours.as_config() if ours else 'no mean and std'}\n"
        f"Give it those of the checkpoint: {holder}.data_preprocessor = dict({theirs.as_config()}{reverse})\n"
        "If the difference is meant, put check_normalisation = False at the top of the config "
        "(--cfg-options check_normalisation=False)."
    )
