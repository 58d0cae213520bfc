"""What is not finite is never applied: loss, gradient, state; it is counted, told, and ends the run."""

import time
from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel, ExponentialMovingAverage
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from aligndet.common.errors import InputError
from aligndet.common.finite import STEP_APPLIED
from aligndet.training.checkpoint_hook import WholeCheckpointHook
from aligndet.training.cpu import DistributedOnCPU
from aligndet.training.finite import DivergedError, FiniteHook

State = dict[str, torch.Tensor]
#: What a batch does: its pixels are NaN; its loss is finite and its gradient is not; its keys are NaN.
BAD = ("pixels", "gradient", "queue")


class Net(BaseModel):
    """Has what a forward pass changes: a norm, a queue of keys, an average of weights, a mask of -inf."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.out = nn.BatchNorm1d(4), nn.Linear(4, 3)
        self.average = ExponentialMovingAverage(self.out, 0.5)
        self.register_buffer("queue", torch.zeros(8, 4))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        self.swav = SwAVLoss()

    def forward(self, inputs: torch.Tensor, data_samples: list[Any], mode: str = "loss") -> State:
        kind = data_samples[0].kind
        hidden = self.norm(inputs)
        self.average.update_parameters(self.out)
        with torch.no_grad():
            self.queue.copy_(torch.cat([hidden * (torch.nan if kind == "queue" else 1), self.queue])[:8])
            self.swav.queue = self.queue[:2].clone()
        loss = self.out(hidden).square().mean()
        if kind == "gradient":
            loss = loss + (0 * self.out.weight).sum().sqrt()
        if kind == "large":
            loss = 1e4 * loss
        if kind == "unmatched":
            raise ValueError("matrix contains invalid numeric entries")
        return {"loss_box": loss, "positives": loss.new_ones(())}


class SwAVLoss(nn.Module):
    """Keeps a queue as no buffer, under the name of mmpretrain's that does."""

    queue: torch.Tensor | None = None


