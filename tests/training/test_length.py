"""A capped run writes a checkpoint at its last step and logs, whatever its config says of hooks."""

from mmengine.config import Config

from aligndet.training.length import cap


def capped(**config: object) -> Config:
    result = Config({"train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 12}, **config})
    cap(result, 7)
    return result


def test_a_config_without_hooks_gets_them() -> None:
    hooks = capped().default_hooks
    assert hooks.checkpoint == {
        "type": "CheckpointHook",
        "by_epoch": False,
        "interval": 7,
        "save_last": True,
    }
    assert hooks.logger == {"type": "LoggerHook", "interval": 1}


def test_hooks_of_the_config_stay() -> None:
    hooks = {
        "timer": {"type": "IterTimerHook"},
        "checkpoint": {"type": "CheckpointHook", "max_keep_ckpts": 2},
    }
    result = capped(default_hooks=hooks).default_hooks
    assert result.timer.type == "IterTimerHook"
    assert result.checkpoint.max_keep_ckpts == 2
    assert result.checkpoint.interval == 7
