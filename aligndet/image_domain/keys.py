"""Which tensor of a checkpoint is which tensor of the backbone: found by names and shapes, not by a table.

Checkpoints name the same tensor in many ways: ``conv1.weight`` (torchvision), ``backbone.conv1.weight``
(mmpretrain), ``module.encoder_q.conv1.weight`` (MoCo), ``teacher.module.conv1.weight`` (DINO), while a
``mmpretrain.TIMMBackbone`` calls it ``timm_model.conv1.weight``. A :class:`Renaming` strips one prefix and
adds another; the best one is the one that fits most tensors by name and shape.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Shapes = Mapping[str, tuple[int, ...]]

# Copies that trail behind the network that is usually kept: chosen only where nothing else fits as well.
TRAILING_WORDS = ("encoder_k", "momentum", "target", "key", "student")


@dataclass(frozen=True)
class Renaming:
    """``source`` is stripped from a checkpoint key, ``target`` put in its place; both empty or dotted."""

    source: str
    target: str


@dataclass(frozen=True)
class Match:
    """What a renaming yields.

    ``pairs`` are (backbone key, checkpoint key); ``missing`` and ``mismatched`` (in shape) are backbone keys;
    ``unexpected`` are checkpoint keys under the stripped prefix that the backbone does not have.
    """

    renaming: Renaming
    pairs: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def fraction(self) -> float:
        """Matched share of the backbone's tensors, 0 to 1, BN step counters left out."""
        matched = sum(not is_counter(target) for target, _ in self.pairs)
        wanted = matched + len(self.mismatched) + sum(not is_counter(key) for key in self.missing)
        return matched / wanted if wanted else 0.0


def is_counter(key: str) -> bool:
    """Whether the key is a batch norm's step counter, which older checkpoints lack and nothing needs."""
    return key.endswith("num_batches_tracked")


def canonical(key: str) -> str:
    """The key with ``stages_0.`` (timm's ``features_only`` wrapper) written as ``stages.0.``."""
    return re.sub(r"_(\d+)(?=\.)", r".\1", key)


def prefixes(keys: Iterable[str]) -> list[str]:
    """Every dotted prefix of the keys, the empty one first: ``a.b.c`` gives '', 'a.', 'a.b.'."""
    found = {"": None}
    for key in keys:
        parts = key.split(".")[:-1]
        found.update((".".join(parts[:length]) + ".", None) for length in range(1, len(parts) + 1))
    return list(found)


def rename(source: Shapes, target: Shapes, renaming: Renaming) -> Match:
    """Apply a renaming and sort every tensor of the backbone into matched, missing or mismatched in shape."""
    by_name = {
        canonical(key[len(renaming.source) :]): key for key in source if key.startswith(renaming.source)
    }
    pairs, missing, mismatched = [], [], []
    for key, shape in target.items():
        tail = canonical(key[len(renaming.target) :]) if key.startswith(renaming.target) else ""
        found = by_name.pop(tail, None)
        if found is None:
            missing.append(key)
        elif tuple(source[found]) == tuple(shape):
            pairs.append((key, found))
        else:
            mismatched.append(key)
    return Match(renaming, tuple(pairs), tuple(missing), tuple(mismatched), tuple(by_name.values()))


def _preference(match: Match) -> tuple[int, int, int, int]:
    """Larger is better: tensors matched, then no trailing copy, fewer leftovers, the shorter prefix."""
    words = re.split(r"[._]", match.renaming.source) + match.renaming.source.split(".")
    trailing = any(word in TRAILING_WORDS for word in words)
    matched = sum(not is_counter(target) for target, _ in match.pairs)
    length = len(match.renaming.source) + len(match.renaming.target)
    return matched, -int(trailing), -len(match.unexpected), -length


def candidates(source: Shapes, target: Shapes, prefix: str | None = None) -> list[Match]:
    """All renamings that match at least one tensor, best first.

    Args:
        source: checkpoint key -> shape.
        target: backbone key -> shape.
        prefix: only this checkpoint prefix (``'backbone.'``); None tries every prefix of the checkpoint.
    """
    source_prefixes = prefixes(source) if prefix is None else [prefix]
    shared = [p for p in prefixes(target) if all(key.startswith(p) for key in target)]
    matches = [rename(source, target, Renaming(s, t)) for s in source_prefixes for t in shared]
    return sorted((m for m in matches if m.pairs), key=_preference, reverse=True)
