"""Options of concept sets that cannot be."""

from typing import Any

import pytest
import squares

from vxhelpers.concept_sets.settings import ConceptRequest
from vxhelpers.errors import InputError, UnknownNameError

GOOD: dict[str, Any] = {
    "action": "tennis",
    "objects": ("racket",),
    "count": 30,
    "per_video": 1,
    "sets": 10,
    "random_per_video": 1,
    "random_actions": None,
    "random_targets": False,
    "scoring": 30,
    "split": "test",
    "placements": ("in_place",),
    "controls": (),
    "min_frames": 12,
    "max_frames": 64,
}


def request(action: str, objects: tuple[str, ...], **options: Any) -> ConceptRequest:
    return ConceptRequest(action, objects, squares.settings(**options))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"objects": ()}, "name the objects"),
        ({"objects": ("ball", "ball")}, "each once"),
        ({"objects": ("random thing",)}, "called random"),
        ({"count": 0}, "count=0: must be 1 or more"),
        ({"per_video": 0}, "per_video"),
        ({"max_frames": 11}, "max_frames=11: must be 12 or more"),
        ({"placements": ()}, "at least one placement"),
        ({"fill": (1, 2)}, "each 0 to 255"),
        ({"fill": (1, 2, 256)}, "each 0 to 255"),
        ({"tracking": {"min_frames": 3}}, "option of the clips"),
    ],
    ids=str,
)
def test_bad_options(wrong: dict[str, Any], text: str) -> None:
    request(**GOOD)
    with pytest.raises(InputError, match=text):
        request(**GOOD | wrong)


@pytest.mark.parametrize("wrong", [{"placements": ("center",)}, {"controls": ("",)}], ids=str)
def test_unknown_versions(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnknownNameError, match="known: "):
        request(**GOOD | wrong)
