from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix
from torch import Tensor, nn
from torch.nn import functional

from nas.config.training import Recipe
from nas.jobs import Job, Outcome
from nas.training.averaging import WeightAverage, warmed_decay
from nas.training.losses import balanced_weights, training_loss
from nas.training.module import Classifier, Horizon
from nas.training.scores import NotFiniteError, accuracies

HORIZON = Horizon(first_epoch=2, steps_per_epoch=4, epochs=10)


def test_a_horizon_counts_steps() -> None:
    assert (HORIZON.first_step, HORIZON.total_steps) == (8, 40)


def test_label_smoothing_spreads_a_share_over_all_classes() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    log_p = torch.log_softmax(logits, dim=1)[0]
    expected = -(0.7 * log_p[0] + 0.3 / 3 * log_p.sum())
    torch.testing.assert_close(training_loss(logits, torch.tensor([0]), 0.3), expected)


def test_auxiliary_heads_add_their_weighted_loss() -> None:
    torch.manual_seed(0)
    labels = torch.tensor([0, 2])
    logits, first, second = torch.randn(3, 2, 3)
    expected = (
        functional.cross_entropy(logits, labels)
        + 0.3 * functional.cross_entropy(first, labels)
        + 0.5 * functional.cross_entropy(second, labels)
    )
    torch.testing.assert_close(training_loss((logits, [(first, 0.3), (second, 0.5)]), labels, 0.0), expected)
    assert torch.equal(training_loss((logits, []), labels, 0.0), functional.cross_entropy(logits, labels))


def test_accuracies_are_scikit_learns_and_skip_absent_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    true = torch.randint(4, (50,), generator=generator)
    predicted = torch.where(torch.rand(50, generator=generator) < 0.5, true, torch.randint(5, (50,)))
    counts = torch.tensor(confusion_matrix(true, predicted, labels=range(6)))
    accuracy, balanced = accuracies(counts)
    assert accuracy == pytest.approx(accuracy_score(true, predicted))
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert balanced == pytest.approx(balanced_accuracy_score(true, predicted))


def test_the_average_is_the_one_computed_by_hand() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = WeightAverage(network, decay=0.9, updates=0)
    weights, means = [], []
    for step in range(4):
        with torch.no_grad():
            network[0].weight.fill_(float(step))
            network[1].running_mean.fill_(10.0 * step)
        average.update()
        weights.append(float(step))
        means.append(10.0 * step)
    for tensor, values in ((average.module[0].weight, weights), (average.module[1].running_mean, means)):
        expected = values[0]
        for value, decay in zip(values[1:], (2 / 11, 3 / 12, 4 / 13), strict=True):
            expected = decay * expected + (1 - decay) * value
        torch.testing.assert_close(tensor, torch.full_like(tensor, expected))
    assert not any(parameter.requires_grad for parameter in average.parameters())


@pytest.mark.parametrize(("updates", "decay"), [(3, 4 / 13), (8, 0.5), (100, 0.5)])
def test_an_average_taken_up_again_goes_on_averaging(updates: int, decay: float) -> None:
    network = nn.Linear(1, 1, bias=False)
    average = WeightAverage(network, decay=0.5, updates=updates)
    with torch.no_grad():
        average.module.weight.fill_(1.0)
        network.weight.fill_(3.0)
    average.update()
    assert average.module.weight.item() == pytest.approx(decay + 3 * (1 - decay))


def test_an_average_of_few_steps_holds_little_of_the_initial_weights() -> None:
    weight, share = 1.0, 1.0  # of the first weights in the average, after the copy of the first update
    for updates in range(1, 144):
        share *= warmed_decay(0.995, updates)
    assert share < 1e-9 < weight * 0.995**143
    decays = [warmed_decay(0.995, updates) for updates in range(3000)]
    assert decays == sorted(decays)
    assert decays[1789] < 0.995 == decays[1790]


