"""The box-contrastive loss makes slots of one instance agree across two views.

Source: AlignDet (arXiv 2307.11077), eqs. 3 and 4, in the form that its published code computes. For an
instance with queries Q (its slots in the online view) and keys K (its slots in the momentum view), and
negatives N (every slot of another id, background included, in both views)::

    loss = mean over instances   mean over q in Q, k in K   -log  e^(q.k/t) / (e^(q.k/t) + sum_N e^(q.n/t))

A pair's row is ``softplus(log sum_N e^(q.n/t) - q.k/t)``: the sum over negatives depends on q alone. So a
block of queries needs one product with all slots, and memory stays linear in the number of slots.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from aligndet.box_domain.slots import NO_INSTANCE, Slots
from aligndet.common.errors import InputError

#: Elements of one block of similarities: 2 M floats stay near the cache of a CPU and fill a GPU.
BLOCK = 1 << 21

#: Below this temperature, a pair may be so much nearer than all negatives that float32 would lose these.
LOW_TEMPERATURE = 0.05
LEAST = torch.finfo(torch.float32).min


def box_contrast(
    online: Slots,
    momentum: Slots,
    temperature: float = 0.5,
    missing_key: Literal["skip", "self"] = "skip",
) -> Tensor:
    """Contrast the slots of two views.

    Args:
        online: queries and negatives. The gradient flows into its embeddings as queries only.
        momentum: keys and negatives, without gradient.
        temperature: divides the cosine similarities.
        missing_key: what an id without a slot in the momentum view does. ``skip``: it contributes
            nothing. ``self``: its own queries serve as its keys, with gradient (the published rule).

    Returns:
        Scalar, float32 also under autocast. Zero with a graph where no id has both query and key.

    Raises:
        InputError: ``temperature`` is not positive, or ``missing_key`` is another word.
        ValueError: the two views' embeddings differ in width.

    Example:
        >>> online = Slots(torch.randn(6, 256, requires_grad=True), torch.tensor([0, 0, 1, 2, -1, -1]))
        >>> momentum = Slots(torch.randn(5, 256), torch.tensor([0, 1, 1, 2, -1]))
        >>> loss = box_contrast(online, momentum)
        >>> loss.backward()
    """
    if online.embeddings.shape[1] != momentum.embeddings.shape[1]:
        raise ValueError(
            f"box_contrast: online embeddings have width {online.embeddings.shape[1]}, "
            f"momentum embeddings {momentum.embeddings.shape[1]}; both come from one projector layout"
        )
    if temperature <= 0:
        raise InputError(f"box_contrast: temperature must be positive, got {temperature}")
    with torch.autocast(online.embeddings.device.type, enabled=False):
        queries = F.normalize(online.embeddings.float(), dim=1)
        keys = F.normalize(momentum.embeddings.detach().float(), dim=1)
        weights, self_keyed = _query_weights(online.ids, momentum.ids, missing_key)
        return _Contrast.apply(queries, online.ids, keys, momentum.ids, weights, self_keyed, temperature)


def _query_weights(online_ids: Tensor, momentum_ids: Tensor, missing_key: str) -> tuple[Tensor, Tensor]:
    """Give each query the weight of its pairs, and say which queries key themselves.

    Returns:
        ``weights (q,)``: 1 / (number of ids * queries of the id * keys of the id), zero for slots that
        are no query; ``self_keyed (q,)`` bool.
    """
    if missing_key not in ("skip", "self"):
        raise InputError(f"box_contrast: missing_key must be 'skip' or 'self', got {missing_key!r}")
    all_ids = torch.cat([online_ids, momentum_ids])
    unique, inverse = all_ids.unique(return_inverse=True)  # (u,), (q + k,)
    q_of, k_of = inverse.split([len(online_ids), len(momentum_ids)])  # (q,), (k,)
    n_queries = torch.bincount(q_of, minlength=len(unique))[q_of]  # (u,) -> (q,)
    n_keys = torch.bincount(k_of, minlength=len(unique))[q_of]  # (u,) -> (q,)
    foreground = online_ids != NO_INSTANCE
    without_key = foreground & (n_keys == 0)
    if missing_key == "self":
        self_keyed, is_query = without_key, foreground
        n_keys = torch.where(without_key, n_queries, n_keys)
    else:
        self_keyed, is_query = torch.zeros_like(without_key), foreground & ~without_key
    per_query = is_query.float() / n_queries
    n_ids = per_query.sum().clamp(min=1)
    return per_query / (n_keys.clamp(min=1) * n_ids), self_keyed


class _Contrast(Function):
    """Compare blocks of queries with all slots, making the gradient with the value so nothing big is kept.

    In the shapes below, q queries and k keys have width d, s = q + k, b queries stand in a block and p pairs
    are in it. Source: the row of a pair and its derivative, from eq. 4 as this module's first lines write it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        query_ids: Tensor,
        keys: Tensor,
        key_ids: Tensor,
        weights: Tensor,
        self_keyed: Tensor,
        temperature: float,
    ) -> Tensor:
        slots, slot_ids = torch.cat([queries, keys]), torch.cat([query_ids, key_ids])  # (s, d), (s,)
        is_key = torch.zeros(len(slots), dtype=torch.bool, device=slots.device)  # (s,)
        is_key[len(queries) :] = True
        any_self = bool(self_keyed.any())
        gradient = torch.zeros_like(queries)
        value = queries.new_zeros(())
        rows = weights.nonzero().flatten()
        for block in rows.split(max(1, BLOCK // len(slots))) if len(rows) else ():
            similar = (queries[block] / temperature) @ slots.t()  # (b, d) @ (d, s) -> (b, s)
            same = query_ids[block, None] == slot_ids  # (b, s)
            # keys are momentum slots; those of a self-keyed query are online slots
            pair = same & (is_key ^ self_keyed[block, None] if any_self else is_key)
            row, col = pair.nonzero(as_tuple=True)  # (b, s) -> (p,) each
            of_pair = similar[row, col]  # (p,)
            candidates = similar.masked_fill(same, LEAST) if temperature < LOW_TEMPERATURE else similar
            top = candidates.amax(1, keepdim=True)  # (b, 1)
            negative = similar.sub_(top).exp_().masked_fill_(same, 0)  # (b, s)
            total = negative.sum(1)  # (b,)
            margin = (top[:, 0] + total.log())[row] - of_pair  # (b,) -> (p,)
            weight = weights[block][row]  # (p,)
            value += (weight * F.softplus(margin)).sum()
            pull = weight * margin.sigmoid()  # -d loss / d similarity of the pair
            push = torch.zeros_like(total).index_add_(0, row, pull)  # (p,) -> (b,)
            # d loss / d similarity: negative * push / total, less pull at pairs; the row's factor comes last
            factor = torch.where(push > 0, push / total, 0)  # (b,)
            force = negative.index_put_((row, col), torch.where(pull > 0, -pull / factor[row], 0))  # (b, s)
            from_slots = (force @ slots).mul_(factor[:, None] / temperature)  # (b, s) @ (s, d) -> (b, d)
            gradient.index_add_(0, block, from_slots)  # (b, d) into (q, d)
            if any_self:
                by_query = torch.where(pair & self_keyed[block, None], force, 0)[:, : len(queries)]  # (b, q)
                to_keys = (by_query * factor[:, None]).t()  # (q, b)
                gradient.addmm_(to_keys, queries[block], alpha=1 / temperature)  # (q, b) @ (b, d) -> (q, d)
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad, None, None, None, None, None, None
