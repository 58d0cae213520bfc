"""The contrastive loss against a literal reading of its formula."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from aligndet.box_domain.contrast import BLOCK, _query_weights, box_contrast
from aligndet.box_domain.slots import NO_INSTANCE, Slots


def formula(online: Slots, momentum: Slots, temperature: float, missing_key: str = "skip") -> Tensor:
    """Eqs. 3 and 4, one pair at a time."""
    queries = F.normalize(online.embeddings, dim=1)
    keys = F.normalize(momentum.embeddings, dim=1).detach()
    per_id = []
    for one in sorted(set(online.ids.tolist()) - {NO_INSTANCE}):
        mine, theirs = queries[online.ids == one], keys[momentum.ids == one]
        if not len(theirs) and missing_key == "skip":
            continue
        theirs = theirs if len(theirs) else mine
        negatives = torch.cat([queries[online.ids != one].detach(), keys[momentum.ids != one]])
        rows = []
        for q in mine:
            for k in theirs:
                logits = torch.cat([(q @ k)[None], negatives @ q]) / temperature
                rows.append(-F.log_softmax(logits, 0)[0])
        per_id.append(torch.stack(rows).mean())
    return torch.stack(per_id).mean() if per_id else online.embeddings.sum() * 0


def random_slots(seed: int, n: int = 40, width: int = 16, ids: int = 8) -> Slots:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(n, width, generator=generator, requires_grad=True)
    return Slots(embeddings, torch.randint(-1, ids, (n,), generator=generator))


@pytest.mark.parametrize("missing_key", ["skip", "self"])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_formula_in_value_and_gradient(seed: int, missing_key: str) -> None:
    online, momentum = random_slots(seed, ids=9), random_slots(seed + 100, n=30, ids=5)
    want = formula(online, momentum, 0.2, missing_key)
    got = box_contrast(online, momentum, 0.2, "".join(missing_key))  # type: ignore[arg-type]
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)
    (grad_want,) = torch.autograd.grad(want, online.embeddings)
    (grad_got,) = torch.autograd.grad(got, online.embeddings)
    torch.testing.assert_close(grad_got, grad_want, rtol=1e-4, atol=1e-7)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    online, momentum = random_slots(0), random_slots(1)
    whole = box_contrast(online, momentum)
    (grad_whole,) = torch.autograd.grad(whole, online.embeddings)
    monkeypatch.setattr("aligndet.box_domain.contrast.BLOCK", 200)  # two queries per block
    blocked = box_contrast(online, momentum)
    (grad_blocked,) = torch.autograd.grad(blocked, online.embeddings)
    torch.testing.assert_close(blocked, whole)
    torch.testing.assert_close(grad_blocked, grad_whole)


def test_a_block_holds_as_many_similarities_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: 80 slots and room for 200 similarities leave two queries a block."""
    online, momentum = random_slots(0), random_slots(1)
    queries = int(torch.isin(online.ids, momentum.ids[momentum.ids >= 0]).sum())
    blocks: list[int] = []
    softplus = F.softplus

    def counted(margin: Tensor) -> Tensor:
        blocks.append(len(margin))
        return softplus(margin)

    monkeypatch.setattr("aligndet.box_domain.contrast.F.softplus", counted)
    monkeypatch.setattr("aligndet.box_domain.contrast.BLOCK", 200)
    box_contrast(online, momentum)
    assert len(blocks) == -(-queries // 2)
    monkeypatch.setattr("aligndet.box_domain.contrast.BLOCK", 10)  # less than a row: still a query a block
    blocks.clear()
    box_contrast(online, momentum)
    assert len(blocks) == queries


def test_the_gradient_is_scaled_by_what_follows() -> None:
    online, momentum = random_slots(0), random_slots(1)
    (once,) = torch.autograd.grad(box_contrast(online, momentum), online.embeddings)
    (thrice,) = torch.autograd.grad(3 * box_contrast(online, momentum), online.embeddings)
    torch.testing.assert_close(thrice, 3 * once)


def test_weights_of_pairs() -> None:
    """1 / (ids * queries of the id * keys of the id), and zero for all that is no query."""
    online, momentum = torch.tensor([4, 4, 7, 9, -1]), torch.tensor([4, 4, 4, 9, -1, -1])
    weights, self_keyed = _query_weights(online, momentum, "skip")
    assert weights.tolist() == pytest.approx([1 / 12, 1 / 12, 0, 1 / 2, 0])
    assert not self_keyed.any()
    weights, self_keyed = _query_weights(online, momentum, "self")
    assert weights.tolist() == pytest.approx([1 / 18, 1 / 18, 1 / 3, 1 / 3, 0])
    assert self_keyed.tolist() == [False, False, True, False, False]
    nothing, _ = _query_weights(online, torch.tensor([-1]), "skip")
    assert nothing.tolist() == [0] * 5


def test_one_instance_against_background_equals_the_formula() -> None:
    online, momentum = random_slots(0, ids=1), random_slots(1, ids=1)
    torch.testing.assert_close(box_contrast(online, momentum), formula(online, momentum, 0.5))


def test_pairs_that_agree_wholly_pull_no_more() -> None:
    """At a low temperature their share of the gradient is below what float32 holds."""
    ids = torch.tensor([0, 1])
    embeddings = torch.eye(2).requires_grad_()
    loss = box_contrast(Slots(embeddings, ids), Slots(torch.eye(2), ids), temperature=0.005)
    loss.backward()
    assert loss.item() == 0
    assert embeddings.grad is not None
    assert not embeddings.grad.any()


def test_negatives_count_beside_a_pair_that_agrees_wholly() -> None:
    """At a low temperature they are too far below it for float32, yet another pair feels them."""
    ids = torch.tensor([0, 1])
    online = Slots(torch.eye(3)[:2].requires_grad_(), ids)
    momentum = Slots(torch.tensor([[1, 0.05, 0], [0, 0.1, 1], [0, 1, 0]]), torch.tensor([0, 0, 1]))
    (want,) = torch.autograd.grad(formula(online, momentum, 0.005), online.embeddings)
    (got,) = torch.autograd.grad(box_contrast(online, momentum, 0.005), online.embeddings)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-6)
    (rows,) = torch.autograd.grad(box_contrast(online, momentum, 0.06), online.embeddings)
    (same,) = torch.autograd.grad(formula(online, momentum, 0.06), online.embeddings)
    torch.testing.assert_close(rows, same, rtol=1e-4, atol=1e-6)


