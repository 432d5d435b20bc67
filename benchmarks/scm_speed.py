"""The SCM engine against its rivals: draws, exact answers and counterfactuals, one thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import opt_einsum
import torch
from torch import Tensor

import ctvae as ct
from benchmarks import records
from benchmarks.timing import cpu_seconds, side_by_side
from ctvae.randomness import scoped_seed

DRAWS, SLOTS, CODES, UNITS = 100_000, 20, 4, 200_000
CAUSE, EFFECT = "VENTLUNG", "BP"
Row = dict[str, object]


def run(seeds: Sequence[int] | None = None) -> None:
    """Times draws under do, exact queries on Alarm and counterfactuals.

    Args:
        seeds: The seed of the random models; 0 where ``None``.
    """
    logging.getLogger("pgmpy").setLevel(logging.ERROR)
    seed = (seeds or [0])[0]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [*_draws(seed), *_exact_answers(), *_counterfactuals(seed)]
        for row in rows:
            records.show(row)
        records.write("scm_speed", rows, {}, rivals=("pyro-ppl", "pgmpy", "opt-einsum"))
    finally:
        torch.set_num_threads(threads)


def random_scm(slots: int, codes: int, seed: int) -> ct.SCM:
    """A random DAG of up to three parents per slot, its tables drawn from a flat Dirichlet.

    Args:
        slots: How many slots.
        codes: How many codes each has.
        seed: Of graph and tables.

    Returns:
        The model, its slots ``x0, x1, ...`` in causal order.
    """
    generator = torch.Generator().manual_seed(seed)
    names = [f"x{k}" for k in range(slots)]
    edges = [
        (names[parent], names[k])
        for k in range(1, slots)
        for parent in torch.randperm(k, generator=generator)[:3].tolist()
    ]
    return ct.SCM.from_edges(
        edges, cardinality=dict.fromkeys(names, codes), concentration=1.0, seed=seed
    )


def _draws(seed: int) -> list[Row]:
    """Draws under do(x5 = 2): kernel, library, Pyro, pgmpy."""
    import pyro

    scm = random_scm(SLOTS, CODES, seed)
    world = scm.do({"x5": 2})
    done = pyro.do(scm.pyro_model(DRAWS), data={"x5": torch.tensor(2)})
    stock = scm.to_pgmpy()

    def by_pyro() -> object:
        with scoped_seed(0):
            return done()

    ours: dict[str, Callable[[], object]] = {
        "bare table thresholds": lambda: _kernel(world, DRAWS),
        "ctvae sample()": lambda: world.sample(DRAWS, seed=0),
    }
    seconds = side_by_side(ours, 21) | {
        "pyro.do in a plate": cpu_seconds(by_pyro, 3),
        "pgmpy simulate()": cpu_seconds(
            lambda: stock.simulate(DRAWS, do={"x5": 2}, show_progress=False, seed=0), 1
        ),
    }
    what = f"{DRAWS:,} draws under do, {SLOTS} slots x {CODES} codes"
    return _rows(what, seconds, "bare table thresholds", rate=("draws per second", DRAWS))


def _kernel(world: ct.SCM, count: int) -> Tensor:
    """The least that a draw costs: random numbers, table thresholds, ``(count, slots)`` int64."""
    program = world.program
    noise = torch.rand(len(program.slots), count, generator=torch.Generator().manual_seed(0))
    codes: dict[int, Tensor] = {}
    for column in program.order:
        if column in program.forced:
            codes[column] = program.forced[column].to(torch.int32).expand(count)
            continue
        row: Tensor | None = None
        for parent in program.parents[column]:
            row = codes[parent] if row is None else row * CODES + codes[parent]
        codes[column] = torch.zeros(count, dtype=torch.int32)
        for cut in program.laws[column].cuts:
            codes[column] += noise[column] >= (cut[0] if row is None else cut.index_select(0, row))
    return torch.stack([codes[column] for column in range(len(program.slots))], -1).long()


def _exact_answers() -> list[Row]:
    """P(BP | do(VENTLUNG)) on Alarm, all values of VENTLUNG at once."""
    from pgmpy.inference import VariableElimination

    path = records.SHARED / "bnlearn" / "bif" / "alarm.bif.gz"
    what = f"exact P({EFFECT} | do({CAUSE})) on Alarm, all values"
    if not path.is_file():
        return [{"what": what, "method": "not run: the data pack is absent"}]
    scm = ct.SCM.from_bif(path)
    codes = range(scm.slots[CAUSE].cardinality)
    operands, expression = _bare_expression(scm)
    solver = VariableElimination(scm.do({CAUSE: 0}).to_pgmpy())
    names = scm.slots[CAUSE].states

    def by_pgmpy() -> list[Tensor]:
        answers = []
        for name in names:
            asked = solver.query([EFFECT], evidence={CAUSE: name}, show_progress=False)
            states = [asked.get_state_no(EFFECT, state) for state in scm.slots[EFFECT].states]
            answers.append(torch.as_tensor(asked.values)[states])
        return answers

    ours: dict[str, Callable[[], object]] = {
        "cached opt_einsum expression": lambda: expression(*operands),
        "ctvae effect()": lambda: scm.effect(EFFECT, of=CAUSE),
    }
    seconds = side_by_side(ours, 300) | {
        "pgmpy VariableElimination, cut graph": cpu_seconds(by_pgmpy, 5),
        "Pyro enumeration, ancestors alone": cpu_seconds(
            lambda: [_by_pyro(scm, code) for code in codes], 3
        ),
    }
    rows = _rows(what, seconds, "cached opt_einsum expression")
    answer = scm.effect(EFFECT, of=CAUSE)
    others = (
        expression(*operands),
        answer,
        torch.stack(by_pgmpy()),
        torch.stack([_by_pyro(scm, code) for code in codes]),
    )
    return [
        {**row, "largest difference": float((other - answer).abs().max())}
        for row, other in zip(rows, others, strict=True)
    ]


def _bare_expression(scm: ct.SCM) -> tuple[list[Tensor], Callable[..., Tensor]]:
    """The product of the ancestors' tables, its order searched beforehand, its operands at hand."""
    natural, cut = scm.program, scm.do({CAUSE: 0}).program
    cause, effect = scm.slots.index(CAUSE), scm.slots.index(EFFECT)
    members = sorted(cut.ancestors({effect}) - {cause})
    operands = [natural.laws[column].table for column in members]
    terms = [
        "".join(map(opt_einsum.get_symbol, (*natural.parents[column], column)))
        for column in members
    ]
    output = opt_einsum.get_symbol(cause) + opt_einsum.get_symbol(effect)
    expression: Callable[..., Tensor] = opt_einsum.contract_expression(
        f"{','.join(terms)}->{output}", *(tuple(table.shape) for table in operands)
    )
    return operands, expression


