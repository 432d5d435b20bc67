"""What a CTVAE promises, on a model with arbitrary weights."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import ctvae as ct
from ctvae.errors import (
    CodeError,
    CTVAEError,
    FormatError,
    InterventionError,
    RegimeError,
    ShapeError,
    UnknownSlotError,
)
from ctvae.graph import CausalGraph, InterventionalBDeu
from ctvae.mechanisms import Hard, SetAction, ShiftAction
from ctvae.mechanisms.actions import targets_of
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.regimes import Regime
from ctvae.scm import SCM
from ctvae.slots import Slot, SlotSpace
from tests.models.conftest import NAMES, SIZES, make_images, make_model


def test_edit_sets_its_slots_and_holds_all_others(model: CTVAE, images: Tensor) -> None:
    codes = model.encode(images)
    edited = model.edit(slot=2, value=5).generate(images)
    assert edited.codes[:, 2].tolist() == [5] * 12
    assert torch.equal(edited.codes[:, [0, 1, 3]], codes[:, [0, 1, 3]])
    assert edited.images.shape == images.shape
    several = model.edit({"hue": 0, "x": 3}).generate(images).codes
    assert several[:, 2:].tolist() == [[0, 3]] * 12
    assert torch.equal(several[:, :2], codes[:, :2])


def test_edit_per_row_equals_edits_one_by_one(model: CTVAE, images: Tensor) -> None:
    values = torch.arange(12, device=images.device) % 6
    together = model.edit(slot="hue", value=values).generate(images)
    for row in (0, 5, 11):
        alone = model.edit(slot="hue", value=int(values[row])).generate(images[row : row + 1])
        assert torch.equal(alone.codes[0], together.codes[row])
        assert torch.allclose(alone.images[0], together.images[row], atol=1e-6)


def test_editing_to_the_own_code_is_the_reconstruction(model: CTVAE, images: Tensor) -> None:
    codes = model.encode(images)
    same = model.edit({k: codes[:, k] for k in range(4)}).generate(images)
    spare = model.autoencoder.encode_spare(images)
    assert torch.equal(same.images, model.decode(codes, spare=spare))


def test_do_leaves_what_it_does_not_reach_equal_to_the_last_bit(model: CTVAE) -> None:
    observed = model.do({}).sample(200, seed=3)
    done = model.do(slot=2, value=5).sample(200, seed=3)
    assert done.codes[:, 2].tolist() == [5] * 200
    assert torch.equal(done.codes[:, :2], observed.codes[:, :2])
    assert not torch.equal(done.codes[:, 3], observed.codes[:, 3])
    nothing_below = model.do(slot="x", value=0).sample(200, seed=3)
    assert torch.equal(nothing_below.codes[:, :3], observed.codes[:, :3])


def test_counterfactual_images_keep_what_the_intervention_does_not_reach(
    model: CTVAE, images: Tensor
) -> None:
    codes = model.encode(images)
    drawn = model.do(slot="hue", value=5).generate(images, seed=0)
    assert drawn.codes[:, 2].tolist() == [5] * len(images)
    assert torch.equal(drawn.codes[:, :2], codes[:, :2])
    spare = model.autoencoder.encode_spare(images)
    assert torch.equal(drawn.images, model.decode(drawn.codes, spare=spare))
    again = model.do(slot="hue", value=codes[:, 2]).generate(images, seed=1)
    assert torch.equal(again.codes, codes)
    assert torch.equal(again.images, model.decode(codes, spare=spare))
    for coupling in (ct.Monotone(), ct.Maximal()):
        other = model.do(slot="hue", value=5).generate(images, coupling=coupling, seed=0)
        assert torch.equal(other.codes[:, :3], drawn.codes[:, :3])


def test_do_per_row_composes_and_replaces(model: CTVAE) -> None:
    values = torch.tensor([0, 1, 2])
    world = model.do(slot="hue", value=values).do(slot="x", value=1)
    drawn = world.sample(7, seed=0)
    assert tuple(drawn.codes.shape) == (7, 3, 4)
    assert tuple(drawn.images.shape) == (7, 3, 3, 16, 16)
    assert torch.equal(drawn.codes[..., 2].cpu(), values.expand(7, 3))
    assert bool((drawn.codes[..., 3] == 1).all())
    assert bool((world.do(slot="x", value=2).sample(4, seed=0).codes[..., 3] == 2).all())
    assert model.scm is not None
    assert not model.scm.interventions


def test_seeds_decide_the_sample(model: CTVAE) -> None:
    world = model.do(slot="hue", value=1)
    again = [world.sample(20, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(again[0].images, again[1].images)
    assert not torch.equal(again[0].codes, again[2].codes)


def test_retrieval_is_deterministic_and_normalised(model: CTVAE, images: Tensor) -> None:
    first = model.retrieve_action(images[:6], images[6:], length=2)
    second = model.retrieve_action(images[:6], images[6:], length=2)
    assert torch.equal(first.probs, second.probs)
    assert torch.allclose(first.probs.sum(1), torch.ones_like(first.log_evidence))
    assert tuple(first.probs.shape) == (6, len(model.actions) ** 2)
    assert bool(torch.isfinite(first.log_evidence).all())


def test_bytes_and_floats_read_the_same(model: CTVAE) -> None:
    whole = (make_images(30) * 255).round()
    assert torch.equal(model.encode(whole.to(torch.uint8)), model.encode(whole / 255))


def test_chunks_change_nothing(
    model: CTVAE, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.autoencoder.read(images)
    monkeypatch.setattr("ctvae.models.autoencoder.CHUNK", 5)
    assert torch.allclose(model.autoencoder.read(images), whole, atol=1e-5)


def test_training_a_copy_leaves_the_original_alone(model: CTVAE, images: Tensor) -> None:
    named = model.renamed(NAMES, range(4), [torch.arange(k) for k in SIZES], {})
    before = model.encode(images)
    named.to("cpu").autoencoder.reader.encoder.out.weight.data.zero_()
    assert torch.equal(model.encode(images), before)


def test_no_images_give_no_codes(model: CTVAE, images: Tensor) -> None:
    assert tuple(model.encode(images[:0]).shape) == (0, 4)


ANSWERS = """
import json, sys, torch
import ctvae as ct
from tests.models.conftest import make_images
model = ct.CTVAE.load(sys.argv[1])
images = make_images(12, seed=9)
post = model.retrieve_action(images[:6], images[6:])
print(json.dumps({
    "codes": model.encode(images).tolist(),
    "edit": model.edit(slot=2, value=5).generate(images).images.double().sum().item(),
    "do": model.do(slot=2, value=5).sample(9, seed=1).images.double().sum().item(),
    "probs": post.probs.tolist(),
    "evidence": post.log_evidence.tolist(),
}))
"""


def test_a_saved_model_answers_the_same_in_a_new_process(tmp_path: Path) -> None:
    make_model().save(tmp_path / "model")
    answers = []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", ANSWERS, str(tmp_path / "model")],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        )
        answers.append(json.loads(run.stdout))
    model, images = make_model(), make_images(12, seed=9)
    post = model.retrieve_action(images[:6], images[6:])
    assert answers[0] == answers[1]
    assert answers[0]["codes"] == model.encode(images).tolist()
    assert answers[0]["probs"] == post.probs.tolist()
    assert answers[0]["evidence"] == post.log_evidence.tolist()
    done = model.do(slot=2, value=5).sample(9, seed=1).images.double().sum().item()
    assert answers[0]["do"] == done
    edited = model.edit(slot=2, value=5).generate(images).images.double().sum().item()
    assert answers[0]["edit"] == edited


def test_names_change_no_picture_and_no_posterior(model: CTVAE, images: Tensor) -> None:
    """Labels that permute slots and codes: the renamed model says the same in other words."""
    many = make_images(400, seed=11).to(images.device)
    codes = model.encode(many)
    orders = [torch.randperm(k, generator=torch.Generator().manual_seed(k)) for k in SIZES]
    slots = [2, 0, 3, 1]
    labels = torch.stack([orders[s].to(codes.device)[codes[:, s]] for s in slots], 1)
    space = SlotSpace(Slot(f"factor {NAMES[s]}", SIZES[s]) for s in slots)
    named, wrong = model.name_slots(many, labels.cpu(), space)
    assert set(wrong.values()) == {0.0}
    assert named.slots == space
    assert torch.equal(named.encode(many), labels)
    assert torch.allclose(named.decode(named.encode(images)), model.decode(model.encode(images)))
    before = model.retrieve_action(images[:6], images[6:])
    after = named.retrieve_action(images[:6], images[6:])
    assert torch.allclose(before.probs, after.probs, atol=1e-8)
    targets = [named.slots.names[targets_of(a)[0]] for a in named.actions]
    assert targets == [f"factor {NAMES[targets_of(a)[0]]}" for a in model.actions]
    assert named.scm is None


def test_codes_take_the_names_of_values_and_keep_them(
    model: CTVAE, images: Tensor, tmp_path: Path
) -> None:
    """One code of ``hue`` stands for no value of its own."""
    many = make_images(400, seed=11).to(images.device)
    codes = model.encode(many).cpu()
    sizes, hue = model.slots.cardinalities, model.slots.index("hue")
    labels = codes.clone()
    labels[:, hue] = codes[:, hue] % (sizes[hue] - 1)
    colours = ("red", "lime", "teal", "gold", "pink", "grey")[: sizes[hue] - 1]
    space = SlotSpace(
        Slot(n, k - (n == "hue"), colours if n == "hue" else ())
        for n, k in zip(model.slots.names, sizes, strict=True)
    )
    named = model.name_slots(many, labels, space).model
    assert named.slots["hue"].states == (*colours, "spare 0")
    kept = CTVAE.load(named.save(tmp_path / "named"))
    assert kept.slots == named.slots
    edited = kept.edit(slot="hue", value="lime").generate(many[:4]).images
    assert torch.equal(edited, named.edit({"hue": 1}).generate(many[:4]).images)
    graph = CausalGraph.from_edges([], nodes=named.slots.names)
    scm = SCM.fit(graph, named.samples(many, regime=Regime.OBSERVATIONAL))
    world = named.with_scm(scm).do(slot="hue", value="lime")
    assert bool((world.sample(5, seed=0).codes[:, hue] == 1).all())
    plain = [Slot(slot.name, slot.cardinality) for slot in named.slots]
    bare = SCM.fit(graph, named.encode(many), slots=plain)
    with pytest.raises(UnknownSlotError, match=r"states=\('red', .*slots=model\.slots"):
        named.with_scm(bare)


def test_names_stay_right_where_a_slot_has_fewer_codes_than_its_factor_values(model: CTVAE) -> None:
    many = make_images(400, seed=11)
    codes = model.encode(many).cpu()
    labels = codes.clone()
    labels[:, 2] = codes[:, 2] + 1  # the value 0 is never seen
    names = tuple("abcdefg")
    space = SlotSpace(
        Slot(s.name, 7, names) if column == 2 else s for column, s in enumerate(model.slots)
    )
    named = model.name_slots(many, labels, space).model
    states = named.slots["hue"].states
    assert [states[code] for code in named.encode(many)[:, 2].tolist()] == [
        names[value] for value in labels[:, 2].tolist()
    ]


def test_wrong_labels_are_counted(model: CTVAE) -> None:
    many = make_images(400, seed=11)
    codes = model.encode(many).cpu()
    labels = codes.clone()
    labels[:40, 2] = (labels[:40, 2] + 1) % 6
    wrong = model.name_slots(many, labels, model.slots).wrong_codes
    assert wrong["hue"] == pytest.approx(0.1)
    assert wrong["x"] == 0


def test_graph_over_slots_comes_from_independent_units(model: CTVAE, images: Tensor) -> None:
    result = model.slot_graph(make_images(300), method=InterventionalBDeu())
    assert result.graph.nodes == NAMES
    with pytest.raises(RegimeError, match="edit"):
        model.slot_graph(images, method=InterventionalBDeu(), regime=Regime.EDIT)


def test_targets_not_known_make_one_slot_per_inverse_pair() -> None:
    actions = tuple(ShiftAction(f"a{k}", None, 1) for k in range(6))
    assert len(CTVAE(CTVAEConfig(actions=actions), seed=0).slot_names) == 3


def test_repr_says_what_it_is(model: CTVAE) -> None:
    assert "shape:3" in repr(model)
    assert "not fitted" in repr(CTVAE(model.config, seed=0))
    assert repr(model.edit(slot=2, value=1)) == "Edit(hue)"


def _unfitted() -> CTVAE:
    return CTVAE(make_model().config, seed=0)


def _broken(folder: Path, **changes: object) -> Path:
    """A saved model with one tensor left out or replaced."""
    from safetensors.torch import load_file, save_file

    make_model().save(folder)
    tensors = load_file(folder / "weights.safetensors")
    for name, tensor in changes.items():
        key = name.replace("__", ".")
        if tensor is None:
            del tensors[key]
        else:
            assert isinstance(tensor, Tensor)
            tensors[key] = tensor
    save_file(tensors, folder / "weights.safetensors")
    return folder


def _with_config(folder: Path, text: str) -> Path:
    make_model().save(folder)
    (folder / "config.json").write_text(text)
    return folder


def _occupied(folder: Path) -> Path:
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    return folder


IMAGES = make_images(3)
BAD: dict[str, tuple[Callable[[CTVAE, Path], object], type[Exception], str]] = {
    "unknown slot name": (lambda m, p: m.edit(slot="hu", value=1), UnknownSlotError, "mean 'hue'"),
    "unknown slot index": (lambda m, p: m.do(slot=4, value=1), UnknownSlotError, "0 to 3"),
    "value outside the codebook": (
        lambda m, p: m.do(slot="hue", value=6),
        InterventionError,
        "value 6 is outside",
    ),
    "negative value": (lambda m, p: m.edit(slot="hue", value=-1), InterventionError, "value -1"),
    "float value": (
        lambda m, p: m.do(slot="hue", value=0.5),  # type: ignore[arg-type]
        InterventionError,
        "integer codes",
    ),
    "boolean value": (
        lambda m, p: m.edit(slot="hue", value=torch.tensor(True)),
        InterventionError,
        "integer codes",
    ),
    "text value": (
        lambda m, p: m.do(slot="hue", value="red"),
        InterventionError,
        "red",
    ),
    "no value": (lambda m, p: m.do(slot="hue"), InterventionError, "slot= and value="),
    "both forms": (
        lambda m, p: m.do({"x": 1}, slot="hue", value=1),
        InterventionError,
        "slot= and value=",
    ),
    "rows of two lengths": (
        lambda m, p: m.do({"x": torch.tensor([0, 1]), "hue": torch.tensor([0, 1, 2])}),
        InterventionError,
        "one length",
    ),
    "rows that do not match the images": (
        lambda m, p: m.edit(slot="x", value=torch.tensor([0, 1])).generate(IMAGES),
        InterventionError,
        "2 values",
    ),
    "a list of images": (lambda m, p: m.encode([1, 2]), ShapeError, "must be a tensor"),  # type: ignore[arg-type]
    "grey images": (lambda m, p: m.encode(IMAGES[:, :1]), ShapeError, "(batch, 3, 16, 16)"),
    "larger images": (lambda m, p: m.encode(torch.zeros(1, 3, 32, 32)), ShapeError, "16, 16"),
    "one image without a batch": (lambda m, p: m.encode(IMAGES[0]), ShapeError, "(3, 16, 16)"),
    "NaN images": (lambda m, p: m.encode(IMAGES * float("nan")), ShapeError, "NaN"),
    "images up to 255": (lambda m, p: m.encode(IMAGES * 255), ShapeError, "divide by 255"),
    "integer images": (lambda m, p: m.encode(IMAGES.long()), ShapeError, "uint8 or floating"),
    "codes outside": (
        lambda m, p: m.decode(torch.tensor([[0, 0, 9, 0]])),
        CodeError,
        "value 9 is outside",
    ),
    "codes of too few slots": (lambda m, p: m.decode(torch.zeros(2, 3).long()), ShapeError, "4"),
    "spare of another length": (
        lambda m, p: m.decode(torch.zeros(2, 4).long(), spare=torch.zeros(2, 5)),
        ShapeError,
        "spare",
    ),
    "encode before fit": (lambda m, p: _unfitted().encode(IMAGES), CTVAEError, "ct.fit"),
    "save before fit": (lambda m, p: _unfitted().save(p / "m"), CTVAEError, "ct.fit"),
    "do without an SCM": (
        lambda m, p: m.renamed(NAMES, range(4), [torch.arange(k) for k in SIZES], {}).do({"x": 1}),
        CTVAEError,
        "no SCM",
    ),
    "an SCM over other slots": (
        lambda m, p: m.with_scm(SCM.from_edges([], cardinality={"a": 2}, seed=0)),
        UnknownSlotError,
        "the SCM is over",
    ),
    "labels for other images": (
        lambda m, p: m.name_slots(IMAGES, torch.zeros(2, 4).long(), m.slots),
        ShapeError,
        "3 images",
    ),
    "names of another number": (
        lambda m, p: CTVAE(CTVAEConfig(actions=m.config.actions, slots=("a",)), seed=0),
        UnknownSlotError,
        "1 slot names for 4 slots",
    ),
    "targets that skip a slot": (
        lambda m, p: CTVAE(
            CTVAEConfig(actions=(SetAction("a", 0, 0), SetAction("b", 2, 0))), seed=0
        ),
        UnknownSlotError,
        "count the slots",
    ),
    "some targets unknown": (
        lambda m, p: CTVAE(
            CTVAEConfig(actions=(ShiftAction("a", 0, 1), ShiftAction("b", None, 1))), seed=0
        ),
        UnknownSlotError,
        "every action but no-ops has a target or none",
    ),
    "odd number of unknown targets": (
        lambda m, p: CTVAE(
            CTVAEConfig(actions=tuple(ShiftAction(f"{k}", None, 1) for k in range(3))), seed=0
        ),
        UnknownSlotError,
        "inverse pairs",
    ),
    "image side": (
        lambda m, p: CTVAE(CTVAEConfig(actions=m.config.actions, image_size=20), seed=0),
        ShapeError,
        "multiple of 8",
    ),
    "misspelt setting": (
        lambda m, p: CTVAEConfig(actions=m.config.actions, chanels=3),  # type: ignore[call-arg]
        ValueError,
        "chanels",
    ),
    "no such folder": (lambda m, p: CTVAE.load(p / "none"), FormatError, "config.json is missing"),
    "missing tensor": (
        lambda m, p: CTVAE.load(_broken(p / "m", transition__kernels=None)),
        FormatError,
        "'transition.kernels' is missing",
    ),
    "tensor of a wrong shape": (
        lambda m, p: CTVAE.load(_broken(p / "m", quantizer__centres=torch.zeros(2))),
        FormatError,
        "has shape",
    ),
    "config of another class": (
        lambda m, p: CTVAE.load(
            _with_config(p / "m", '{"class": "SCM", "format_version": 3, "config": {}}')
        ),
        FormatError,
        "holds a SCM",
    ),
    "config of the future": (
        lambda m, p: CTVAE.load(
            _with_config(p / "m", '{"class": "CTVAE", "format_version": 99, "config": {}}')
        ),
        FormatError,
        "format version 99",
    ),
    "config cut short": (
        lambda m, p: CTVAE.load(_with_config(p / "m", '{"class": "CT')),
        FormatError,
        "not a saved model's config",
    ),
    "config without slots": (
        lambda m, p: CTVAE.load(
            _with_config(p / "m", '{"class": "CTVAE", "format_version": 3, "config": {}}')
        ),
        FormatError,
        "does not describe",
    ),
    "save over other work": (lambda m, p: m.save(_occupied(p / "m")), FormatError, "no saved"),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_refused_and_changes_nothing(case: str, tmp_path: Path) -> None:
    make, error, message = BAD[case]
    model = make_model()
    before = model.encode(IMAGES)
    with pytest.raises(error, match=message.replace("(", r"\(").replace(")", r"\)")):
        make(model, tmp_path)
    assert torch.equal(model.encode(IMAGES), before)


def test_a_refused_save_leaves_what_was_there(tmp_path: Path) -> None:
    folder = _occupied(tmp_path / "m")
    with pytest.raises(FormatError):
        make_model().save(folder)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    assert (folder / "thesis.tex").read_text() == "years of work"


def test_hard_is_the_value_it_holds(model: CTVAE) -> None:
    a = model.do({"hue": Hard(3)}).sample(5, seed=0).codes
    assert torch.equal(a, model.do({"hue": 3}).sample(5, seed=0).codes)
