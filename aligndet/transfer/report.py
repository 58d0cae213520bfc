"""What became of each tensor on its way from one checkpoint into a stock detector."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

MEANING = {
    "kept": "taken over",
    "tiled": "class-agnostic box regression, repeated for every class (exactly equivalent)",
    "initial": "left out in pre-training: initial values of the stock detector",
    "classifier": "depends on the classes: not transferred, random when fine-tuning starts",
    "missing": "in the detector but not in the checkpoint: random when fine-tuning starts",
    "dropped": "in the checkpoint, not used",
}


@dataclass
class TransferReport:
    """Tensor names by what became of them; the names are the stock detector's.

    Attributes:
        source: the checkpoint. network: ``online``, ``momentum`` or ``detector`` (a plain checkpoint).
        kept, tiled, initial, classifier, missing: a partition of the stock detector's tensors.
        dropped: tensors of the checkpoint that were not used; classifiers of another class number too.
        parts: module that each tensor is counted under.
    """

    source: str
    network: str
    kept: list[str] = field(default_factory=list)
    tiled: list[str] = field(default_factory=list)
    initial: list[str] = field(default_factory=list)
    classifier: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)

    def count_by_part(self, names: Iterable[str]) -> dict[str, int]:
        """Number of tensors by module."""
        counts: dict[str, int] = {}
        for name in names:
            part = self.parts.get(name, name.split(".")[0])
            counts[part] = counts.get(part, 0) + 1
        return counts

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        data = asdict(self)
        del data["parts"]
        return {**data, "counts": {kind: self.count_by_part(getattr(self, kind)) for kind in MEANING}}

    def __str__(self) -> str:
        """A line per kind of fate, with tensor counts by module; names where they are few."""
        lines = [f"{self.source} ({self.network} network)"]
        for kind, meaning in MEANING.items():
            names = getattr(self, kind)
            if not names:
                continue
            parts = ", ".join(f"{part} {count}" for part, count in self.count_by_part(names).items())
            lines.append(f"  {kind:<10} {len(names):>4}  {parts}: {meaning}")
            if kind != "kept" and len(names) <= 4:
                lines += [f"{'':18}{name}" for name in names]
        return "\n".join(lines)

    def summary(self) -> str:
        """One line: how much of the detector starts from the checkpoint."""
        taken = len(self.kept) + len(self.tiled)
        total = taken + len(self.initial) + len(self.classifier) + len(self.missing)
        text = f"{taken} of {total} tensors loaded"
        rest = self.count_by_part([*self.initial, *self.classifier, *self.missing])
        return text + (f"; random: {', '.join(f'{n} in {part}' for part, n in rest.items())}" if rest else "")