def _by_pyro(scm: ct.SCM, code: int) -> Tensor:
    """Pyro's exact marginal, of a program that has the ancestors of the answer alone."""
    import pyro
    from pyro.distributions import Categorical
    from pyro.infer import TraceEnum_ELBO
    from pyro.ops.indexing import Vindex

    program = scm.do({CAUSE: code}).program
    members = program.ancestors({scm.slots.index(EFFECT)})

    def model() -> None:
        codes = dict(program.forced)
        for column in program.order:
            if column in members and column not in codes:
                probs = program.laws[column].table
                if program.parents[column]:
                    probs = Vindex(probs)[tuple(codes[p] for p in program.parents[column])]
                site, law = program.slots[column].name, Categorical(probs)
                codes[column] = pyro.sample(site, law, infer={"enumerate": "parallel"})

    with scoped_seed(0):
        marginals = TraceEnum_ELBO(max_plate_nesting=0).compute_marginals(model, lambda: None)
    probs: Tensor = marginals[EFFECT].probs
    return probs


def _counterfactuals(seed: int) -> list[Row]:
    """Units of 10 slots under do(x2 = 1), each coupling; nobody else has them for categories."""
    scm = random_scm(10, CODES, seed)
    units = scm.sample(UNITS, seed=1)
    seconds = {}
    for coupling in (ct.Gumbel(), ct.Monotone(), ct.Maximal()):
        answer = partial(scm.counterfactual, units, do={"x2": 1}, coupling=coupling, seed=2)
        seconds[type(coupling).__name__] = cpu_seconds(answer, 5)
    what = f"{UNITS:,} counterfactuals, 10 slots x {CODES} codes"
    rows = _rows(what, seconds, "Gumbel", rate=("units per second", UNITS))
    again = scm.counterfactual(units, do={"x2": units[:, 2]}, seed=3)[:, 0]
    rows[0]["units replayed exactly"] = float((again == units).all(1).double().mean())
    return rows


def _rows(
    what: str,
    seconds: dict[str, float],
    yardstick: str,
    *,
    rate: tuple[str, int] | None = None,
) -> list[Row]:
    rows: list[Row] = []
    for method, taken in seconds.items():
        row: Row = {"what": what, "method": method, "CPU ms": 1000 * taken}
        row["ratio"] = taken / seconds[yardstick]
        if rate is not None:
            row[rate[0]] = rate[1] / taken
        rows.append(row)
    return rows
