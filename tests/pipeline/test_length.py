"""Another length of pre-training: the rate falls after the same part of it."""

from mmengine.config import Config

from aligndet.pipeline.length import set_length


def recipe() -> Config:
    return Config(
        {
            "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 12},
            "train_dataloader": {"sampler": {"type": "DefaultSampler", "shuffle": True}},
            "param_scheduler": [
                {"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 500},
                {"type": "MultiStepLR", "by_epoch": True, "begin": 0, "end": 12, "milestones": [8, 11]},
            ],
        }
    )


def test_nothing_asked_changes_nothing() -> None:
    config = recipe()
    set_length(config)
    assert config.to_dict() == recipe().to_dict()


def test_epochs_move_the_milestones() -> None:
    config = recipe()
    set_length(config, epochs=24)
    assert config.train_cfg.max_epochs == 24
    assert config.param_scheduler[1].milestones == [16, 22]
    assert config.param_scheduler[1].end == 24
    assert config.param_scheduler[0].end == 500


def test_iterations_count_everything_in_iterations() -> None:
    config = recipe()
    set_length(config, iters=1200)
    assert config.train_cfg.to_dict() == {"type": "IterBasedTrainLoop", "max_iters": 1200}
    assert config.param_scheduler[1].milestones == [800, 1100]
    assert not config.param_scheduler[1].by_epoch
    assert config.param_scheduler[0].end == 120, "a warm-up is a tenth at most"
    assert config.train_dataloader.sampler.type == "InfiniteSampler"
    assert config.default_hooks.checkpoint.to_dict() == {
        "type": "CheckpointHook",
        "by_epoch": False,
        "interval": 120,
    }
    assert config.log_processor.by_epoch is False


def test_a_config_that_counts_iterations_is_shrunk() -> None:
    config = Config(
        {
            "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 200},
            "train_dataloader": {},
            "param_scheduler": [
                {"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 25},
                {"type": "CosineAnnealingLR", "by_epoch": False, "begin": 25, "end": 200, "T_max": 175},
            ],
        }
    )
    set_length(config, iters=40)
    assert [s.end for s in config.param_scheduler] == [5, 40]
    assert config.param_scheduler[1].T_max == 35
