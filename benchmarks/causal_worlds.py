"""Eight factors that cause each other: slots from pairs in which effects spread, graph, worlds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from benchmarks import records
from ctvae.data import (
    CausalPairs,
    CausalWorld,
    SpriteScene,
    chain_graph,
    collider_graph,
    fork_graph,
    preference_scm,
    random_dag,
)
from ctvae.data.images import ImageSet
from ctvae.graph import CausalGraph, OrderMCMC, learn_graph
from ctvae.graph.distances import shd
from ctvae.mechanisms import SetAction
from ctvae.mechanisms.merging import Done
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.models.readers import CodeReader
from ctvae.nn import recompute_batch_norm
from ctvae.randomness import make_generator, scoped_seed
from ctvae.regimes import Regime, Samples
from ctvae.scm import SCM
from ctvae.slots import Slot, SlotKey, SlotSpace
from ctvae.training import DecoderStage, ReadingStage, TrainingConfig, fit

SCENE = SpriteScene()
NAMES = SCENE.space.names
SPACE = SlotSpace(Slot(slot.name, slot.cardinality) for slot in SCENE.space)
ACTIONS = tuple(
    SetAction(f"{slot.name} = {v}", k, v)
    for k, slot in enumerate(SCENE.space)
    for v in range(slot.cardinality)
)
STRENGTH, WEAK = 0.8, 0.2
"""Of every edge: the total variation that it moves."""
PAIRS, TESTED = 20_000, 2_000
SEEN, PER_TARGET = 5_000, 512
"""Images that discovery sees, none of which taught the slots."""
READING, DRAWING = ReadingStage(steps=1100), DecoderStage(steps=2500)
SEEDS = (0, 1, 2, 3, 4)
RANDOM_GRAPHS = 10


class Case(NamedTuple):
    """A world to learn.

    Attributes:
        name: The row of the table.
        graph: The true graph.
        strength: Of its edges.
        seed: Of laws, data and training.
        draws: Whether a decoder is trained, and worlds are judged by their pictures.
    """

    name: str
    graph: CausalGraph
    strength: float
    seed: int
    draws: bool


def cases(seeds: Sequence[int]) -> list[Case]:
    """Lists the worlds.

    Args:
        seeds: Of the named structures.

    Returns:
        Chain, fork and collider for each seed, ten random graphs, and a chain of weak edges.
    """
    found = []
    for seed in seeds:
        for name, make in (
            ("chain", chain_graph),
            ("fork", fork_graph),
            ("collider", collider_graph),
        ):
            found.append(Case(name, make(NAMES, seed=seed), STRENGTH, seed, draws=True))
    for seed in range(RANDOM_GRAPHS):
        graph = random_dag(NAMES, average_degree=2.5, seed=seed)
        found.append(Case("random", graph, STRENGTH, seed, draws=False))
    found += [
        Case("chain, weak edges", chain_graph(NAMES, seed=s), WEAK, s, draws=False) for s in seeds
    ]
    return found


def run(seeds: Sequence[int] | None = None) -> None:
    """Trains and judges every world.

    Args:
        seeds: Of the named structures; 0 to 4 where ``None``.
    """
    judge = supervised(40_000, 1_500, seed=1_000)
    rows: list[dict[str, object]] = []
    for case in cases(seeds or SEEDS):
        rows.append(measure(case, judge))
        records.show(rows[-1])
        records.write("causal_worlds", rows, summarise(rows), rivals=())


def measure(case: Case, judge: CodeReader) -> dict[str, object]:
    """Learns one world and measures what was learned.

    Args:
        case: The world.
        judge: Reads factors off pictures.

    Returns:
        The figures.
    """
    world = CausalWorld(
        preference_scm(case.graph, SCENE.space, strength=case.strength, seed=case.seed), SCENE
    )
    train, valid, test = (
        world.pairs(ACTIONS, count, seed=10 * case.seed + part)
        for part, count in enumerate((PAIRS, TESTED, TESTED))
    )
    config = CTVAEConfig(actions=ACTIONS, channels=3, image_size=64, slots=NAMES, spare=4)
    model = CTVAE(config, seed=case.seed)
    drawing = DRAWING if case.draws else DecoderStage(steps=1)
    settings = TrainingConfig(seed=case.seed, reading=READING, decoder=drawing)
    history = fit(model, train.transitions, settings, validation=valid.transitions)
    seen, done = (
        world.sample(SEEN, seed=500 + case.seed),
        world.sample_do(PER_TARGET, seed=600 + case.seed),
    )
    rows = samples(model.encode(torch.cat([seen.images, done.images])).cpu(), seen, done)
    method = OrderMCMC()
    found = learn_graph(rows, method=method, seed=case.seed)
    ceiling = learn_graph(
        samples(torch.cat([seen.factors, done.factors]), seen, done), method=method, seed=case.seed
    )
    labelled = supervised(len(train), READING.steps, seed=case.seed, images=train)
    read = samples(codes(labelled, torch.cat([seen.images, done.images])), seen, done)
    by_supervision = learn_graph(read, method=method, seed=case.seed)
    wrong = rows.codes != torch.cat([seen.factors, done.factors])
    crude = model.retrieve_action(*images(test))
    model = model.with_scm(SCM.fit(found.graph, rows))
    shown, shown_after = images(train)
    model = model.with_responses(shown, train.transitions.action, shown_after)
    posterior = model.retrieve_action(*images(test))
    action = test.transitions.action
    row: dict[str, object] = {
        "world": case.name,
        "seed": case.seed,
        "edges": case.graph.num_edges,
        "edge_strength": world.minimum_edge_strength,
        "status": history.status.name,
        "wrong_codes": float(wrong.double().mean(0).max()),
        "graph_shd": shd(found.graph, case.graph),
        "graph_shd_true_factors": shd(ceiling.graph, case.graph),
        "graph_shd_supervised": shd(by_supervision.graph, case.graph),
        "coupling": type(model.coupling).__name__,
        "action_accuracy": float(posterior.same_class(action).double().mean()),
        "action_accuracy_moved": float(posterior.same_class(action)[test.moved].double().mean()),
        "action_nll_moved": -float(posterior.log_prob(action)[test.moved].mean()),
        "action_accuracy_moved_without_responses": float(
            crude.same_class(action)[test.moved].double().mean()
        ),
        "cpu_seconds": history.cpu_seconds,
    }
    return row | (worlds(case, world, model, judge) if case.draws else {})


def worlds(case: Case, world: CausalWorld, model: CTVAE, judge: CodeReader) -> dict[str, object]:
    """Judges the pictures of interventional and counterfactual worlds.

    Args:
        case: The world's name and seed.
        world: The truth.
        model: What was learned.
        judge: Reads factors off pictures.

    Returns:
        The figures: shares of factors right, and total variation of each factor's law.
    """
    units = world.sample(500, seed=700 + case.seed)
    nuisances = world.nuisances(500, seed=700 + case.seed)
    drawn_right, as_true, ideal, apart, floor = [], [], [], [], []
    for k, slot in enumerate(SCENE.space):
        value = (case.seed + k) % slot.cardinality
        do: dict[SlotKey, Done] = {slot.name: value}
        made = model.do(do).generate(units.images, coupling=model.coupling, seed=k)
        truth = world.counterfactual_images(units.factors, nuisances, do, seed=800 + k)
        again = world.counterfactual_images(units.factors, nuisances, do, seed=900 + k)
        shown = codes(judge, made.images)
        drawn_right.append((shown == made.codes.cpu()).double().mean())
        as_true.append((shown == truth.factors).double().mean())
        ideal.append((again.factors == truth.factors).double().mean())
        there = world.do(do)
        many = codes(judge, model.do(do).sample(1_000, seed=k).images)
        first, second = (there.sample(1_000, seed=s).factors for s in (1_000 + k, 2_000 + k))
        apart.append(total_variation(many, first))
        floor.append(total_variation(second, first))
    return {
        "counterfactual_drawn_right": float(torch.stack(drawn_right).mean()),
        "counterfactual_as_the_truth": float(torch.stack(as_true).mean()),
        "counterfactual_truth_drawn_twice": float(torch.stack(ideal).mean()),
        "interventional_distance": float(torch.stack(apart).mean()),
        "interventional_floor": float(torch.stack(floor).mean()),
    }


def total_variation(one: Int[Tensor, "n slots"], other: Int[Tensor, "n slots"]) -> Tensor:
    """Measures how far the laws of single factors are apart, from draws of each.

    Args:
        one: Draws.
        other: Draws.

    Returns:
        The mean over factors.
    """
    parts = []
    for column, slot in enumerate(SCENE.space):
        shares = [
            torch.bincount(rows[:, column], minlength=slot.cardinality).double() / len(rows)
            for rows in (one, other)
        ]
        parts.append((shares[0] - shares[1]).abs().sum() / 2)
    return torch.stack(parts).mean()


def samples(codes: Int[Tensor, "rows slots"], seen: ImageSet, done: ImageSet) -> Samples:
    """Puts codes of both kinds of images together, with their targets.

    Args:
        codes: Codes of the observational images, then of the others.
        seen: The observational images.
        done: The interventional images.

    Returns:
        The rows.
    """
    nothing = torch.zeros(len(seen), len(NAMES), dtype=torch.bool)
    assert done.targets is not None
    targets = torch.cat([nothing, done.targets])
    return Samples(codes, SPACE, Regime.INTERVENTIONAL, targets)


def images(pairs: CausalPairs) -> tuple[Tensor, Tensor]:
    """The images before and after."""
    transitions = pairs.transitions
    return transitions.images[transitions.before], transitions.images[transitions.after]


def supervised(
    count: int, steps: int, *, seed: int, images: CausalPairs | None = None
) -> CodeReader:
    """Teaches a reader all factors of images.

    Args:
        count: How many images of uniform factors, where none are given.
        steps: Steps of 128 images.
        seed: For images and training.
        images: Pairs whose images after are labelled instead.

    Returns:
        The reader.
    """
    generator = make_generator(seed)
    if images is None:
        sizes = SCENE.space.cardinalities
        columns = [torch.randint(k, (count,), generator=generator) for k in sizes]
        factors = torch.stack(columns, 1)
        noise = torch.rand(count, SCENE.num_nuisances, generator=generator)
        pictures = SCENE.render(factors, noise)
    else:
        factors = images.after_factors
        pictures = images.transitions.images[images.transitions.after]
    with scoped_seed(seed):
        reader = CodeReader(3, 64, SCENE.space.cardinalities)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    reader.train()
    absent = torch.arange(max(SCENE.space.cardinalities)) >= torch.tensor(
        SCENE.space.cardinalities
    ).unsqueeze(1)
    for _ in range(steps):
        rows = torch.randint(len(factors), (128,), generator=generator)
        scores = reader(pictures[rows].float() / 255).masked_fill(absent, -torch.inf)
        loss = torch.nn.functional.cross_entropy(
            scores.flatten(0, 1), factors[rows].flatten(), reduction="sum"
        )
        optimizer.zero_grad()
        (loss / 128).backward()
        optimizer.step()
        schedule.step()
    recompute_batch_norm(reader, pictures)
    return reader


@torch.no_grad()
def codes(reader: CodeReader, pictures: Tensor) -> Int[Tensor, "n slots"]:
    """Reads factors.

    Args:
        reader: A supervised reader.
        pictures: Images, uint8 or floats.

    Returns:
        The most probable values.
    """
    unit = pictures.float() / 255 if pictures.dtype == torch.uint8 else pictures
    scores = torch.cat([reader(part) for part in unit.split(1_000)])
    sizes = torch.tensor(SCENE.space.cardinalities)
    absent = torch.arange(scores.shape[-1]) >= sizes[:, None]
    return scores.masked_fill(absent, -torch.inf).argmax(-1)


def summarise(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    """Gives mean and extent over the seeds of each kind of world.

    Args:
        rows: One for each run.

    Returns:
        World and figure to mean, lowest and highest.
    """
    summary: dict[str, object] = {}
    for name in dict.fromkeys(str(row["world"]) for row in rows):
        mine = [row for row in rows if row["world"] == name]
        for figure in mine[0]:
            values = [v for r in mine if isinstance(v := r.get(figure), int | float)]
            if values and figure != "seed":
                mean = sum(values) / len(values)
                extent = {"mean": mean, "lowest": min(values), "highest": max(values)}
                summary[f"{name}: {figure}"] = extent
    return summary
