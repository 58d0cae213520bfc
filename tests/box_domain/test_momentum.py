"""The momentum network: equal at the start, follows, draws nothing at random, shares what is frozen."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from mmcv.cnn.bricks import DropPath
from mmengine.optim import OptimWrapper
from torch import nn

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.momentum import MomentumHook, cosine, follow, follower_of
from aligndet.common.errors import InputError
from aligndet.registry import HOOKS
from tests.small import batch, detector


@pytest.fixture(scope="module")
def model() -> BoxDomainPretrainer:
    torch.manual_seed(0)
    pretrainer = BoxDomainPretrainer(detector("detr"))
    pretrainer.init_weights()
    return pretrainer


def differences(model: BoxDomainPretrainer) -> dict[str, float]:
    """Largest difference of each momentum entry from its online one."""
    state = model.state_dict()
    return {
        name: (value.float() - state[name.replace("momentum", "online", 1)].float()).abs().max().item()
        for name, value in state.items()
        if name.startswith("momentum")
    }


def test_starts_equal_to_online_after_init_weights(model: BoxDomainPretrainer) -> None:
    """Official bug B3: both networks were initialised apart."""
    found = differences(model)
    assert found
    assert not any(found.values())
    model.momentum.init_weights()  # type: ignore[operator]  # the bug, put back
    assert any(differences(model).values())
    model.follow(0.0)


def test_starts_equal_after_loading_a_checkpoint_without_it(model: BoxDomainPretrainer) -> None:
    other = BoxDomainPretrainer(detector("detr"))
    online = {k: v + 1 for k, v in model.state_dict().items() if k.startswith("online")}
    other.load_state_dict(online, strict=False)
    assert not any(differences(other).values())
    assert (other.online.query_embedding.weight == online["online.query_embedding.weight"]).all()


def test_a_resumed_momentum_network_is_kept(model: BoxDomainPretrainer) -> None:
    state = {k: v + 1.0 if k.startswith("momentum") else v for k, v in model.state_dict().items()}
    other = BoxDomainPretrainer(detector("detr"))
    other.load_state_dict(state)
    assert min(differences(other).values()) > 0.9


def test_the_frozen_backbone_is_shared_not_copied(model: BoxDomainPretrainer) -> None:
    assert model.momentum.backbone is model.online.backbone
    assert not any(name.startswith("momentum.backbone") for name in model.state_dict())
    names = [name for name, _ in model.named_parameters()]
    assert not any(name.startswith("momentum.backbone") for name in names)
    assert not any(p.requires_grad for p in model.momentum.parameters())
    unfrozen = BoxDomainPretrainer(detector("detr"), freeze_backbone=False)
    assert unfrozen.momentum.backbone is not unfrozen.online.backbone
    assert any(name.startswith("momentum.backbone") for name in unfrozen.state_dict())


def test_two_passes_are_equal_while_online_drops_out(model: BoxDomainPretrainer) -> None:
    model.train()
    data = model.data_preprocessor(batch(), True)
    samples = data["data_samples"]["momentum"]

    def hidden(network: Any) -> torch.Tensor:
        feats = network.extract_feat(data["inputs"]["momentum"])
        return network.forward_transformer(feats, samples)["hidden_states"]

    with torch.no_grad():
        torch.testing.assert_close(hidden(model.momentum), hidden(model.momentum), rtol=0, atol=0)
        assert not torch.equal(hidden(model.online), hidden(model.online)), "dropout is on online"


def test_a_follower_in_training_mode_drops_nothing() -> None:
    """Neither some nor all: a layer that drops everything would be as repeatable."""
    layers = nn.ModuleList(
        [nn.Dropout(0.5), nn.Dropout2d(0.5), DropPath(0.5), nn.MultiheadAttention(8, 2, 0.5)]
    )
    follower, adapter = follower_of(layers, nn.Dropout(0.5), [])
    follower.train(), adapter.train()
    x = torch.randn(4, 3, 6, 8)
    dropout, dropout2d, drop_path, attention = cast(nn.ModuleList, follower)
    for layer in (dropout, dropout2d, drop_path, adapter):
        assert torch.equal(layer(x), x)
    rows = x[:, 0]
    trained, _ = attention(rows, rows, rows)
    torch.testing.assert_close(trained, attention.eval()(rows, rows, rows)[0])
    assert torch.equal(layers[0].eval()(x), x)
    assert not torch.equal(layers[0].train()(x), x), "the online network still drops"


def test_follow_moves_by_the_complement() -> None:
    online, momentum = nn.Linear(3, 2), nn.Linear(3, 2)
    before, target = momentum.weight.detach().clone(), online.weight.detach().clone()
    follow((online, nn.Identity()), (momentum, nn.Identity()), 0.9)
    torch.testing.assert_close(momentum.weight.detach(), 0.9 * before + 0.1 * target)
    torch.testing.assert_close(online.weight.detach(), target)


def test_norm_statistics_follow_the_online_ones() -> None:
    """Official bug B9: buffers never followed."""
    online: Any = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    momentum: Any
    momentum, _ = follower_of(online, nn.Identity(), [])
    online.train(), momentum.train()
    for _ in range(3):
        x = torch.randn(8, 3, 5, 5) + 2
        online(x), momentum(x * 5)
    follow((online, nn.Identity()), (momentum, nn.Identity()), 0.5)
    mine, theirs = momentum[1].running_mean, online[1].running_mean
    torch.testing.assert_close(mine, 0.5 * theirs)  # it began at zero and learnt nothing of its own views
    assert momentum[1].num_batches_tracked == online[1].num_batches_tracked == 3


def test_cosine_runs_from_base_to_one() -> None:
    assert cosine(0.996, 0, 100) == pytest.approx(0.996)
    assert cosine(0.996, 50, 100) == pytest.approx(0.998)
    assert cosine(0.996, 100, 100) == pytest.approx(1.0)
    assert cosine(0.4, 0, 100) == pytest.approx(0.4)
    assert cosine(0.4, 50, 100) == pytest.approx(0.7)
    assert cosine(0.4, 200, 100) == 1, "after the end"
    assert cosine(0.4, 0, 0) == pytest.approx(0.4), "a run of no step"
    assert cosine(0.4, 1, 1) == 1
    assert cosine(0.996, 25, 100) == pytest.approx(1 - 0.004 * (1 + 0.5**0.5) / 2)


def test_the_hook_counts_optimiser_steps_not_batches() -> None:
    moved: list[float] = []
    logged: list[tuple[str, float]] = []
    told: dict[str, bool] = {}
    net = nn.Linear(2, 1)
    wrapper = OptimWrapper(torch.optim.SGD(net.parameters(), lr=0.1), accumulative_counts=2)
    runner: Any = SimpleNamespace(
        iter=0,
        max_iters=4,
        optim_wrapper=wrapper,
        model=SimpleNamespace(follow=moved.append),
        message_hub=SimpleNamespace(update_scalar=lambda *scalar: logged.append(scalar), get_info=told.get),
    )
    wrapper.initialize_count_status(net, 0, 4)
    hook = MomentumHook(base=0.9)
    hook.before_train(runner)
    for runner.iter in range(4):
        wrapper.update_params(net(torch.randn(3, 2)).mean())
        hook.after_train_iter(runner, runner.iter)
    assert moved == [0.0, cosine(0.9, 1, 4), cosine(0.9, 3, 4)]
    assert logged == [("train/momentum", keep) for keep in moved[1:]]
    for told["step_applied"] in (False, True):
        hook.after_train_iter(runner, 3)
    assert len(moved) == 4, "a step that was not applied moves nothing"


def test_a_resumed_run_does_not_start_the_momentum_network_anew() -> None:
    moved: list[float] = []
    runner: Any = SimpleNamespace(iter=3, model=SimpleNamespace(follow=moved.append))
    MomentumHook().before_train(runner)
    assert moved == []
    runner.iter = 0
    MomentumHook().before_train(runner)
    assert moved == [0.0]


@pytest.mark.parametrize("base", [-0.1, 1.5])
def test_base_outside_the_unit_interval_is_refused(base: float) -> None:
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        MomentumHook(base)


def test_base_may_be_an_end_of_the_interval_and_is_the_papers_by_default() -> None:
    assert HOOKS.get("aligndet.MomentumHook") is MomentumHook, "as configs name it"
    assert (MomentumHook(0).base, MomentumHook(1).base, MomentumHook().base) == (0, 1, 0.996)
