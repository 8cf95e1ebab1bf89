"""Sets that can be scored, and what takes their place where there are none."""

from types import SimpleNamespace

import numpy as np
import pytest

from vxhelpers.concept_sets import at_hand as module
from vxhelpers.concept_sets.at_hand import SHIPPED, TOO_FEW, AtHand, SetCounts, Source
from vxhelpers.concept_sets.crops import Concept
from vxhelpers.concept_sets.folder import ConceptFolder
from vxhelpers.concept_sets.groups import groups


class Set(SimpleNamespace):
    def __len__(self) -> int:
        return self.size


def folder(**sizes: int) -> ConceptFolder:
    names = {name.replace("_", " "): size for name, size in sizes.items()}
    sets = {n: Set(name=n, concept=Concept.parse(n), size=k) for n, k in names.items()}
    return ConceptFolder(None, sets, (), {}, "none of 40 clips reviewed by a person", {})


MADE = folder(
    ball_dynamic=9, ball_static=3, racket_dynamic=4, racket_reversed=8, racket_shuffled=3,
    racket_static=8, random_dynamic_00=8, random_dynamic_01=8, random_static_00=8,
    racket_dynamic_centred=8, random_dynamic_centred_00=8, random_dynamic_centred_01=8,
)  # fmt: skip


def test_sets_of_four_clips_with_two_random_sets_of_their_kind_are_grouped() -> None:
    found = groups(MADE)
    assert [*found] == ["dynamic"] and len(found) == 1  # one static random set is too few
    assert found["dynamic"].concepts == found.concepts == ("ball dynamic", "racket dynamic")
    assert found["dynamic"].randoms == ("random dynamic 00", "random dynamic 01")
    assert found["static"].names == () and found.names == found["dynamic"].names
    assert "ball dynamic, racket dynamic  4 to 9      2            8" in str(found.table())
    assert groups(MADE, "centred").concepts == ("racket dynamic centred",)
    assert groups(folder(racket_dynamic=9)).table() is None


def at_hand(made: ConceptFolder, refused: str = "") -> AtHand:
    rows = [SimpleNamespace(clip_id=f"{k}", video=f"{k}") for k in range(5)]
    scoring = type("Five", (SimpleNamespace,), {"__len__": lambda _: 5})(rows=rows)
    return AtHand("<i>tennis", None, made, groups(made), scoring, 4, refused)


def test_twins_and_controls_are_of_one_object() -> None:
    whole = folder(
        racket_dynamic=8, racket_static=8, ball_static=8, random_dynamic_00=8,
        random_dynamic_01=8, random_static_00=8, random_static_01=8,
    )  # fmt: skip
    assert at_hand(whole).twins() == {"racket": ("racket dynamic", "racket static")}
    found = at_hand(MADE)
    assert found.twins() == {} and found.kind("racket static") == "static"
    randoms = found.groups["dynamic"].randoms
    assert found.controls("racket", randoms) == [
        (("racket reversed",), randoms),
        (
            ("racket dynamic centred",),
            ("random dynamic centred 00", "random dynamic centred 01"),
        ),
    ]
    assert found.controls("ball", randoms) == []


def test_another_class_than_the_one_asked_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vxhelpers.concept_sets.at_hand.dependence", lambda *_: "All apart.")
    text = at_hand(MADE).summary()
    assert text == (
        r"5 clips of *\<i\>tennis* are scored; the network recognises 4 of them. All apart. Of the "
        "tracks: none of 40 clips reviewed by a person."
    )
    warning = at_hand(MADE, "<no> detector").summary()
    assert r"explained here: \<no\> detector. What follows" in warning and warning.endswith(text)


@pytest.mark.parametrize(("source", "reason"), [
    (Source(), "name a detector, or a folder of concepts"),
    (Source(concepts="few"), TOO_FEW),
])  # fmt: skip
def test_without_concepts_a_shipped_class_takes_their_place(
    monkeypatch: pytest.MonkeyPatch, source: Source, reason: str
) -> None:
    rows = [SimpleNamespace(clip_id="0")]
    whole = folder(racket_dynamic=8, random_dynamic_00=8, random_dynamic_01=8)
    shipped = ConceptFolder(None, whole.sets, tuple(rows), {}, whole.review, {})
    scoring = SimpleNamespace(rows=rows, clips=[0], labels=[1])
    logits = SimpleNamespace(argmax=lambda _: SimpleNamespace(
        cpu=lambda: SimpleNamespace(numpy=lambda: np.array([1]))))  # fmt: skip
    model = SimpleNamespace(prepare=len, logits=lambda _: logits)
    monkeypatch.setattr(module.make, "read", lambda _: folder(racket_dynamic=8))
    monkeypatch.setattr(module.make, "make", lambda *_, **__: shipped)
    monkeypatch.setattr(module, "open_data", lambda name: name)
    monkeypatch.setattr(module, "load_detector", lambda name: name)
    monkeypatch.setattr(module, "Store", lambda: None)
    monkeypatch.setattr(module.zoo, "load", lambda *_, **__: model)
    monkeypatch.setattr(module.samples, "collect", lambda *_: scoring)
    found = module.at_hand("data", None, "juggling", source, SetCounts(), seed=0)
    assert (found.action, found.model, found.refused) == (SHIPPED, model, reason)
    assert found.recognised == 1 and found.made is shipped
