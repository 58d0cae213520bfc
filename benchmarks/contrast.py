"""The contrastive loss against the published algorithm: seconds and memory, forward and backward.

    python benchmarks/contrast.py

The published form loops over instances and builds (keys, queries, 1 + negatives) logits for each; it is
written here in that form, and checked to give the same number. Both run in turn in one process;
memory is the peak of a process of its own, less what it holds before.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from memory import peak
from torch import Tensor
from torch.nn import functional as F

from aligndet.box_domain.contrast import box_contrast
from aligndet.box_domain.slots import NO_INSTANCE, Slots

Loss = Callable[..., Tensor]


def looped_contrast(online: Slots, momentum: Slots, temperature: float = 0.5) -> Tensor:
    """The published algorithm: per instance, every key beside a copy of all negatives, times all queries."""
    per_id = []
    for one in online.ids.unique().tolist():
        if one == NO_INSTANCE or not (momentum.ids == one).any():
            continue
        q = F.normalize(online.embeddings[online.ids == one], dim=1)
        k = F.normalize(momentum.embeddings[momentum.ids == one], dim=1)
        others = [online.embeddings[online.ids != one], momentum.embeddings[momentum.ids != one]]
        negatives = F.normalize(torch.cat(others).detach(), dim=1)
        rows = torch.cat([k[:, None], negatives.expand(len(k), -1, -1)], 1)  # (keys, 1 + negatives, width)
        logits = q.expand(len(k), -1, -1).bmm(rows.transpose(1, 2)) / temperature
        target = torch.zeros(len(k) * len(q), dtype=torch.long, device=q.device)
        per_id.append(F.cross_entropy(logits.flatten(0, 1), target))
    return torch.stack(per_id).mean()


def slots(n: int, ids: int, background: float, seed: int) -> Slots:
    """Make random embeddings of width 256, of ``ids`` instances and a share of background."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(n, 256, generator=generator, requires_grad=True)
    of = torch.randint(0, ids, (n,), generator=generator)
    of[torch.rand(n, generator=generator) < background] = NO_INSTANCE
    return Slots(embeddings, of)


def seconds(loss: Loss, online: Slots, momentum: Slots) -> float:
    start = time.perf_counter()
    loss(online, momentum).backward()
    return time.perf_counter() - start


def once(name: str, n: int, ids: int, background: float) -> Callable[[], float]:
    """One forward and backward pass, after a small one that loads what torch loads."""
    loss = LOSSES[name]
    seconds(loss, slots(64, 4, 0, 0), slots(64, 4, 0, 1))
    pair = slots(n, ids, background, 0), slots(n, ids, background, 1)
    return lambda: seconds(loss, *pair)


LOSSES = {"loop": looped_contrast, "ours": box_contrast}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {args.rounds} rounds, median")
    print("  slots   ids  background |  loop s    ours s   ratio | loop MB  ours MB | difference")
    for n, ids, background in ((512, 50, 0.5), (2048, 50, 0.5), (2048, 100, 0.0)):
        pair = slots(n, ids, background, 0), slots(n, ids, background, 1)
        gap = abs(looped_contrast(*pair).item() - box_contrast(*pair).item())
        box_contrast(*pair).backward()
        times = [(seconds(looped_contrast, *pair), seconds(box_contrast, *pair)) for _ in range(args.rounds)]
        loop, ours = (statistics.median(side) for side in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        memory = [peak(once, loss, n, ids, background) for loss in LOSSES]
        print(
            f"{n:7} {ids:5} {background:11.0%} | {loop:7.2f} {ours:9.3f} {ratio:6.0f}x |"
            f" {memory[0]:7.0f} {memory[1]:8.0f} | {gap:.1e}"
        )
    for n in (4096, 8192, 16384):
        pair = slots(n, 200, 0.0, 0), slots(n, 200, 0.0, 1)
        spent = seconds(box_contrast, *pair)
        most = peak(once, "ours", n, 200, 0)
        print(f"{n:7}   200          0% |       - {spent:9.3f}      - |       - {most:8.0f} |")


if __name__ == "__main__":
    main()
