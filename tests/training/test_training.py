"""Training: resuming is exact, failure has a name, settings refuse nonsense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ctvae.data import (
    ImageSet,
    StepBy,
    Transitions,
    mini_sprites,
    split_groups,
    transition_pairs,
)
from ctvae.data.files import read_lpc_sprites
from ctvae.data.worlds import colour_world
from ctvae.errors import DataError, FormatError, RegimeError, ShapeError, UnknownActionError
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.models.readers import CodeReader, SlotReader
from ctvae.models.warm_up import ActionMoves, FreeMoves, match_inverse_actions
from ctvae.nn import SlotDecoder
from ctvae.randomness import scoped_seed
from ctvae.regimes import Regime
from ctvae.training import (
    DecoderStage,
    ReadingStage,
    TrainingConfig,
    TrainingStatus,
    WarmUpStage,
    fit,
)
from ctvae.training.checks import check_training
from ctvae.training.loop import rate
from ctvae.training.reading import ReadingObjective
from ctvae.training.stages import DecoderObjective, WarmUpObjective

LINKED = TrainingConfig(
    device="cpu",
    reading=ReadingStage(steps=12),
    decoder=DecoderStage(steps=8),
    checkpoint_every=5,
)
WARM = TrainingConfig(
    device="cpu",
    reading=None,
    warm_up=WarmUpStage(steps=12, matching_steps=6),
    decoder=DecoderStage(steps=8),
    checkpoint_every=5,
)


@pytest.fixture(scope="module")
def pairs() -> Transitions:
    """A small grid of its own, so that the pairs imply all codes."""
    images = mini_sprites()
    small = (images.factors < torch.tensor([3, 2, 2, 5, 5])).all(1)
    return transition_pairs(images, StepBy(), rows=small.nonzero()[:, 0])


def _model(pairs: Transitions, *, spare: int = 0, seed: int = 0) -> CTVAE:
    return CTVAE(CTVAEConfig(actions=pairs.actions, spare=spare), seed=seed)


def _weights(model: CTVAE) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{name}": tensor
        for part, module in model.autoencoder.modules().items()
        for name, tensor in module.state_dict().items()
    }


class _Stop(Exception):  # noqa: N818  # stands for a killed process
    pass


@pytest.mark.parametrize(
    ("config", "stage", "step"),
    [(WARM, "warm_up", 10), (WARM, "decoder", 5), (LINKED, "reading", 10), (LINKED, "decoder", 5)],
)
@pytest.mark.parametrize("spare", [0, 2])
def test_an_interrupted_training_resumes_to_the_same_weights(
    pairs: Transitions,
    tmp_path: Path,
    config: TrainingConfig,
    stage: str,
    step: int,
    spare: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    straight = _model(pairs, spare=spare)
    fit(straight, pairs, config)
    saved = 0

    from ctvae.training.resume import Checkpoint

    original = Checkpoint.save

    def save_then_die(self: Checkpoint, name: str, snapshot: object) -> None:
        nonlocal saved
        original(self, name, snapshot)  # type: ignore[arg-type]  # passed through
        if name == stage and snapshot.step == step:  # type: ignore[attr-defined]
            saved += 1
            raise _Stop

    monkeypatch.setattr(Checkpoint, "save", save_then_die)
    with pytest.raises(_Stop):
        fit(_model(pairs, spare=spare), pairs, config, checkpoint=tmp_path / "run")
    monkeypatch.undo()
    assert saved == 1
    resumed = _model(pairs, spare=spare)
    history = fit(resumed, pairs, config, checkpoint=tmp_path / "run")
    expected, found = _weights(straight), _weights(resumed)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    first = "reading" if config is LINKED else "warm_up"
    assert history.records[first][-1]["step"] == 11


@pytest.mark.parametrize("config", [WARM, LINKED], ids=["warm-up", "linked"])
def test_equal_seeds_give_equal_models_and_others_do_not(
    pairs: Transitions, config: TrainingConfig
) -> None:
    models = []
    for seed in (0, 0, 1):
        models.append(_model(pairs))
        fit(models[-1], pairs, config.model_copy(update={"seed": seed}))
    first, second, third = (_weights(model) for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["reader.encoder.out.weight"], third["reader.encoder.out.weight"])


def test_every_parameter_gets_a_gradient(pairs: Transitions) -> None:
    model = _model(pairs, spare=2)
    before, action = pairs.images[pairs.before[::5]], pairs.action[::5]
    after = pairs.images[pairs.after[::5]]
    moves = ActionMoves(model.actions, 5)
    with scoped_seed(0):
        readers = SlotReader(1, 32, 5), CodeReader(1, 32, [3, 4, 4, 8, 8])
    warm_up = WarmUpObjective(readers[0], moves, WARM.warm_up)
    warm_up(before, action, after).total.backward()
    with scoped_seed(0):
        decoder = SlotDecoder([3, 4, 4, 8, 8], 1, 32, spare=2)
    codes = torch.randint(3, (len(after), 5), generator=torch.Generator().manual_seed(0))
    drawing = DecoderObjective(decoder, model.autoencoder.spare_reader)
    drawing(after, codes, before).total.backward()
    reading = ReadingObjective(readers[1], ReadingStage())
    reading(after, codes.where(codes > 0, -1)).total.backward()
    for objective in (warm_up, reading, drawing):
        for name, parameter in objective.named_parameters():
            assert parameter.grad is not None, name
            # A bias before a batch normalisation has no effect: its gradient is rounding.
            if name.endswith("weight") or name.startswith(("moves", "decoder")):
                assert float(parameter.grad.abs().sum()) > 0, name


def test_progress_is_reported(pairs: Transitions) -> None:
    seen: list[tuple[str, int, int]] = []

    def note(stage: str, step: int, steps: int, metrics: dict[str, float]) -> None:
        assert "loss" in metrics
        seen.append((stage, step, steps))

    fit(_model(pairs), pairs, WARM, progress=note)
    assert seen == [("warm_up", 12, 12), ("decoder", 8, 8)]


def test_the_device_of_the_suite_trains(pairs: Transitions, device: torch.device) -> None:
    model = _model(pairs)
    fit(model, pairs, WARM.model_copy(update={"device": str(device)}))
    assert model.device.type == device.type
    assert model.encode(pairs.images[:3].to(device)).device.type == device.type


def test_the_continuous_posterior_is_bayes_rule() -> None:
    from ctvae.mechanisms import SetAction, ShiftAction

    actions = (ShiftAction("+", 0, 1), ShiftAction("-", 0, -1), SetAction("=", 1, 0))
    moves = ActionMoves(actions, 2)
    with torch.no_grad():
        moves.offset.copy_(torch.tensor([0.5, -0.4, 0.3]))
    before, after = torch.tensor([[0.1, 0.2]]), torch.tensor([[0.7, 0.25]])
    scale = 0.08 + torch.tensor(-1.0).exp()
    normal = torch.distributions.Normal(0.0, scale)
    copy = [normal.log_prob(after[0, m] - before[0, m]) for m in range(2)]
    expected = torch.stack([
        normal.log_prob(after[0, 0] - before[0, 0] - 0.5) + copy[1],
        normal.log_prob(after[0, 0] - before[0, 0] + 0.4) + copy[1],
        copy[0] + normal.log_prob(after[0, 1] - 0.3),
    ])
    found = moves.scores(before, after)[0]
    assert torch.allclose(found.log_softmax(0), expected.log_softmax(0), atol=1e-5)


def test_displacement_rewards_slots_that_move() -> None:
    from ctvae.mechanisms import ShiftAction

    moves = ActionMoves((ShiftAction("+", 0, 1), ShiftAction("-", 0, -1)), 1)
    action = torch.tensor([0, 1])
    losses = []
    for size in (0.2, 0.8):
        before, after = torch.zeros(2, 1), torch.tensor([[size], [-size]])
        plain = moves(before, action, after, likelihood_weight=0.0, displacement_weight=0.0)
        pushed = moves(before, action, after, likelihood_weight=0.0, displacement_weight=1.0)
        losses.append(float((pushed.total - plain.total).detach()))
    assert losses[1] - losses[0] == pytest.approx(float(torch.tensor(0.2 / 0.8).log()), abs=1e-5)


def test_inverse_actions_are_matched_even_beside_similar_ones() -> None:
    directions = torch.tensor([[1.0, 0.1], [0.9, 0.3], [-1.0, -0.12], [-0.9, -0.31]])
    found = match_inverse_actions(directions)
    assert found.slot == (0, 1, 0, 1)
    assert found.direction == (1, 1, -1, -1)


def test_free_moves_start_where_they_are_told() -> None:
    start = torch.ones(4, 3)
    assert torch.equal(FreeMoves(4, 3, start).offset.detach(), 0.3 * start)


def test_the_rate_rises_and_falls() -> None:
    rates = [rate(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 40)
    assert max(rates) > 0.99
    assert rates[-1] == pytest.approx(0.01, abs=1e-4)


HEALTHY: dict[str, float] = {
    "cross_entropy": 0.001,
    "continuous_accuracy": 1.0,
    "discrete_accuracy": 0.995,
}
ALARMS = {
    "healthy": ({}, [9.0, 4.0], []),
    "actions": ({"cross_entropy": 0.4}, [9.0, 4.0], ["ACTIONS_NOT_EXPLAINED"]),
    "NaN": ({"cross_entropy": float("nan")}, [9.0, 4.0], ["ACTIONS_NOT_EXPLAINED"]),
    "one code": ({}, [float("inf"), 4.0], ["SLOT_WITHOUT_CODES"]),
    "a slot that wanders": ({}, [9.0, 4.0], ["SLOTS_NOT_HELD"]),
    "no modes": ({}, [], []),
    "modes": ({}, [9.0, 1.4], ["MODES_NOT_SEPARATED"]),
    "codes": ({"discrete_accuracy": 0.9}, [9.0, 4.0], ["CODES_LOSE_ACTIONS"]),
    "all": (
        {"cross_entropy": 1.0, "discrete_accuracy": 0.5},
        [0.3, 1.0],
        ["ACTIONS_NOT_EXPLAINED", "MODES_NOT_SEPARATED", "CODES_LOSE_ACTIONS"],
    ),
}


@pytest.mark.parametrize("case", ALARMS, ids=str)
def test_alarms_name_what_is_wrong_and_what_to_do(case: str) -> None:
    changes, separation, expected = ALARMS[case]
    cardinalities = [1, 6] if case == "one code" else [6, 6]
    held = [0.8, 1.0] if case == "a slot that wanders" else [1.0, 1.0]
    figures = HEALTHY | changes
    found = check_training(
        cross_entropy=figures["cross_entropy"],
        continuous_accuracy=figures["continuous_accuracy"],
        discrete_accuracy=figures["discrete_accuracy"],
        separation=separation,
        held=held,
        cardinalities=cardinalities,
        slots=["hue", "x"],
    )
    assert [alarm.status.name for alarm in found] == expected
    assert all(alarm.status.value in str(alarm) for alarm in found)


def _foreign_checkpoint(pairs: Transitions, folder: Path) -> object:
    fit(_model(pairs), pairs, WARM, checkpoint=folder)
    return fit(_model(pairs), pairs, WARM.model_copy(update={"seed": 5}), checkpoint=folder)


BAD: dict[str, tuple[Callable[[Transitions, Path], object], type[Exception], str]] = {
    "actions of another model": (
        lambda d, p: fit(
            _model(d), Transitions(d.images, d.before, d.action, d.after, d.actions[::-1]), WARM
        ),
        UnknownActionError,
        "the pairs have actions",
    ),
    "NaN images": (
        lambda d, p: fit(
            _model(d),
            Transitions(d.images * float("nan"), d.before, d.action, d.after, d.actions),
            WARM,
        ),
        ShapeError,
        "NaN",
    ),
    "images of another size": (
        lambda d, p: fit(
            _model(d),
            Transitions(d.images[..., :16, :16], d.before, d.action, d.after, d.actions),
            WARM,
        ),
        ShapeError,
        "made for that size",
    ),
    "pairs that are no edits": (
        lambda d, p: fit(_model(d), replace(d, regime=Regime.COUNTERFACTUAL), WARM),
        RegimeError,
        "edit pairs",
    ),
    "a device of no kind": (
        lambda d, p: fit(_model(d), d, WARM.model_copy(update={"device": "gpu9"})),
        DataError,
        "gpu9",
    ),
    "a device that is not there": (
        lambda d, p: fit(_model(d), d, WARM.model_copy(update={"device": "cuda:97"})),
        DataError,
        "cuda",
    ),
    "a checkpoint of another run": (
        lambda d, p: _foreign_checkpoint(d, p / "run"),
        FormatError,
        "other settings",
    ),
    "no steps": (lambda d, p: WarmUpStage(steps=0), ValueError, "greater than or equal to 1"),
    "misspelt setting": (lambda d, p: TrainingConfig(sed=1), ValueError, "sed"),  # type: ignore[call-arg]
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_refused(case: str, pairs: Transitions, tmp_path: Path) -> None:
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        make(pairs, tmp_path)


def _pairs_with_a_hue_circle(images: ImageSet) -> Transitions:
    """All pairs by one step, and the hue's last value followed by its first."""
    rows = split_groups(images.units)[0]
    plain = transition_pairs(images, StepBy(), rows=rows)
    names = [action.name for action in plain.actions]
    hue = images.space.index("hue")
    train = torch.zeros(len(images), dtype=torch.bool)
    train[rows] = True
    others = images.factors.clone()
    others[:, hue] = 0
    last = ((images.factors[:, hue] == 5) & train).nonzero()[:, 0]
    first = ((images.factors[:, hue] == 0) & train).nonzero()[:, 0]
    place = {tuple(others[i].tolist()): int(i) for i in first}
    ends = [(int(i), place[t]) for i in last if (t := tuple(others[i].tolist())) in place]
    high, low = torch.tensor(ends).T
    up = torch.full_like(high, names.index("hue +1"))
    down = torch.full_like(low, names.index("hue -1"))
    return Transitions(
        images.images,
        torch.cat([plain.before, high, low]),
        torch.cat([plain.action, up, down]),
        torch.cat([plain.after, low, high]),
        plain.actions,
    )