def test_validation_scores_the_average_where_there_is_one() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([1.0, 0.0]))

        def forward(self, images: Tensor) -> Tensor:
            return self.logits.expand(len(images), 2)

    classifier = Classifier(Constant(), 2, Recipe(ema_decay=0.5, label_smoothing=0.1), HORIZON)
    with torch.no_grad():
        classifier.network.logits.copy_(torch.tensor([0.0, 9.0]))
    classifier.on_validation_epoch_start()
    batches = [(torch.zeros(3, 1, 2, 2), torch.tensor([0, 0, 1])), (torch.zeros(1, 1, 2, 2), torch.tensor([0]))]
    classifier.validation_step(iter(batches), 0)
    (scores,) = classifier.scores()
    assert scores.val_accuracy == 0.75
    assert scores.val_balanced_accuracy == 0.5
    right, wrong = math.log(1 + math.exp(-1)), 1 + math.log(1 + math.exp(-1))
    assert scores.val_loss == pytest.approx((3 * right + wrong) / 4, rel=1e-6)


def test_a_job_in_the_middle_takes_the_schedule_up_in_the_middle() -> None:
    recipe = Recipe(epochs=10, learning_rate=0.4)
    classifier = Classifier(nn.Linear(2, 2), 2, recipe, HORIZON)
    optimizer = classifier.configure_optimizers()
    classifier.on_before_optimizer_step(optimizer)
    # step 8 of 40 with a peak at step 9
    share = 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * 8 / 9)) / 2
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.4 * share)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_scores_refuse_a_loss_that_is_no_number(loss: float) -> None:
    classifier = Classifier(nn.Linear(2, 2), 2, Recipe(), HORIZON)
    classifier.confusion.update(torch.eye(2)[:, None], torch.tensor([0, 1]))
    classifier._train_loss.fill_(loss)
    (scores,) = classifier.scores()
    with pytest.raises(NotFiniteError, match=f"the training loss must stay finite, got {loss}"):
        scores.check()


def test_a_clipped_gradient_moves_the_weights_less(
    make_job: Callable[..., Job], make_network: Callable[..., nn.Module], run_job: Callable[..., Outcome]
) -> None:
    def distance(clip: float | None) -> float:
        recipe = Recipe(
            epochs=1, batch_size=8, learning_rate=0.1, momentum=1e-9, weight_decay=0.0, warmup=0.0, gradient_clip=clip
        )
        network, start = make_network(1), make_network(1)
        run_job(make_job(folder=f"clip{clip}"), recipe, network)
        moved = [(a - b).flatten() for a, b in zip(network.parameters(), start.parameters(), strict=True)]
        return float(torch.cat(moved).detach().norm())

    # Four steps at the peak rate 0.1 or less, each at most the clipping norm long.
    assert 0 < distance(0.01) <= 4 * 0.1 * 0.01 * 1.001
    assert distance(None) > 10 * distance(0.01)


def test_balanced_weights_make_every_class_count_alike() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [2])
    weights = balanced_weights(labels, 4)
    assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 10 / 3, 0])
    assert float(weights[labels].mean()) == pytest.approx(1)
    totals = torch.zeros(4).index_add_(0, labels, weights[labels])
    assert totals[:3].tolist() == pytest.approx([10 / 3] * 3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weighted_losses_are_the_sum_by_hand_for_numbers_shares_and_packs(smoothing: float) -> None:
    torch.manual_seed(0)
    logits, labels, weights = torch.randn(5, 3), torch.tensor([0, 1, 1, 2, 0]), torch.tensor([0.5, 1.0, 3.0])
    targets = functional.one_hot(labels, 3) * (1 - smoothing) + smoothing / 3
    expected = -(targets * weights * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(training_loss(logits, labels, smoothing, weights), expected)
    shares = functional.one_hot(labels, 3).float()
    torch.testing.assert_close(training_loss(logits, shares, smoothing, weights), expected)
    pack = training_loss(torch.stack([logits, 2 * logits], 1), torch.stack([labels, labels], 1), smoothing, weights)
    torch.testing.assert_close(pack[0], expected)
    torch.testing.assert_close(pack[1], training_loss(2 * logits, labels, smoothing, weights))


def test_unit_weights_change_nothing() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 1, 2, 0])
    torch.testing.assert_close(training_loss(logits, labels, 0.1, torch.ones(3)), training_loss(logits, labels, 0.1))