class Record(Hook):
    """Keeps model and optimiser as they are after each step."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.states: list[State] = []
        self.applied: list[bool] = []

    def before_train(self, runner: Any) -> None:
        self.states.append(state_of(runner))

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.states.append(state_of(runner))
        self.applied.append(runner.message_hub.get_info(STEP_APPLIED))


def state_of(runner: Any) -> State:
    state = {name: value.clone() for name, value in runner.model.state_dict().items()}
    model = getattr(runner.model, "module", runner.model)
    state["held"] = torch.zeros(0) if model.swav.queue is None else model.swav.queue
    wrapper = runner.optim_wrapper
    for one in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
        for place, kept in enumerate(one.optimizer.state.values()):
            state |= {f"{place}.{name}": torch.as_tensor(value).clone() for name, value in kept.items()}
    return state


def batches(kinds: list[str]) -> list[dict[str, Any]]:
    draws = torch.Generator().manual_seed(0)
    made = []
    for number, kind in enumerate(kinds):
        pixels = torch.randn(5, 4, generator=draws)
        sample = SimpleNamespace(kind=kind, img_path=f"photos/{number}.jpg")
        made.append({"inputs": pixels * (torch.nan if kind == "pixels" else 1), "data_samples": [sample]})
    return made


def runner_of(
    work: Path, kinds: list[str], wrap: Any = OptimWrapper, model: Any = None, **options: Any
) -> Runner:
    torch.manual_seed(0)
    model = model or Net()
    wrapper = wrap(optimizer=torch.optim.AdamW(model.parameters(), lr=0.01), **options)
    return Runner(
        model,
        str(work),
        train_dataloader=DataLoader(batches(kinds), collate_fn=itemgetter(0)),  # type: ignore[arg-type]
        train_cfg={"by_epoch": False, "max_iters": len(kinds)},
        optim_wrapper=wrapper,
        default_hooks={"checkpoint": None, "logger": None},
        experiment_name=f"finite{time.time_ns()}",
        log_level="ERROR",
    )


def run(runner: Runner, patience: int = 3) -> Record:
    record = Record()
    runner.register_hook(FiniteHook(patience))
    runner.register_hook(record)
    runner.train()
    return record


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


class PastItself(OptimWrapper):
    """A user's wrapper, which steps its optimiser by itself."""

    def update_params(self, loss: torch.Tensor, *arguments: Any, **options: Any) -> None:  # type: ignore[override]
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize(
    ("wrap", "options"),
    [(OptimWrapper, {}), (OptimWrapper, {"clip_grad": {"max_norm": 1.0}}), (PastItself, {})],
    ids=["plain", "clipped", "past itself"],
)
def test_a_bad_step_leaves_no_trace(
    kind: str, wrap: Any, options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = run(runner_of(tmp_path, ["good", kind, "good"], wrap, **options))
    start, first, bad, last = record.states
    assert not same(start, first)
    assert same(first, bad)
    assert not same(bad, last)
    assert record.applied == [True, False, True]
    told = capsys.readouterr().err
    assert "step 2: loss" in told
    assert "learning rate 0.01: not applied" in told
    assert "images photos/1.jpg" in told


def test_without_the_hook_a_bad_step_stays(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, ["good", "pixels"])
    runner.train()
    state = runner.model.state_dict()
    assert all(state[name].isnan().any() for name in ("out.weight", "queue", "norm.running_mean"))


def test_the_run_ends_when_patience_does(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, ["pixels", "good", "pixels", "gradient", "good"])
    with pytest.raises(DivergedError) as told:
        run(runner, patience=2)
    assert runner.iter == 3
    text = str(told.value)
    assert text.startswith(
        "2 steps in a row were not finite (--nan-patience 2) and were not applied; step 4: "
    )
    assert "its gradient is not finite, images photos/3.jpg, learning rate 0.01" in text
    assert "no checkpoint was written; lower the learning rate" in text
    assert all(value.isfinite().all() for name, value in runner.model.state_dict().items() if name != "mask")


def test_an_update_of_several_batches_is_dropped_whole(tmp_path: Path) -> None:
    kinds = ["good", "pixels", "pixels", "good", "good", "good"]
    states = run(runner_of(tmp_path, kinds, accumulative_counts=2)).states
    assert same(states[1], states[2]), "the norm saw the good batch, and nothing else did"
    assert not same(states[0], states[1])
    weights = [state["out.weight"] for state in states]
    assert all(torch.equal(weights[0], later) for later in weights[:6])
    assert not torch.equal(weights[0], weights[6])
    again = runner_of(tmp_path, kinds, accumulative_counts=2)
    with pytest.raises(DivergedError, match=r"2 steps in a row .* step 3: loss nan .* images photos/2.jpg"):
        run(again, patience=2)


def test_what_waits_is_known_to_a_resumed_run(tmp_path: Path) -> None:
    """A bad batch was gathered before the checkpoint; the rest of its update is not applied after it."""
    runner = runner_of(tmp_path, ["good"], accumulative_counts=2)
    runner.message_hub.update_info("not_finite", {"in_a_row": 1, "poisoned": True})
    runner.train_loop._iter = 1  # type: ignore[attr-defined]
    runner.optim_wrapper.initialize_count_status(runner.model, 1, 2)
    hook = FiniteHook()
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    (batch,) = batches(["good"])
    before = runner.model.out.weight.clone()
    runner.optim_wrapper._inner_count = 1
    hook.after_train_iter(runner, 0, batch, runner.model.train_step(batch, runner.optim_wrapper))
    assert torch.equal(before, runner.model.out.weight)
    assert hook._in_a_row == 2


@pytest.fixture
def amp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """mmengine's wrapper for mixed precision with torch's scaler of the CPU."""
    monkeypatch.setattr(amp_optimizer_wrapper, "is_cuda_available", lambda: True)
    monkeypatch.setattr(amp_optimizer_wrapper, "GradScaler", partial(torch.amp.GradScaler, device="cpu"))
    return AmpOptimWrapper


def test_what_the_loss_scaler_leaves_out_is_no_fault(amp: Any, tmp_path: Path) -> None:
    scale = {"init_scale": 2.0**120, "growth_interval": 1000}
    runner = runner_of(tmp_path, ["large"] * 12, amp, loss_scale=scale)
    record = run(runner, patience=1)
    assert record.applied == [False] * record.applied.count(False) + [True] * record.applied.count(True)
    assert 2 <= record.applied.count(False) < 12
    assert runner.optim_wrapper.loss_scaler.get_scale() == 2.0 ** (120 - record.applied.count(False))


def test_a_bad_loss_is_a_fault_that_leaves_the_scale_alone(amp: Any, tmp_path: Path) -> None:
    runner = runner_of(tmp_path, ["good", "pixels", "good"], amp, loss_scale={"init_scale": 8.0})
    record = run(runner)
    assert record.applied == [True, False, True]
    assert runner.optim_wrapper.loss_scaler.get_scale() == 8.0


@pytest.mark.parametrize("scale", [{"init_scale": 1.0}, 64.0], ids=["at its end", "fixed"])
def test_a_scale_that_cannot_fall_excuses_nothing(scale: Any, amp: Any, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="2 steps in a row"):
        run(runner_of(tmp_path, ["gradient"] * 4, amp, loss_scale=scale), patience=2)


class Two(Net):
    """Trains with an optimiser for each part, as a GAN does."""

    def train_step(self, data: Any, optim_wrapper: Any) -> State:
        for name in ("out", "norm"):
            loss, logs = self.parse_losses(self(**data))
            optim_wrapper[name].update_params(loss)
        return logs


def test_each_of_several_optimisers_is_watched(tmp_path: Path) -> None:
    model = Two()
    parts = {
        name: OptimWrapper(torch.optim.SGD(getattr(model, name).parameters(), 0.1, momentum=0.9))
        for name in ("out", "norm")
    }
    record = run(
        runner_of(tmp_path, ["good", "pixels", "good"], lambda optimizer: OptimWrapperDict(**parts), model)
    )
    assert not same(record.states[0], record.states[1])
    assert same(record.states[1], record.states[2])
    assert not same(record.states[2], record.states[3])


def test_predictions_that_cannot_be_matched_are_a_bad_step(tmp_path: Path) -> None:
    record = run(runner_of(tmp_path, ["good", "unmatched", "good"]))
    assert same(record.states[1], record.states[2])
    assert record.applied == [True, False, True]
    assert not same(record.states[2], record.states[3])


def plain_descent(optimizer: torch.optim.Optimizer) -> OptimWrapper:
    return OptimWrapper(torch.optim.SGD(optimizer.param_groups[0]["params"], lr=0.01))


class Rate(Hook):
    """Sets a rate so high at the second step that a finite gradient gives infinite weights."""

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == 1:
            runner.optim_wrapper.param_groups[0].update(lr=3e38, weight_decay=1e3)


def test_weights_that_are_not_finite_never_replace_a_good_checkpoint(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, ["good"] * 4, plain_descent)
    runner.register_hook(Rate())
    runner.register_hook(WholeCheckpointHook(interval=1, by_epoch=False, max_keep_ckpts=1))
    with pytest.raises(DivergedError, match=r"step 2, .* no longer .*the last good checkpoint is .*iter_1"):
        run(runner)
    state = torch.load(tmp_path / "iter_1.pth", weights_only=False)["state_dict"]
    assert all(value.isfinite().all() for name, value in state.items() if name != "mask")


def test_weights_that_are_not_finite_end_the_run_at_once(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, ["good"] * 4, plain_descent)
    runner.register_hook(Rate())
    with pytest.raises(DivergedError, match=r"step 3: loss nan .* learning rate 3e\+38: .* no longer finite"):
        run(runner)


def test_a_start_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    model = Net()
    model.out.bias.data[1] = torch.inf
    with pytest.raises(InputError, match=r"weights that training starts from: out.bias is not finite"):
        run(runner_of(tmp_path, ["good"], model=model))
    runner = runner_of(tmp_path, ["good"], model=model)
    runner._load_from = "x.pth"
    with pytest.raises(
        InputError, match=r"starts from \(x\.pth\): out\.bias is not finite: give other weights"
    ):
        FiniteHook().before_train(runner)


def one_of_two(rank: int, folder: Path) -> None:
    """Be one of two processes, of which the second alone meets bad batches."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    kinds = ["good", *(["pixels", "queue", "good", "gradient", "pixels"] if rank else ["good"] * 5)]
    torch.manual_seed(0)
    model = DistributedOnCPU(Net(), broadcast_buffers=False)
    runner = runner_of(folder / f"work{rank}", kinds, model=model)
    record = Record()
    runner.register_hook(record)
    with pytest.raises(DivergedError) as told:
        run(runner, patience=2)
    told_to = {"states": record.states, "applied": record.applied, "told": str(told.value)}
    torch.save(told_to, folder / f"told{rank}.pth")
    torch.distributed.destroy_process_group()


def test_processes_agree_on_what_is_bad_and_name_it(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(one_of_two, (tmp_path,), nprocs=2, start_method="fork")
    ranks = [torch.load(tmp_path / f"told{rank}.pth", weights_only=False) for rank in (0, 1)]
    for rank in ranks:
        assert rank["applied"] == [True, False]
        assert same(rank["states"][1], rank["states"][2])
        assert "step 3: loss" in rank["told"]
        assert "photos/2.jpg" in rank["told"]
    assert ranks[0]["told"] == ranks[1]["told"]
    weights = [rank["states"][2]["module.out.weight"] for rank in ranks]
    assert torch.equal(*weights)
