"""The TCAV workbench: scores of reduced sets are those of `tcav` run anew, without a pass."""

from dataclasses import replace

import numpy as np
import pytest
from toys import Cells, toy_model

from vxhelpers.concepts.activations import collect
from vxhelpers.concepts.solvers import SOLVERS
from vxhelpers.concepts.tcav import TcavSettings, tcav
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.live.workbench import Selection, Workbench

ROUND = np.random.default_rng(0)


def noise(name: str, red: int = 0, blue: int = 0) -> Clip:
    """Cells of random grey, redder or bluer than grey."""
    cells = ROUND.integers(60, 130, (1, 4, 4, 1)).repeat(3, 3)
    cells = cells + np.array([red, 0, blue]) + ROUND.integers(-20, 20, (1, 4, 4, 3))
    frames = cells.clip(0, 255).astype(np.uint8).repeat(16, 0).repeat(16, 1).repeat(16, 2)
    return Clip(frames, 16.0, name)


MODEL = toy_model(Cells(), [("flat", "NC")], ("warm", "green", "cold"))
CONCEPTS = {
    "red": [noise(f"red {k}", red=60) for k in range(9)],
    "blue": [noise(f"blue {k}", blue=60) for k in range(6)],
}
RANDOMS = {f"random {j}": [noise(f"random {j} {k}") for k in range(8)] for j in range(4)}
CLIPS = [noise(f"scored {k}", red=20) for k in range(7)]


@pytest.fixture(scope="module")
def bench() -> Workbench:
    return Workbench(MODEL, CONCEPTS, RANDOMS, CLIPS, target="warm", layers=["flat"])


def anew(selection: Selection):
    """The same by `tcav`, from clips to scores."""
    clips = [c for k, c in enumerate(CONCEPTS[selection.concept]) if k not in selection.dropped]
    randoms = dict([*RANDOMS.items()][: selection.randoms])
    held = collect(MODEL, {selection.concept: clips, **randoms}, layers=["flat"])
    settings = TcavSettings(solvers=(selection.solver,))
    return tcav(MODEL, held, CLIPS, concepts=[selection.concept], randoms=[*randoms],
                target="warm", settings=settings)["flat"]  # fmt: skip


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("concept", "dropped", "randoms"), [
    ("red", (), 4), ("red", (0, 3, 8), 3), ("blue", (5,), 2),
])  # fmt: skip
def test_the_scores_are_those_of_tcav_run_anew(
    bench: Workbench, solver, concept: str, dropped: tuple[int, ...], randoms: int
) -> None:
    selection = Selection(concept, frozenset(dropped), solver, randoms)
    found, wanted = bench.scores(selection)["flat"], anew(selection)
    assert found.randoms == wanted.randoms and found.concepts == wanted.concepts
    scale = np.abs(wanted.derivatives(concept, solver)).max()
    near = {"atol": 1e-5 * scale, "rtol": 0}
    np.testing.assert_allclose(found.derivatives(concept, solver),
                               wanted.derivatives(concept, solver), **near)  # fmt: skip
    for statistic in ("sign_count", "magnitude"):
        for part in ("scores", "null"):
            args = (concept, statistic) if part == "scores" else (statistic,)
            np.testing.assert_allclose(getattr(found, part)(*args, solver),
                                       getattr(wanted, part)(*args, solver), **near)  # fmt: skip
    for name in ("accuracy", "low", "high"):
        held = found.held_out(concept, solver), wanted.held_out(concept, solver)
        np.testing.assert_array_equal(*(getattr(one, name) for one in held))


def test_a_change_makes_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Workbench(MODEL, CONCEPTS, RANDOMS, CLIPS, target="warm", layers=["flat"])
    passes = []
    MODEL.net.register_forward_hook(lambda *_: passes.append(1))
    try:
        before = bench.rows(Selection("red", randoms=4))
        fewer = bench.rows(Selection("red", frozenset({1, 2}), randoms=4))
        for solver in SOLVERS:
            bench.rows(Selection("blue", frozenset({0}), solver, 3))
        again = bench.rows(Selection("red", randoms=4))
    finally:
        MODEL.net._forward_hooks.clear()
    assert passes == []
    assert again == before != fewer


def test_lines_say_what_the_layer_says(bench: Workbench) -> None:
    selection = Selection("red", frozenset({0}), "logistic", 4)
    layer, (line,) = bench.scores(selection)["flat"], bench.rows(selection)
    assert line.sign_count == layer.scores("red", "sign_count", "logistic").mean() == 1
    assert line.magnitude == pytest.approx(layer.scores("red", "magnitude", "logistic").mean())
    null = layer.null("magnitude", "logistic")
    low, high = line.by_chance["magnitude"]
    assert (
        null.min() <= low == pytest.approx(-high) and high <= null.max() and line.magnitude > high
    )
    assert (line.clips, line.scored, line.randoms) == (8, 7, 4)
    assert line.accuracy > 0.9 and line.separates == 1
    assert line.degenerate == layer.degenerate != ""  # one linear layer follows
    # A magnitude by hand: the logit rises with red by 1/16 a cell, by length along the vector.
    weights = layer.sensitivity("logistic").cavs.weights @ _flat([*CONCEPTS["red"], *_others()])
    by_hand = weights @ MODEL.net.head.weight[0].detach().double().numpy()
    np.testing.assert_allclose(layer.scores("red", "magnitude", "logistic"), by_hand, rtol=1e-4)


def _others() -> list[Clip]:
    return [*CONCEPTS["blue"], *(c for clips in RANDOMS.values() for c in clips)]


def _flat(clips) -> np.ndarray:
    x = MODEL.prepare(clips)
    return MODEL.net.flat(MODEL.net.pool(x)).detach().double().numpy()


def test_what_cannot_be_scored_is_said(bench: Workbench) -> None:
    with pytest.raises(InputError, match=r"3 clips of .red. are left.*take some back"):
        bench.scores(Selection("red", frozenset(range(6)), randoms=4))
    with pytest.raises(InputError, match=r"5 random sets: there are 4"):
        bench.scores(Selection("red", randoms=5))
    with pytest.raises(InputError, match="clips 0 to 8"):
        bench.scores(Selection("red", frozenset({9})))
    with pytest.raises(UnknownNameError, match="did you mean 'red'"):
        bench.scores(Selection("rod"))
    with pytest.raises(UnknownNameError, match="did you mean 'logistic'"):
        bench.scores(replace(Selection("red"), solver="logit"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="1 concepts and 1 random sets"):
        Workbench(MODEL, {"red": CONCEPTS["red"]}, {"random 0": RANDOMS["random 0"]}, CLIPS,
                  target="warm", layers=["flat"])  # fmt: skip
