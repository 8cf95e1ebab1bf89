"""File names of objects whose labels are alike."""

from vxhelpers.concept_sets.gathering import slugs_of


def test_labels_become_different_names_of_files() -> None:
    slugs = slugs_of(["tennis racket", "Tennis-racket", "Tênis", "雪", "ball/net"])
    assert len(set(slugs.values())) == len(slugs) == 6
    assert slugs["tennis racket"] == "tennis-racket" and slugs["Tennis-racket"] == "tennis-racket-2"
    assert slugs["random"] == "random" and slugs["雪"] == "object"
    for slug in slugs.values():
        assert slug.isascii() and "/" not in slug and slug == slug.lower()
