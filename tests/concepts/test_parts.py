import numpy as np
import pytest

from vxhelpers.concepts.parts import Part, Parts, split
from vxhelpers.errors import UnknownNameError
from vxhelpers.stats import Mean


class Layer:
    """Two vectors of one concept, three clips, two time steps."""

    steps = np.arange(12.0).reshape(2, 3, 2)

    @property
    def inside(self):
        return {"racket": 0.25 * self.steps}

    def sensitivity(self, _solver):
        return self

    def vectors(self, _concept):
        return slice(0, 2)

    def elsewhere(self, place):
        if place not in self.inside:
            raise UnknownNameError("place", place, self.inside)
        return self.steps - self.inside[place]


def test_parts_add_up() -> None:
    found = split({"c": Layer()}, "racket", area=0.5, rng=np.random.default_rng(0)).found["c"]
    whole = Layer.steps.mean(0).sum(1)
    assert found.whole.value == pytest.approx(whole.mean())
    assert found.inside.value + found.elsewhere.value == pytest.approx(found.whole.value)
    assert found.inside.value == pytest.approx(0.25 * whole.mean())
    np.testing.assert_allclose(found.steps.sum(0), Layer.steps.mean((0, 1)))
    with pytest.raises(UnknownNameError, match="did you mean 'racket'"):
        split({"c": Layer()}, "rackets", area=0.5, rng=np.random.default_rng(0))


def test_density_compares_with_an_even_spread() -> None:
    def part(inside: float, whole: float) -> Part:
        values = (Mean(v, v - 1, v + 1, 4) for v in (inside, whole - inside, whole))
        return Part(*values, np.zeros((2, 4)))

    parts = {"even": part(1, 4), "against": part(-1, 4), "null": part(1, 0)}
    found = Parts("<b>|", 0.25, parts)
    assert found.density("even") == 1 and found.density("against") == -1
    assert np.isnan(found.density("null"))
    assert "+1 [+0, +2]" in str(found.table()) and "–" in str(found.table())
    assert r"The mask of \<b\>\| covers 25.0%" in found.summary()
    assert "<b>" not in found._repr_html_()
    assert np.isnan(Parts("a", 0.0, parts).density("even"))
    assert found.figure(1.0).alt.startswith("part of the magnitude by time and place. even:")
