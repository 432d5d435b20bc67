"""Exact answers under do on published networks, against pgmpy's variable elimination."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from ctvae.scm import SCM
from tests.interop.oracles import DiscreteBayesianNetwork, TabularCPD, eliminate

NETWORKS = ["asia", "cancer", "earthquake", "survey", "sachs", "child", "insurance", "alarm"]
NUM_TRIPLES = 50


class Triple(NamedTuple):
    """A question P(asked | do(done = code), given)."""

    asked: str
    done: str
    code: int
    given: dict[str, int]


def triples(scm: SCM, seed: int) -> Iterator[Triple]:
    """Random questions; every second one has evidence on a descendant of the done slot.

    The evidence is a part of a row drawn in the cut graph, so it has positive probability there.
    """
    generator = np.random.default_rng(seed)
    causes = [name for name in scm.slots.names if scm.graph.children(name)]
    for k in range(NUM_TRIPLES):
        done = str(generator.choice(causes if k % 2 else list(scm.slots.names)))
        code = int(generator.integers(scm.slots[done].cardinality))
        row = scm.do(slot=done, value=code).sample(1, seed=int(generator.integers(2**31)))[0]
        others = [str(n) for n in generator.permutation(scm.slots.names) if n != done]
        if k % 2:  # one descendant first
            others.sort(key=scm.graph.descendants(done).__contains__, reverse=True)
            first, rest = others[:1], [str(n) for n in generator.permutation(others[1:])]
            seen = first + rest[: generator.integers(3)]
        else:
            seen = others[: generator.integers(4)]
        asked = str(generator.choice([name for name in others if name not in seen]))
        given = {name: int(row[scm.slots.index(name)]) for name in seen}
        yield Triple(asked, done, code, given)


def cut(scm: SCM, network: Any, question: Triple) -> Any:
    """The cut graph with a point table, and of it only what the question depends on."""
    edges = [edge for edge in network.edges() if edge[1] != question.done]
    kept = {question.asked, *question.given}
    while more := {a for a, b in edges if b in kept} - kept:
        kept |= more
    smaller = DiscreteBayesianNetwork()
    smaller.add_nodes_from(sorted(kept))
    smaller.add_edges_from([(a, b) for a, b in edges if {a, b} <= kept])
    smaller.add_cpds(*(network.get_cpds(name) for name in kept - {question.done}))
    if question.done in kept:
        slot = scm.slots[question.done]
        point = np.eye(slot.cardinality)[:, [question.code]]
        names = {slot.name: list(slot.states)}
        smaller.add_cpds(TabularCPD(slot.name, slot.cardinality, point, state_names=names))
    assert smaller.check_model()
    return smaller


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_under_do_with_evidence_equal_pgmpys_on_the_cut_graph(name, shared_data):
    scm = SCM.from_bif(shared_data / "bnlearn" / "bif" / f"{name}.bif.gz")
    network = scm.to_pgmpy()
    behind = 0
    for question in triples(scm, seed=sum(map(ord, name))):
        asked, done, code, given = question
        ours = scm.do(slot=done, value=code).query(asked, given=given).numpy()
        states = {n: scm.slots[n].states[c] for n, c in given.items()}
        theirs = eliminate(cut(scm, network, question), [asked], states)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12, err_msg=str(question))
        behind += bool(scm.graph.descendants(done) & set(given))
    assert behind >= NUM_TRIPLES // 2


def test_all_codes_of_a_cause_at_once_equal_pgmpys_one_by_one(shared_data):
    scm = SCM.from_bif(shared_data / "bnlearn" / "bif" / "alarm.bif.gz")
    network = scm.to_pgmpy()
    effect = scm.effect("BP", of="VENTLUNG").numpy()
    for code, row in enumerate(effect):
        theirs = eliminate(cut(scm, network, Triple("BP", "VENTLUNG", code, {})), ["BP"])
        np.testing.assert_allclose(row, theirs, rtol=0, atol=1e-12)
