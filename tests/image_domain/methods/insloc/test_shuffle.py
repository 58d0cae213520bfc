"""Shuffle-BN: permuted together, restored, and normalised with other processes' images."""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from aligndet.image_domain.methods.insloc.shuffle import encode_in_groups, encode_shuffled

ROOT = Path(__file__).parents[4]

# Each process has four images, filled with their number over all processes; image n has the box (n, n, n, n).
TWO_PROCESSES = """
from pathlib import Path

import aligndet
import torch
from mmengine.dist import init_dist
import torch.distributed as dist
from aligndet.image_domain.methods.insloc.key_queue import KeyQueue
from aligndet.image_domain.methods.insloc.shuffle import encode_shuffled

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(100 + rank)
numbers = torch.arange(4.) + 4 * rank
images = numbers[:, None, None, None].expand(4, 3, 2, 2).contiguous()
boxes = numbers[:, None].expand(4, 4).contiguous()
met = []

def encode(images, boxes):
    mine = images[:, 0, 0, 0]
    assert all(torch.equal(box[:, 0], mine) for box in boxes), "images and boxes lost each other"
    met.append(mine)
    centred = mine - mine.mean()  # what batch norm does: it depends on who else is in the batch
    return torch.stack([torch.stack([mine, level + centred], 1) for level in range(len(boxes))])

for step in range(20):
    keys = encode_shuffled(encode, images, boxes, levels=3)
    assert keys.shape == (3, 4, 2)
    for level in range(3):
        assert torch.equal(keys[level, :, 0], numbers), (rank, step, keys[level, :, 0])

foreign = torch.stack([(batch >= 4) != bool(rank) for batch in met]).float().mean()
assert 0.3 < foreign < 0.7, foreign
everyone = [None, None]
dist.all_gather_object(everyone, torch.stack(met))
for first, second in zip(*everyone):
    assert sorted(torch.cat([first, second]).tolist()) == list(range(8)), "each image once"

queue = KeyQueue(levels=1, dim=2, length=10)
queue.push(torch.full((1, 4, 2), float(rank)))
assert queue.keys[0, 0, :8].tolist() == [0.] * 4 + [1.] * 4, "keys of all processes, in their order"
assert queue.position.item() == 8
Path(__file__).with_name(f"rank{rank}").touch()  # lines that two processes print may come mixed
dist.barrier()
dist.destroy_process_group()
"""


def run_two(script: str, folder: Path) -> None:
    """Run a script in two processes over gloo."""
    path = folder / "script.py"
    path.write_text(script)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    done = subprocess.run([*command, str(path)], env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


def test_two_processes_exchange_images_with_their_boxes_and_get_their_keys_back(tmp_path: Path) -> None:
    run_two(TWO_PROCESSES, tmp_path)
    assert {file.name for file in tmp_path.glob("rank*")} == {"rank0", "rank1"}, "both came to the end"


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_one_process_keeps_its_order_whatever_the_groups(groups: int) -> None:
    torch.manual_seed(0)
    images = torch.arange(6.0)[:, None, None, None].expand(6, 3, 2, 2).contiguous()
    boxes = torch.arange(6.0)[:, None].expand(6, 4).contiguous()
    parts: list[Tensor] = []

    def encode(part: Tensor, levels: Sequence[Tensor]) -> Tensor:
        parts.append(part[:, 0, 0, 0])
        assert torch.equal(levels[0][:, 0], part[:, 0, 0, 0])
        return torch.stack(list(levels))

    keys = encode_shuffled(encode, images, boxes, levels=2, groups=groups)
    assert torch.equal(keys, torch.stack([boxes, boxes]))
    assert [len(part) for part in parts] == [6 // groups] * groups
    assert sorted(torch.cat(parts).tolist()) == list(range(6))
    assert torch.cat(parts).tolist() != list(range(6)), "permuted"


def test_groups_are_encoded_apart_with_their_boxes() -> None:
    """What a group gives is what the network gives for that group alone, level by level."""
    images = torch.arange(6.0)[:, None, None, None].expand(6, 3, 2, 2).contiguous()
    boxes = [torch.arange(6.0)[:, None].expand(6, 4) + 10 * level for level in range(2)]

    def encode(part: Tensor, levels: Sequence[Tensor]) -> Tensor:
        centred = part[:, 0, 0, 0] - part[:, 0, 0, 0].mean()
        return torch.stack([box[:, 0] * 100 + centred for box in levels])[..., None]

    together = encode_in_groups(encode, images, boxes, groups=3)
    apart = [encode(images[i : i + 2], [box[i : i + 2] for box in boxes]) for i in (0, 2, 4)]
    assert torch.equal(together, torch.cat(apart, dim=1))
    assert not torch.equal(together, encode_in_groups(encode, images, boxes, groups=1))
