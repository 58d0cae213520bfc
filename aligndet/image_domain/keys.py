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


#: An inverted residual: mmpretrain counts its convolutions, mmdet names them; not all have the first one.
_COUNTED = re.compile(r"(?P<block>.*\.)conv\.(?P<number>[0-2])\.(?P<rest>(?:conv|bn)\..+)")
_NAMED = ("expand_conv", "depthwise_conv", "linear_conv")


def names_of(source: Iterable[str], target: Iterable[str]) -> dict[str, str]:
    """mmpretrain's keys of inverted residuals (MobileNetV2) under mmdet's names, where those are wanted.

    ``layer2.0.conv.0.bn.weight`` is ``layer2.0.expand_conv.bn.weight``; in a block of two convolutions, which
    has no expansion, it is ``layer1.0.depthwise_conv.bn.weight``.
    """
    if not any(".depthwise_conv." in key for key in target):
        return {}
    found = {key: match for key in source if (match := _COUNTED.fullmatch(key))}
    last: dict[str, int] = {}
    for match in found.values():
        last[match["block"]] = max(int(match["number"]), last.get(match["block"], 0))
    return {
        key: f"{m['block']}{_NAMED[int(m['number']) + 2 - last[m['block']]]}.{m['rest']}"
        for key, m in found.items()
    }


#: Share of the backbone below which names that are only numbers are looked for.
POOR = 0.5


def numbered_names(source: Iterable[str], target: Iterable[str]) -> dict[str, str]:
    """Keys of a ``nn.Sequential`` of a backbone's children, under the names of these children.

    ``nn.Sequential(*resnet.children())`` calls them by their places, those without tensors counted too:
    ``0.weight`` is ``conv1.weight``, ``4.0.conv1.weight`` is ``layer1.0.conv1.weight``. The children with
    tensors come in the same order in both; a last one (the classifier) may be more.
    """
    source, heads = list(source), list(dict.fromkeys(key.split(".")[0] for key in target))
    names: dict[str, str] = {}
    for prefix in prefixes(source):
        tails = [key[len(prefix) :] for key in source if key.startswith(prefix)]
        places = {tail.split(".")[0] for tail in tails}
        places = {place for place in places if place.isdigit()}
        if len(places) < len(heads):
            continue
        of_place = dict(zip(sorted(places, key=int), heads, strict=False))
        for tail in tails:
            place, _, rest = tail.partition(".")
            if place in of_place:
                names.setdefault(prefix + tail, f"{prefix}{of_place[place]}.{rest}")
    return names


def prefixes(keys: Iterable[str]) -> list[str]:
    """Every dotted prefix of the keys, the empty one first: ``a.b.c`` gives '', 'a.', 'a.b.'."""
    found = {"": None}
    for key in keys:
        parts = key.split(".")[:-1]
        found.update((".".join(parts[:length]) + ".", None) for length in range(1, len(parts) + 1))
    return list(found)


def rename(
    source: Shapes, target: Shapes, renaming: Renaming, names: Mapping[str, str] | None = None
) -> Match:
    """Apply a renaming and sort every tensor of the backbone into matched, missing or mismatched in shape.

    Args:
        source: checkpoint key -> shape. target: backbone key -> shape.
        renaming: of the prefix. names: other names of some checkpoint keys, see :func:`names_of`.
    """
    names = names or {}
    start = renaming.source
    by_name = {canonical(names.get(key, key)[len(start) :]): key for key in source if key.startswith(start)}
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
    names = names_of(source, target)
    matches = [rename(source, target, Renaming(s, t), names) for s in source_prefixes for t in shared]
    if all(match.fraction < POOR for match in matches) and (numbers := numbered_names(source, target)):
        matches += [rename(source, target, Renaming(start, ""), numbers) for start in source_prefixes]
    return sorted((m for m in matches if m.pairs), key=_preference, reverse=True)
