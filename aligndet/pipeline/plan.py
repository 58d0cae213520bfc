"""The list of stages.

A stage is a module with ``plan(question) -> Stage | None`` and ``run(request) -> result``; it may have
``check(question) -> str``, which builds what ``run`` will use and says in words how long it takes, and
``lines(result) -> list[str]``, the result as a table shows it. To add one: write the module, name it here.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from aligndet.pipeline.question import Question
from aligndet.pipeline.stage import Stage

STAGES: list[str] = [
    "aligndet.pipeline.stages.images",
    "aligndet.pipeline.stages.proposals",
    "aligndet.pipeline.stages.image_domain",
    "aligndet.pipeline.stages.backbone",
    "aligndet.pipeline.stages.box_domain",
    "aligndet.pipeline.stages.export",
    "aligndet.pipeline.stages.evidence",
    "aligndet.pipeline.stages.finetune",
    "aligndet.pipeline.stages.compare",
]


def modules() -> list[ModuleType]:
    """The modules of all stages, in order."""
    return [importlib.import_module(name) for name in STAGES]


def stages(question: Question) -> list[Stage]:
    """The stages that a question needs, in order."""
    planned = [module.plan(question) for module in modules()]
    return [stage for stage in planned if stage is not None]


def module_of(stage: Stage) -> ModuleType:
    """The module that a stage is written in."""
    return importlib.import_module(stage.function.partition(":")[0])