def test_wide_embeddings_and_double_gradients() -> None:
    online, momentum = random_slots(0, width=300), random_slots(1, width=300)
    loss = box_contrast(online, momentum) ** 2
    (gradient,) = torch.autograd.grad(loss, online.embeddings, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_a_block_of_similarities_takes_some_megabytes() -> None:
    assert 1 << 20 <= BLOCK <= 1 << 22


def test_momentum_gets_no_gradient() -> None:
    online, momentum = random_slots(0), random_slots(1)
    box_contrast(online, momentum).backward()
    assert online.embeddings.grad is not None
    assert momentum.embeddings.grad is None


@pytest.mark.parametrize(
    ("ids", "keys"),
    [([-1, -1], [0, 1]), ([0, 1], [-1, -1]), ([0, 1], [2, 3]), ([], [0]), ([], [])],
    ids=["no query", "no key", "no common id", "no slot", "no slot in either"],
)
def test_no_positive_gives_zero_with_a_graph(ids: list[int], keys: list[int]) -> None:
    embeddings = torch.randn(len(ids), 4, requires_grad=True)
    online = Slots(embeddings, torch.tensor(ids, dtype=torch.long))
    loss = box_contrast(online, Slots(torch.randn(len(keys), 4), torch.tensor(keys)))
    assert loss.item() == 0
    loss.backward()
    assert embeddings.grad is not None
    assert not embeddings.grad.any()


def test_an_id_missing_in_the_other_view_contributes_nothing() -> None:
    online, momentum = random_slots(0, ids=4), random_slots(1, ids=4)
    momentum.ids[momentum.ids == 2] = NO_INSTANCE
    without = box_contrast(online, momentum)
    assert without.item() == pytest.approx(formula(online, momentum, 0.5).item(), rel=1e-5)
    assert without.item() != pytest.approx(box_contrast(online, momentum, missing_key="self").item())


def test_alone_in_the_batch_there_is_nothing_to_push_from() -> None:
    one = torch.zeros(3, dtype=torch.long)
    embeddings = torch.randn(3, 8, requires_grad=True)
    loss = box_contrast(Slots(embeddings, one), Slots(torch.randn(3, 8), one))
    loss.backward()
    assert loss.item() == 0
    assert embeddings.grad is not None
    assert torch.isfinite(embeddings.grad).all()


def test_half_precision_is_computed_in_float32() -> None:
    online, momentum = random_slots(0), random_slots(1)
    exact = box_contrast(online, momentum)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = box_contrast(online, momentum)
    assert loss.dtype == torch.float32
    assert loss.item() == exact.item()


def test_agreement_lowers_the_loss() -> None:
    ids = torch.arange(6)
    embeddings = torch.randn(6, 32)
    agreed = box_contrast(Slots(embeddings, ids), Slots(embeddings, ids))
    shuffled = box_contrast(Slots(embeddings, ids), Slots(embeddings, ids.roll(1)))
    assert agreed < shuffled


def test_descent_makes_two_views_find_each_other() -> None:
    """Free embeddings of 16 instances: at the end each is nearest to its own in the other view."""
    torch.manual_seed(0)
    ids = torch.arange(16).repeat(3)
    online = torch.randn(48, 8, requires_grad=True)
    momentum = torch.randn(48, 8)
    optimiser = torch.optim.SGD([online], lr=20.0)
    for _ in range(200):
        optimiser.zero_grad()
        box_contrast(Slots(online, ids), Slots(momentum, ids), 0.1).backward()
        optimiser.step()
        momentum.lerp_(F.normalize(online.detach(), dim=1), 0.1)
    similar = F.normalize(online, dim=1) @ F.normalize(momentum, dim=1).t()
    assert (ids[similar.argmax(1)] == ids).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: box_contrast(a, b, temperature=0), "temperature"),
        (lambda a, b: box_contrast(a, b, missing_key="drop"), "missing_key"),  # type: ignore[arg-type]
        (lambda a, b: box_contrast(a, b, temperature=-0.5), "temperature"),
        (
            lambda a, b: box_contrast(a, Slots(torch.randn(2, 3), torch.arange(2))),
            "width 16, momentum embeddings 3",
        ),
        (lambda a, b: box_contrast(a, Slots(torch.randn(2, 99), torch.arange(2))), "width"),
        (lambda a, b: Slots(torch.randn(2, 3), torch.arange(3)), "embeddings"),
    ],
)
def test_bad_input_is_named(call, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call(random_slots(0), random_slots(1))
