"""Everything that proposals depend on, apart from the images themselves."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from aligndet.proposals.backends.registry import resolved_options
from aligndet.proposals.filters import FilterOptions


@dataclass(frozen=True)
class ProposalOptions:
    """How proposals are made.

    Attributes:
        backend: a name of :mod:`aligndet.proposals.backends`, with its options.
        filter: which raw boxes are kept; None keeps all that have an area inside the image, as they come.
        max_side: search on a copy whose long side is at most this many pixels, boxes scaled back;
            0 searches the image as it is. Filter options mean original pixels either way.
    """

    backend: str = "fast"
    backend_options: dict[str, Any] = field(default_factory=dict)
    filter: FilterOptions | None = field(default_factory=FilterOptions)
    max_side: int = 0

    def describe(self) -> dict[str, Any]:
        """All options with the backend's defaults filled in, as json can hold them."""
        return {
            "backend": self.backend,
            "backend_options": resolved_options(self.backend, self.backend_options),
            "filter": None if self.filter is None else asdict(self.filter),
            "max_side": self.max_side,
        }
