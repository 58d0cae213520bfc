"""One row of the table: what became of one model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

OK = "ok"
REFUSED = "refused"
NO_DETECTOR = "no detector"
NOT_MMDET = "mmdet cannot"
UNREADABLE = "cannot be read"
NOT_TRIED = "not tried"
FAILED = "failed"
#: Every status, in the order of the document, and what it means.
STATUSES = {
    OK: "it is pre-trained, and the export loads into the stock detector",
    FAILED: "does not, and should",
    NOT_TRIED: "a loader of the project's own reads none of the generated images",
    REFUSED: "refused with a reason",
    UNREADABLE: "its config, or a module that it imports, cannot be read",
    NOT_MMDET: "mmdet itself cannot read or build its own config",
    NO_DETECTOR: "a config without a model (options of testing, data)",
}


@dataclass
class Row:
    """What became of one model.

    Attributes:
        config: the config it was read from; of the zoo, in mmdet's folder. family: its folder.
        same: other configs with the same model.
        detector, head, adapter: class names; ``head`` joins the classes of all heads that find boxes.
        status: a key of :data:`STATUSES`. reason: one line, where it is not ok. trace: of an error.
        note: what a person should know, where it is ok.
        size: short side of the views, pixels; 0 is the config's own.
        slots, positives: of the online view, in the first step.
        contrast, losses: ``loss_contrast``, and the sum of the detector's own losses, in the first step.
        kept: tensors of the stock detector that come from pre-training (repeated class-agnostic regressors
            too). initial: those of parts left out, at initial values. missing: those of classifiers.
        seconds: of the processor, for the whole check.
    """

    config: str
    family: str = ""
    detector: str = ""
    head: str = ""
    adapter: str = ""
    status: str = FAILED
    reason: str = ""
    trace: str = ""
    note: str = ""
    size: int = 0
    slots: int = 0
    positives: int = 0
    contrast: float = 0.0
    losses: float = 0.0
    kept: int = 0
    initial: int = 0
    missing: int = 0
    seconds: float = 0.0
    same: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Row:
        """The inverse of :meth:`to_dict`; keys of other versions are ignored."""
        names = {item.name for item in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in names})

    def line(self) -> str:
        """For the terminal."""
        numbers = (
            f"{self.size}px {self.slots} slots, {self.positives} positive, contrast {self.contrast:.2f}, "
            f"losses {self.losses:.4g}, kept {self.kept}, missing {self.missing}"
        )
        told = numbers if self.status == OK else self.reason
        return f"{self.status:<12} {self.config} [{self.adapter or self.head}] {told} ({self.seconds:.0f} s)"
