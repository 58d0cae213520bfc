"""Order by position: any batch sampler goes on behind what is done; items are made from their places."""

import pickle
import random
from collections.abc import Iterator
from typing import Any

import mmdet.datasets.samplers
import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from aligndet.training.positions import Order, Placed, seeded_items
from aligndet.training.seeding import seed_of


class Drawn(Dataset):
    """37 images, upright and lying, whose items are what three generators draw."""

    metainfo = {"classes": ("a", "b")}  # noqa: RUF012

    def __init__(self, length: int = 37) -> None:
        self.length, self.asked = length, 0

    def __len__(self) -> int:
        return self.length

    def get_data_info(self, index: int) -> dict[str, int]:
        self.asked += 1
        return {"width": 64, "height": 48 + 32 * (index % 3 == 0)}

    def get_cat_ids(self, index: int) -> list[int]:
        return [index % 2]

    def __getitem__(self, index: int) -> tuple[float, ...]:
        return index, random.random(), float(np.random.rand()), float(torch.rand(1))


def default(dataset: Any) -> Any:
    return BatchSampler(DefaultSampler(dataset, seed=3), 4, False)


def aspect(dataset: Any) -> Any:
    return mmdet.datasets.samplers.AspectRatioBatchSampler(DefaultSampler(dataset, seed=3), 4)


def endless(dataset: Any) -> Any:
    return mmdet.datasets.samplers.AspectRatioBatchSampler(InfiniteSampler(dataset, seed=3), 4)


def by_class(dataset: Any) -> Any:
    return BatchSampler(mmdet.datasets.samplers.ClassAwareSampler(dataset, seed=3), 4, True)


def of_torch(dataset: Any) -> Any:
    return BatchSampler(RandomSampler(dataset), 4, True)


class Remembers(BatchSampler):
    """A user's: an epoch begins where the one before ended, and a generator of numpy draws."""

    def __init__(self, dataset: Any) -> None:
        super().__init__(SequentialSampler(dataset), 4, True)
        self.first = 0

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(len(self)):
            yield [self.first, *np.random.randint(0, 37, 3).tolist()]
            self.first += 1


SAMPLERS = (default, aspect, by_class, of_torch, Remembers)


def loader(make: Any, workers: int = 0) -> tuple[DataLoader, Order]:
    """A loader as another process would build it: global generators stand anywhere."""
    dataset = seeded_items(Drawn())
    sampler = make(dataset)
    torch.seed()
    np.random.seed()
    return DataLoader(dataset, batch_sampler=sampler, num_workers=workers, collate_fn=list), Order(sampler, 5)


def epochs(make: Any, first: int, done: int, last: int, workers: int = 0) -> list[Any]:
    """Batches of epochs ``first`` to ``last``, of the first one those behind ``done``."""
    images, order = loader(make, workers)
    batches = []
    for epoch in range(first, last + 1):
        order.epoch = epoch
        order.done = done if epoch == first else 0
        if set_epoch := getattr(order.sampler.sampler, "set_epoch", None):
            set_epoch(epoch)
        batches += list(images)
    return batches


def steps(make: Any, done: int, most: int, workers: int = 0) -> list[Any]:
    """Batches of steps ``done`` to ``most``."""
    images, order = loader(make, workers)
    order.done, order.endless = done, True
    batches = iter(images)
    return [next(batches) for _ in range(done, most)]


@pytest.mark.parametrize("make", SAMPLERS)
def test_epochs_go_on(make: Any) -> None:
    whole = epochs(make, 0, 0, 2)
    length = len(epochs(make, 0, 0, 0))
    assert len({item for batch in whole for item in batch}) == sum(map(len, whole)), "no item is another's"
    for epoch, done in ((0, 5), (1, 0), (2, 3), (2, length)):
        assert epochs(make, epoch, done, 2) == whole[epoch * length + done :]


@pytest.mark.parametrize("make", [*SAMPLERS, endless])
def test_steps_go_on_over_the_ends_of_epochs(make: Any) -> None:
    whole = steps(make, 0, 30)
    assert len({item for batch in whole for item in batch}) == sum(map(len, whole))
    for done in (1, 9, 10, 23):
        assert steps(make, done, 30) == whole[done:]


def test_workers_change_nothing() -> None:
    assert epochs(aspect, 1, 2, 2, workers=2) == epochs(aspect, 1, 2, 2)


def test_skipping_reads_no_image_and_asks_a_size_once() -> None:
    images, order = loader(endless)
    order.done, order.endless = 1000, True
    next(iter(images))
    assert images.dataset.asked <= 37 + 40  # type: ignore[attr-defined]


def test_an_item_is_that_of_its_place() -> None:
    dataset = seeded_items(Drawn())
    item = dataset[Placed(3, 7)]
    assert dataset[Placed(3, 7)] == item == (3, *item[1:])
    assert dataset[Placed(3, 8)] != item
    assert dataset[3] != item
    assert isinstance(dataset, Drawn)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy[Placed(3, 7)] == item
    assert seeded_items(dataset) is dataset


def test_seeds_are_the_same_in_every_process() -> None:
    assert seed_of(0, "item", 1, 2, "3") == 16461811449488971679
    assert seed_of(0, "item", 1, 2, "3") != seed_of(0, "item", 1, 3, "2")


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_step_has_the_same_items_on_any_number_of_processes(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four images to a step on all processes together: who makes which does not count."""
    whole = epochs(default, 1, 3, 1)
    steps: list[list[Any]] = [[] for _ in whole]
    for rank in range(processes):
        monkeypatch.setattr("mmengine.dataset.sampler.get_dist_info", lambda rank=rank: (rank, processes))
        monkeypatch.setattr("aligndet.training.positions.get_rank", lambda rank=rank: rank)
        monkeypatch.setattr("aligndet.training.positions.get_world_size", lambda: processes)
        made = epochs(lambda data: BatchSampler(DefaultSampler(data, seed=3), 4 // processes, False), 1, 3, 1)
        for step, items in zip(steps, made, strict=True):
            step += items
    # the last step is filled up to whole batches
    assert [sorted(step) for step in steps[:-1]] == [sorted(step) for step in whole[:-1]]
