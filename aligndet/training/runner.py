"""The runner of every training: mmengine's, of which an interrupted run loses nothing."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from aligndet.common.config_text import WrittenConfig


class TrainingRunner(Runner):
    """Trains as mmengine's runner does."""


def runner_of(config: Config) -> Any:
    """Build the runner of a config: ours, or the one that its ``runner_type`` names."""
    written = WrittenConfig.of(config)
    return RUNNERS.build(written) if "runner_type" in config else TrainingRunner.from_cfg(written)
