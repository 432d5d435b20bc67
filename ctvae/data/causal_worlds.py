"""Causal worlds: an SCM over the factors of a scene, seen through a renderer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.data.canvas import Renderer
from ctvae.data.doing import interventions_of, per_unit
from ctvae.data.images import ImageSet
from ctvae.data.structures import edge_strengths
from ctvae.data.transitions import Transitions
from ctvae.data.worlds import every_edit
from ctvae.errors import DataError, ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.actions import Action
from ctvae.mechanisms.couplings import Coupling, Maximal
from ctvae.mechanisms.interventions import Intervention, Key
from ctvae.mechanisms.merging import Done
from ctvae.mechanisms.per_row import PerRow
from ctvae.randomness import Seed, check_count, make_generator, spawn
from ctvae.regimes import Regime
from ctvae.scm import SCM
from ctvae.slots import Slot, SlotKey, SlotSpace

__all__ = ["CausalPairs", "CausalWorld"]


@dataclass(frozen=True)
class CausalPairs:
    """Pairs of pictures of one unit before and after an action, and what is true of them.

    Attributes:
        transitions: The pairs, of regime ``COUNTERFACTUAL``: descendants of what was set respond.
        before_factors: ``(pairs, factors)`` the units' factors.
        after_factors: ``(pairs, factors)`` what they would have been after the action.
        targets: ``(pairs, factors)`` true where the action set or shifted a factor.
        nuisances: ``(pairs, nuisances)`` of the pictures before.
        after_nuisances: ``(pairs, nuisances)`` of the pictures after; the same, if not fresh.
    """

    transitions: Transitions
    before_factors: Int[Tensor, "pairs factors"]
    after_factors: Int[Tensor, "pairs factors"]
    targets: Bool[Tensor, "pairs factors"]
    nuisances: Float[Tensor, "pairs nuisances"]
    after_nuisances: Float[Tensor, "pairs nuisances"]

    def __len__(self) -> int:
        return len(self.transitions)

    def __repr__(self) -> str:
        return f"CausalPairs({self.transitions!r})"

    @property
    def moved(self) -> Bool[Tensor, " pairs"]:
        """Whether a factor that the action aims at took another value.

        It did not where the value set was there already, or a step led past the end.
        """
        return ((self.before_factors != self.after_factors) & self.targets).any(1)

    def subset(self, rows: Int[Tensor, " rows"]) -> CausalPairs:
        """Takes some of the pairs.

        Args:
            rows: Pair numbers.

        Returns:
            New pairs over the same pool of images.
        """
        return CausalPairs(
            self.transitions.subset(rows),
            self.before_factors[rows],
            self.after_factors[rows],
            self.targets[rows],
            self.nuisances[rows],
            self.after_nuisances[rows],
        )


@dataclass(frozen=True)
class CausalWorld:
    """Pictures whose factors follow a known structural causal model.

    Immutable. Units are drawn from the law of the SCM and drawn as pictures; every picture has
    nuisances of its own that no factor causes. What a unit would have been after an intervention
    is drawn under its own noise, which the coupling links: descendants respond, all else stays.

    Attributes:
        scm: The law of the factors, interventions included.
        renderer: Draws the factors.
        coupling: How a unit's noise links its factors in two worlds. ``Maximal()`` is the noise of
            ``preference_scm``: whether the unit follows its causes, and the value it keeps if not.

    Raises:
        DataError: When the SCM is not over the renderer's factors.

    Example:
        >>> from ctvae.data import SpriteScene, chain_graph, preference_scm
        >>> scene = SpriteScene()
        >>> graph = chain_graph(scene.space.names, seed=0)
        >>> world = CausalWorld(preference_scm(graph, scene.space, strength=0.8, seed=0), scene)
        >>> world.sample(2, seed=0)
        ImageSet(2 images 3x64x64, observational)
        >>> world.do({"hue": 3}).sample(2, seed=0).factors[:, 2].tolist()
        [3, 3]
    """

    scm: SCM
    renderer: Renderer
    coupling: Coupling = field(default_factory=Maximal)

    def __post_init__(self) -> None:
        mine, drawn = self.scm.slots, self.renderer.space
        if (mine.names, mine.cardinalities) != (drawn.names, drawn.cardinalities):
            msg = f"the renderer draws {drawn!r}, the SCM is over {mine!r}; they must be the same"
            raise DataError(msg)

    def __repr__(self) -> str:
        return f"CausalWorld({self.scm!r}, {self.renderer!r}, {self.coupling!r})"

    @property
    def graph(self) -> CausalGraph:
        """The true graph over the factors."""
        return self.scm.graph

    @property
    def minimum_edge_strength(self) -> float:
        """The strength of the weakest edge, see ``edge_strengths``; 1 where there is no edge."""
        return min(edge_strengths(self.scm).values(), default=1.0)

    def to(self, device: torch.device | str) -> CausalWorld:
        """Moves the world: units and pictures are then made on the device.

        Args:
            device: Where to.

        Returns:
            The same world on the device.
        """
        return replace(self, scm=self.scm.to(device))

    def do(
        self,
        interventions: Mapping[Key, Done] | Sequence[Mapping[Key, Done]] | None = None,
        *,
        slot: SlotKey | None = None,
        value: Done | None = None,
    ) -> CausalWorld:
        """Intervenes on the factors: descendants respond.

        Args:
            interventions: As of ``SCM.do``.
            slot: One factor, instead of a mapping.
            value: What it is set to.

        Returns:
            The intervened world; its samples are pictures of fresh units.
        """
        return replace(self, scm=self.scm.do(interventions, slot=slot, value=value))

    def render(
        self, factors: Int[Tensor, "n factors"], nuisances: Float[Tensor, "n nuisances"]
    ) -> Tensor:
        """Draws pictures of factors.

        Args:
            factors: Codes.
            nuisances: Numbers in [0, 1).

        Returns:
            ``(n, 3, height, width)`` uint8.
        """
        return self.renderer.render(factors, nuisances)

    def nuisances(self, num_scenes: int, *, seed: Seed) -> Float[Tensor, "scenes nuisances"]:
        """Draws the nuisances of the scenes that ``edits`` and ``sample`` with this seed show.

        Args:
            num_scenes: How many scenes.
            seed: The seed given there.

        Returns:
            Numbers in [0, 1).
        """
        return self._nuisances(num_scenes, spawn(seed, 2)[1])

    def sample(self, num_rows: int, *, seed: Seed) -> ImageSet:
        """Draws pictures of independent units from the law of this world.

        Args:
            num_rows: How many; of each world, where there is one per row.
            seed: For factors and nuisances.

        Returns:
            Images of the observational regime, or of the interventional one after ``do``.
        """
        for_factors, for_nuisances = spawn(seed, 2)
        drawn = self.scm.sample(num_rows, seed=for_factors)
        targets = torch.zeros_like(drawn, dtype=torch.bool)
        for name, done in self.scm.interventions.items():
            targets[..., self.scm.slots.index(name)] = _is_done(done, drawn.device)
        codes, targets = drawn.flatten(0, -2), targets.flatten(0, -2)
        nuisances = self._nuisances(len(codes), for_nuisances)
        regime = Regime.INTERVENTIONAL if self.scm.interventions else Regime.OBSERVATIONAL
        images = self.render(codes, nuisances)
        return ImageSet(images, codes, self.scm.slots, regime, targets)

    def sample_do(self, rows_per_factor: int, *, seed: Seed) -> ImageSet:
        """Draws pictures of independent units under ``do`` on one factor at a time.

        Args:
            rows_per_factor: How many units for each factor, their values uniform.
            seed: For values, factors and nuisances.

        Returns:
            Images of the interventional regime with their targets.
        """
        sets = []
        for slot, child in zip(self.scm.slots, spawn(seed, len(self.scm.slots)), strict=True):
            for_values, for_units = spawn(child, 2)
            values = self._uniform(rows_per_factor, [slot.cardinality], for_values)[:, 0]
            sets.append(self.do({slot.name: values}).sample(1, seed=for_units))
        images, factors, targets = (
            torch.cat([getattr(one, part) for one in sets])
            for part in ("images", "factors", "targets")
        )
        return ImageSet(images, factors, self.scm.slots, Regime.INTERVENTIONAL, targets)

    def edits(
        self, num_scenes: int, *, seed: Seed, base: Int[Tensor, "scenes factors"] | None = None
    ) -> ImageSet:
        """Draws scenes with every edit of a single factor, to teach slots from pairs.

        Edits hold all other factors, so nothing of the graph can be read off them.

        Args:
            num_scenes: How many scenes; each gives one image per value of each factor.
            seed: For factors and nuisances.
            base: The scenes' factors before the edits, as of ``skewed_factors``; uniform and
                independent where ``None``.

        Returns:
            Images of the edit regime; a further factor ``scene`` numbers the scenes.

        Raises:
            ShapeError: When there is not one base row per scene.
        """
        slots = self.scm.slots
        if base is None:
            base = self._uniform(num_scenes, slots.cardinalities, spawn(seed, 2)[0])
        base = slots.check_codes(base).to(self.scm.program.device)
        if len(base) != num_scenes:
            msg = f"base= takes one row per scene, got {len(base)} rows for {num_scenes} scenes"
            raise ShapeError(msg)
        codes, scene = every_edit(base, slots.cardinalities)
        return ImageSet(
            self.render(codes, self.nuisances(num_scenes, seed=seed)[scene]),
            torch.cat([codes, scene[:, None]], 1),
            SlotSpace([*slots, Slot("scene", num_scenes)]),
            Regime.EDIT,
            moves=slots.names,
            unit=("scene",),
        )

    def pairs(
        self,
        actions: Sequence[Action],
        num_units: int,
        *,
        seed: Seed,
        cyclic: Collection[str] = (),
        fresh_nuisances: bool = False,
    ) -> CausalPairs:
        """Draws units, an action for each, and what the unit would have been after it.

        Actions are uniform and independent of the units. After the action the unit has its own
        noise still: the factor that the action aims at changes, its descendants respond, all others
        are copied. Every pair is a fresh unit; no picture recurs.

        Args:
            actions: Set actions and shift actions, with their targets.
            num_units: How many pairs.
            seed: For units, actions, noise and nuisances.
            cyclic: The factors around whose values shifts go. Elsewhere a step past the end is not
                taken and the pair shows no change, see ``CausalPairs.moved``.
            fresh_nuisances: Whether the picture after has nuisances of its own; it shares those of
                the picture before where not.

        Returns:
            The pairs and what is true of them.

        Raises:
            UnknownActionError: When an action has no target among the factors, or is of a kind
                that has no intervention.
        """
        num_units = check_count(num_units, "num_units", least=1)
        for_units, for_actions, for_noise, for_before, for_after = spawn(seed, 5)
        before = self.scm.sample(num_units, seed=for_units)
        action = self._uniform(num_units, [len(actions)], for_actions)[:, 0]
        done = interventions_of(actions, self.scm.slots, cyclic)
        targets = torch.tensor(
            [[name in one for name in self.scm.slots.names] for one in done], device=before.device
        )[action]
        after = self._respond(before, per_unit(done, action), for_noise)
        shown = self._nuisances(num_units, for_before)
        shown_after = self._nuisances(num_units, for_after) if fresh_nuisances else shown
        images = torch.cat([self.render(before, shown), self.render(after, shown_after)])
        rows = torch.arange(num_units, device=before.device)
        transitions = Transitions(
            images, rows, action, rows + num_units, tuple(actions), Regime.COUNTERFACTUAL
        )
        return CausalPairs(transitions, before, after, targets, shown, shown_after)

    def counterfactual_images(
        self,
        factors: Int[Tensor, "n factors"],
        nuisances: Float[Tensor, "n nuisances"],
        do: Mapping[Key, Done],
        *,
        seed: Seed,
    ) -> ImageSet:
        """Draws what given units would have looked like, had they been treated otherwise.

        Factors that the intervention does not reach are copied; those that it reaches are drawn
        under the unit's own noise given what was seen of it, so they are not certain.

        Args:
            factors: The units' factors in this world.
            nuisances: The units' nuisances, which stay.
            do: What would have been done; codes ``(n,)`` for a value of its own for each unit.
            seed: For the noise that the factors leave open.

        Returns:
            Images of the counterfactual regime, their factors, and what was set as targets.

        Raises:
            EvidenceError: When a unit cannot be in this world.
        """
        units = self.scm.slots.check_codes(factors).to(self.scm.program.device)
        codes = self._respond(units, do, seed)
        done = {self.scm.slots.index(key) for key in do}
        targets = torch.zeros_like(codes, dtype=torch.bool)
        targets[:, sorted(done)] = True
        images = self.render(codes, nuisances)
        return ImageSet(images, codes, self.scm.slots, Regime.COUNTERFACTUAL, targets)

    def _respond(self, units: Tensor, do: Mapping[Key, Done], seed: Seed) -> Tensor:
        return self.scm.counterfactual(units, do, coupling=self.coupling, seed=seed)[:, 0]

    def _nuisances(self, count: int, seed: Seed) -> Tensor:
        device = self.scm.program.device
        generator = make_generator(seed, device)
        wanted = (count, self.renderer.num_nuisances)
        return torch.rand(wanted, generator=generator, device=device)

    def _uniform(self, count: int, sizes: Sequence[int], seed: Seed) -> Tensor:
        device = self.scm.program.device
        generator = make_generator(seed, device)
        columns = [
            torch.randint(size, (count,), generator=generator, device=device) for size in sizes
        ]
        return torch.stack(columns, 1)


def _is_done(done: Intervention, device: torch.device) -> Bool[Tensor, "#batch"]:
    """Which worlds an intervention touches: a row may be left as it is."""
    if not isinstance(done, PerRow):
        return torch.ones(1, dtype=torch.bool, device=device)
    touches = torch.tensor([choice is not None for choice in done.choices], device=device)
    return touches[done.index.to(device)]
