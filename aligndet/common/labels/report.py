"""What a label file holds, what in it was mended, what was left out, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

KINDS = ("mended", "left out", "refused")
#: The option that writes labels without the entries that are refused.
LEAVE_OUT = "--leave-out"


@dataclass
class Note:
    """Says one thing about entries of a file.

    Attributes:
        kind: of :data:`KINDS`.
        what: which field, what it was, what was made of it or was expected.
        count: entries that it is about.
        first: the first of them: list, place and id; empty where it is about the file.
        mend: options of ``aligndet labels convert`` that mend what is refused; empty where nothing does.
    """

    kind: str
    what: str
    count: int = 1
    first: str = ""
    mend: str = ""

    def __str__(self) -> str:
        if not self.first:
            return self.what
        more = f" and {self.count - 1} more" if self.count > 1 else ""
        if self.kind == "refused":
            return f"{self.first} {self.what}{f' ({more.strip()})' if more else ''}"
        return f"{self.what} ({self.first}{more})"


class Notes:
    """Collects notes: what is said twice is counted."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str], Note] = {}

    def mended(self, what: str, first: str = "", count: int = 1) -> None:
        """Note what has one meaning and was read so."""
        self._add("mended", what, first, count)

    def left_out(self, what: str, first: str = "", count: int = 1) -> None:
        """Note what nothing can be learnt from."""
        self._add("left out", what, first, count)

    def refuse(self, what: str, first: str = "", count: int = 1, mend: str = LEAVE_OUT) -> None:
        """Note what has two meanings, or none: a sentence about the entry, ``has ...; expected ...``.

        Entries of one list of which the same is expected are one note, in the words of the first.
        """
        key = first.partition("[")[0] + (what.partition(";")[2] or what)
        self._add("refused", what, first, count, key, mend)

    def _add(self, kind: str, what: str, first: str, count: int, key: str = "", mend: str = "") -> None:
        if count:
            note = self._notes.setdefault((kind, key or what), Note(kind, what, 0, first, mend))
            note.count += count

    def __iter__(self) -> Iterator[Note]:
        return (note for kind in KINDS for note in self._notes.values() if note.kind == kind)


@dataclass
class LabelReport:
    """Counts of a label file, and notes on it.

    Attributes:
        file: the file or folder. kind: of labels, for people.
        images, boxes, crowds: entries; a crowd is no box.
        empty_images: images without a box.
        classes: boxes by class name, in the order of the labels; classes without a box too.
        notes: what was mended, left out and refused.
    """

    file: Path
    kind: str
    images: int = 0
    boxes: int = 0
    crowds: int = 0
    empty_images: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Note]:
        """The notes of one of :data:`KINDS`."""
        return [note for note in self.notes if note.kind == kind]

    @property
    def refused(self) -> list[Note]:
        """What keeps the file from being used."""
        return self.of_kind("refused")

    def line(self) -> str:
        """Say what was mended and left out, in one line; empty where nothing was."""
        parts = [
            f"{kind}: {'; '.join(map(str, notes))}" for kind in KINDS[:2] if (notes := self.of_kind(kind))
        ]
        return f"{self.file}: {'. '.join(parts)}" if parts else ""

    def __str__(self) -> str:
        crowds = f", {self.crowds} crowds" if self.crowds else ""
        lines = [
            f"{self.file}: {self.kind}: {self.boxes} boxes of {len(self.classes)} classes in {self.images} "
            f"images ({self.empty_images} without a box){crowds}"
        ]
        lines += [f"  {count:>8}  {name}" for name, count in self.classes.items()]
        lines += [f"{note.kind}: {note}" for note in self.notes]
        return "\n".join(lines)
