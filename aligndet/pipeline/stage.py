"""A stage: a function with plain data in and out, and what its result depends on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from aligndet.pipeline.codec import decisive
from aligndet.pipeline.inputs import text_hash


class StageError(RuntimeError):
    """A stage failed; the message names it, the last error, and its log."""


@dataclass(frozen=True)
class Stage:
    """What one step of the pipeline does and leaves behind.

    Attributes:
        name: of the stage; title: for people.
        function: ``module:name`` of what does the work, ``def run(request: Request) -> Result``.
        request: its only argument, a frozen dataclass of plain data.
        outputs: files and folders that it leaves, relative to the out folder.
        tokens: those files that show that it is done; empty: all outputs. A training's folder may get further
            files, or lose old checkpoints, and is done all the same.
        inputs: labels of the contents that it reads (:func:`aligndet.pipeline.plan.contents`).
        after: names of earlier stages whose outputs it reads.
        optional: its failure is a warning, and the run goes on. partial: not all outputs need be there.
    """

    name: str
    title: str
    function: str
    request: Any
    outputs: tuple[str, ...]
    tokens: tuple[str, ...] = field(default=(), kw_only=True)
    inputs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    optional: bool = False
    partial: bool = False

    @classmethod
    def of(cls, module: str, title: str, request: Any, outputs: tuple[str, ...], **rest: Any) -> Stage:
        """Make the stage of a module, which is named as the module and whose ``run`` does the work."""
        return cls(module.rpartition(".")[2], title, f"{module}:run", request, outputs, **rest)

    def key(self, contents: dict[str, str], marks: dict[str, str]) -> str:
        """Hash of all that decides the result: request, content of what it reads, earlier results."""
        read = {name: contents[name] for name in self.inputs if name in contents}
        before = {name: marks[name] for name in self.after if name in marks}
        text = json.dumps([self.name, self.function, decisive(self.request), read, before], sort_keys=True)
        return text_hash(text)
