"""Which weights of a file are taken, and which prefixes come off their names."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cspine.errors import ModelError
from cspine_export.checkpoint import Origin, load_checkpoint
from cspine_export.checkpoint.choice import ORDER, choose
from cspine_export.checkpoint.limits import Unreadable
from cspine_export.checkpoint.prefixes import DEEPEST, WRAPPERS, strip
from cspine_export.checkpoint.weights import Own
from cspine_export.command import _split

State = dict[str, torch.Tensor]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def state(value: float = 1.0, last: int = 1) -> State:
    shapes = {"0.weight": (3, 2), "0.bias": (3,), "1.weight": (last, 3), "1.bias": (last,)}
    return {name: torch.full(shape, float(value)) for name, shape in shapes.items()}


def prefixed(prefix: str, each: State) -> State:
    return {f"{prefix}{name}": value for name, value in each.items()}


def taken(tree: object, tmp_path: Path, part: str | None = None) -> tuple[float, Origin]:
    """Save, load, and return the value of the weights that were taken."""
    torch.save(tree, tmp_path / "x.pt")
    into = network()
    origin = load_checkpoint(into, tmp_path / "x.pt", part=part)
    return float(into.state_dict()["0.bias"][0]), origin


@pytest.mark.parametrize(
    ("tree", "value", "name", "beside"),
    [
        ({"model": state(1)}, 1, "model", ()),
        ({"anything": state(1), "epoch": 3}, 1, "anything", ()),
        ({"model": state(1), "state_dict_ema": state(2)}, 1, "model", ("state_dict_ema",)),
        ({"state_dict_ema": state(2), "epoch": 3}, 2, "state_dict_ema", ()),
        ({"ema": {"decay": 0.9, "shadow": state(2)}}, 2, "ema.shadow", ()),
        ({"model": {"state_dict": state(1)}}, 1, "model.state_dict", ()),
        ({"model": state(1), "discriminator": state(2, 5)}, 1, "model", ("discriminator",)),
        ({"model": state(2, 5), "state_dict": state(1)}, 1, "state_dict", ("model",)),
        ({"model": state(1), "best": state(2)}, 1, "model", ("best",)),
        ({"optimizer": {"master": state(2)}, "net": state(1)}, 1, "net", ()),
    ],
)
def test_the_trained_weights_are_taken_by_a_fixed_order(
    tree: object, value: float, name: str, beside: tuple[str, ...], tmp_path: Path
) -> None:
    found, origin = taken(tree, tmp_path)
    assert (found, origin.taken, origin.beside) == (value, name, beside)


@pytest.mark.parametrize(
    ("part", "value"), [("ema", 2), ("model_ema", 2), ("model", 1), ("student", 3)]
)
def test_what_is_asked_for_is_taken(part: str, value: float, tmp_path: Path) -> None:
    tree = {"model": state(1), "model_ema": state(2), "student": state(3)}
    assert taken(tree, tmp_path, part)[0] == value


@pytest.mark.parametrize(
    ("tree", "part", "message"),
    [
        ({"model": state(), "net": state(2)}, None, "same names and shapes; .*'model', 'net'"),
        ({"a": state(), "b": state(2)}, None, "holds 2 weights; .*STAGE=FILE#NAME.* 'a', 'b'"),
        ({"ema": state(), "swa": state()}, None, "holds 2 averaged weights; .*'ema', 'swa'"),
        ({"m": state(), "ema_1": state(), "ema_2": state()}, "ema", "holds 2 averaged weights"),
        ({"model": state()}, "ema", "holds no averaged weights; .*'model'"),
        ({"model": state()}, "modle", "no weights 'modle'; did you mean 'model'"),
        ({"epoch": 3, "lr": 0.1}, None, "expected a state_dict.*found a dict of 'epoch', 'lr'"),
        ({}, None, "found a dict of nothing"),
        (state(), "teacher.", r"no name begins with 'teacher\.'; they begin with 0\., 1\."),
    ],
)
def test_doubt_is_refused_with_the_candidates(
    tree: object, part: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        taken(tree, tmp_path, part)


def test_the_order_is_that_of_the_names() -> None:
    for first, second in pairwise(ORDER):
        assert choose({second: state(2, 5), first: state(1)}, None).name == first


def test_one_dict_in_many_places_is_looked_at_once() -> None:
    tree: dict[str, object] = {"weights": state()}
    for _ in range(2):
        tree = {f"{number}": tree for number in range(2000)}
    assert choose(tree, None).name == "0.0.weights"


LIGHTNING = {"pytorch-lightning_version": "2.4.0"}


def test_lightning_may_hold_other_networks(tmp_path: Path) -> None:
    weights = {**prefixed("unet.", state(1)), "criterion.weight": torch.ones(2)}
    found, origin = taken({**LIGHTNING, "state_dict": weights}, tmp_path)
    assert (found, origin.prefix, origin.dropped) == (1, "unet.", ("criterion.weight",))
    with pytest.raises(ModelError, match=r"lacks '0\.weight'"):
        taken({"state_dict": weights}, tmp_path)  # only Lightning's are known to
    assert taken({"state_dict": weights}, tmp_path, "unet.")[0] == 1


def test_networks_that_both_fit_are_refused(tmp_path: Path) -> None:
    weights = {**prefixed("student.", state(1)), **prefixed("teacher._orig_mod.", state(2))}
    assert taken({**LIGHTNING, "state_dict": weights}, tmp_path)[0] == 1
    weights = {**prefixed("student.", state(1)), **prefixed("teacher.", state(2))}
    with pytest.raises(ModelError, match=r"'student\.' and 'teacher\.' both fit; .*FILE#PREFIX"):
        taken({**LIGHTNING, "state_dict": weights}, tmp_path)
    assert taken({**LIGHTNING, "state_dict": weights}, tmp_path, "teacher.")[0] == 2


def test_a_part_compiled_by_itself_is_known(tmp_path: Path) -> None:
    weights = {name.replace("0.", "0._orig_mod."): value for name, value in state(1).items()}
    assert taken(weights, tmp_path)[1].prefix == "…_orig_mod."


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WRAPPERS), max_size=DEEPEST), st.booleans())
def test_prefixes_come_off_whatever_their_order(prefixes: list[str], loose: bool) -> None:
    prefix = "".join(prefixes)
    found = strip(prefixed(prefix, state()), Own.of(network()), loose=loose, prefix=None)
    assert found.prefix == prefix
    assert found.state.keys() == state().keys()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WRAPPERS), max_size=DEEPEST))
def test_a_prefix_of_the_networks_own_stays(prefixes: list[str]) -> None:
    """A network whose names begin with a wrapper's prefix is not stripped of it."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.ModuleDict({"net": network()})

    names = prefixed("model.net.", state())
    prefix = "".join(prefixes)
    found = strip(prefixed(prefix, names), Own.of(Named()), loose=False, prefix=None)
    assert found.prefix == prefix
    assert found.state.keys() == names.keys()


@settings(max_examples=60, deadline=None)
@given(st.text("abcmodelnt._", min_size=1, max_size=12), st.booleans())
def test_names_are_left_alone_where_nothing_fits(prefix: str, loose: bool) -> None:
    given_state = {**prefixed(f"{prefix}!", state()), "0.weight": torch.ones(1)}
    found = strip(given_state, Own.of(network()), loose=loose, prefix=None)
    assert found.state is given_state


def test_many_prefixes_take_no_time() -> None:
    deep = {f"{a}.{b}.{c}.x": torch.ones(1) for a in range(20) for b in range(20) for c in range(5)}
    with pytest.raises(Unreadable, match="no name begins"):
        strip(deep, Own.of(network()), loose=True, prefix="q.")
    assert not strip(deep, Own.of(network()), loose=True, prefix=None).prefix


def test_a_file_may_have_the_mark_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "run#7.pt").touch()
    for given_, file, part in (
        ("run#7.pt", "run#7.pt", ""),
        ("run#7.pt#ema", "run#7.pt", "ema"),
        ("x.pt#model.net", "x.pt", "model.net"),
        ("x.pt", "x.pt", ""),
    ):
        assert _split(f"screen={tmp_path}/{given_}") == ("screen", tmp_path / file, part)