@pytest.mark.slow
def test_the_alarms_fire_on_a_cyclic_factor_and_not_without_the_cycle() -> None:
    images = colour_world().edits(300, seed=0)
    config = TrainingConfig(
        device="cpu", reading=None, warm_up=WarmUpStage(steps=700), decoder=DecoderStage(steps=2)
    )
    straight = transition_pairs(images, StepBy(), rows=split_groups(images.units)[0])
    statuses = []
    for pairs in (straight, _pairs_with_a_hue_circle(images)):
        model = CTVAE(CTVAEConfig(actions=pairs.actions, channels=3), seed=0)
        statuses.append(fit(model, pairs, config).status)
    assert statuses[0] is TrainingStatus.DONE
    assert statuses[1] is not TrainingStatus.DONE


@pytest.mark.slow
def test_the_alarms_fire_where_a_nuisance_fills_a_slot(shared_data: Path) -> None:
    """Real images whose pose no action moves, trained without the displacement term."""
    images = read_lpc_sprites(shared_data / "lpc_sprites/lpc_sprites_train.npz", size=32)
    pairs = transition_pairs(images, StepBy(), rows=split_groups(images.units)[0])
    config = TrainingConfig(
        device="cpu",
        reading=None,
        warm_up=WarmUpStage(steps=600, displacement_weight=0.0),
        decoder=DecoderStage(steps=2),
    )
    model = CTVAE(CTVAEConfig(actions=pairs.actions, channels=3), seed=0)
    history = fit(model, pairs, config)
    assert history.continuous_accuracy > 0.9, "the continuous model alone looks well"
    names = {alarm.status for alarm in history.alarms}
    assert names & {TrainingStatus.MODES_NOT_SEPARATED, TrainingStatus.CODES_LOSE_ACTIONS}
