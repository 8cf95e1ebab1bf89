"""The stage: determinism, balance, ground truth, and what is planted."""

import numpy as np
import pytest

from vxhelpers.data.stage import KTH_SUBJECTS, TASKS, TOOLS, manifest, render
from vxhelpers.data.stage.actor import Body, make_body, reach
from vxhelpers.data.stage.scene import INSTANCES, Instance
from vxhelpers.errors import InputError, UnknownNameError


@pytest.mark.parametrize("task", TASKS)
def test_a_scene_is_a_function_of_its_arguments(task):
    first, again = render(task, "train", 5), render(task, "train", 5)
    assert first.clip.digest() == again.clip.digest()
    assert np.array_equal(first.ids, again.ids)
    others = [render(task, "train", 5, seed=1), render(task, "train", 6), render(task, "val", 5)]
    assert len({scene.clip.digest() for scene in [first, *others]}) == 4


@pytest.mark.parametrize("task", TASKS)
def test_shapes_and_types(task):
    scene = render(task, "test", 3, size=48, frames=5)
    assert scene.clip.frames.shape == (5, 48, 48, 3)
    assert scene.ids.shape == (5, 48, 48) and scene.ids.dtype == np.uint8
    known = {0} | {ident for idents in scene.objects.values() for ident in idents}
    assert set(np.unique(scene.ids)) <= known
    assert all(name in scene.objects for name in scene.planted.decides)
    assert scene.mask("person").any() and scene.mask("ground").any()


def test_the_same_scene_at_any_size():
    small, large = render("motion", "test", 1, size=56), render("motion", "test", 1, size=168)
    for name in ("person", "racket"):
        ratio = large.boxes[name] / small.boxes[name]
        assert np.nanmax(np.abs(large.boxes[name] - 3 * small.boxes[name])) <= 6, ratio
    share = small.mask("person").mean() / large.mask("person").mean()
    assert 0.85 < share < 1.15


def test_kth_is_grey_and_tennis_is_not():
    grey = render("kth", "train", 0).clip.frames
    assert np.array_equal(grey[..., 0], grey[..., 1]) and np.array_equal(grey[..., 1], grey[..., 2])
    colour = render("tennis", "train", 0).clip.frames.astype(int)
    assert np.abs(colour[..., 0] - colour[..., 2]).mean() > 5


@pytest.mark.parametrize("task", TASKS)
def test_any_run_of_indices_is_balanced_and_subjects_do_not_cross_splits(task):
    labels = TASKS[task].labels
    rows = manifest(task).rows
    for split, size in TASKS[task].sizes.items():
        found = [row.label for row in rows if row.split == split]
        assert len(found) == size
        for start in range(0, 24, len(labels)):
            assert sorted(found[start : start + len(labels)]) == sorted(labels)
    scene = render(task, "val", 7, size=16, frames=1)
    row = next(row for row in rows if row.clip_id == f"{task}/val/00007")
    assert row.label == scene.label
    assert scene.subject in KTH_SUBJECTS["val"]
    assert not set(KTH_SUBJECTS["test"]) & (set(KTH_SUBJECTS["train"]) | set(KTH_SUBJECTS["val"]))
    assert sum(map(len, KTH_SUBJECTS.values())) == 25


def test_boxes_bound_the_masks():
    scene = render("motion", "train", 4)
    for name, boxes in scene.boxes.items():
        mask = scene.mask(name)
        for frame, box in zip(mask, boxes, strict=True):
            if np.isnan(box).any():
                assert not frame.any()
                continue
            x0, y0, x1, y1 = box.astype(int)
            assert frame[y0:y1, x0:x1].sum() == frame.sum()
            assert frame[y0].any() and frame[y1 - 1].any()
            assert frame[:, x0].any() and frame[:, x1 - 1].any()


def _with(task, *names, label=None):
    """The first scene of a task's training split that shows these things."""
    for index in range(48):
        scene = render(task, "train", index)
        named = {instance.name for instance in scene.instances}
        if named.issuperset(names) and label in (None, scene.label):
            return scene
    raise AssertionError(f"no scene of {task} with {names}")


@pytest.mark.parametrize("task", TASKS)
def test_instances_share_out_what_the_objects_hold(task):
    """No pixel of a thing belongs to two of its label; together they are the objects."""
    for index in range(8):
        scene = render(task, "train", index)
        things = scene.instances
        assert {thing.label for thing in things} <= set(INSTANCES)
        assert len({thing.name for thing in things}) == len(things)
        for label in INSTANCES:
            ids = [ident for thing in things if thing.label == label for ident in thing.ids]
            assert len(set(ids)) == len(ids), label
        counted = {ident for thing in things for ident in thing.ids}
        assert counted == {i for n, ids in scene.objects.items() if n != "ground" for i in ids}
        for thing in things:
            if thing.name in scene.objects:
                boxes = scene.boxes[thing.name]
                assert np.array_equal(scene.instance_boxes(thing), boxes, equal_nan=True)


def test_a_juggler_has_three_balls_that_go_their_own_ways():
    scene = _with("tennis", "ball 3")
    balls = [thing for thing in scene.instances if thing.label == "ball"]
    assert scene.label == "juggling" and [b.name for b in balls] == ["ball 1", "ball 2", "ball 3"]
    boxes = np.stack([scene.instance_boxes(ball) for ball in balls])
    assert np.isfinite(boxes).all(2).mean() > 0.9
    sides = boxes[..., 2:] - boxes[..., :2]
    assert 2 <= np.nanmedian(sides) <= 6
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    apart = np.linalg.norm(centres[0] - centres[1], axis=-1)
    assert np.nanmedian(apart) > 10
    # A ball is one disc that flies: no jump from one ball to another between frames.
    assert np.nanmax(np.linalg.norm(np.diff(centres, axis=1), axis=-1)) < 20
    # What covers a ball is another thing, so that the union is what the mask always was.
    union = np.isin(scene.ids, [ident for ball in balls for ident in ball.ids])
    assert np.array_equal(union, scene.mask("ball"))


def test_the_bystander_is_a_second_person_with_limbs():
    scene = _with("tennis", "bystander")
    people = [thing for thing in scene.instances if thing.label == "person"]
    assert [person.name for person in people] == ["person", "bystander"]
    heights = [np.nanmedian(np.diff(scene.instance_boxes(p)[:, 1::2])) for p in people]
    assert heights[1] < 0.8 * heights[0]
    for limbs in ("arms", "legs"):
        whole = [thing for thing in scene.instances if thing.label == limbs]
        assert len(whole) == 2
        for person, limb in zip(people, whole, strict=True):
            assert set(limb.ids) < set(person.ids)
            inner, outer = scene.instance_boxes(limb), scene.instance_boxes(person)
            seen = np.isfinite(inner).all(1)
            assert (inner[seen, :2] >= outer[seen, :2]).all()
            assert (inner[seen, 2:] <= outer[seen, 2:]).all()
    assert np.isnan(scene.instance_boxes(people[1])).all(1).mean() < 1


def test_a_thing_out_of_sight_has_no_box():
    for index in range(60):
        scene = render("motion", "train", index)
        (ball,) = (thing for thing in scene.instances if thing.label == "ball")
        boxes, seen = scene.instance_boxes(ball), scene.mask("ball").any((1, 2))
        assert np.array_equal(np.isfinite(boxes).all(1), seen)
        if not seen.all():
            break
    else:
        raise AssertionError("the ball never leaves the picture")


def _racket_path(index):
    scene = render("motion", "train", index)
    boxes = scene.boxes["racket"]
    return scene.label, np.stack([boxes[:, [0, 2]].mean(1), boxes[:, [1, 3]].mean(1)], axis=1)


def test_motion_decides_by_the_sense_of_rotation():
    """The racket's centre runs round one way, the other way, or not at all."""
    turns = {label: [] for label in TASKS["motion"].labels}
    for index in range(18):
        label, path = _racket_path(index)
        steps = np.diff(path, axis=0)
        turn = steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0]
        turns[label].append(np.nanmedian(turn))
    assert max(turns["forehand"]) < 0 < min(turns["reversed forehand"])  # rows grow downwards
    assert np.abs(turns["carrying"]).max() < min(np.abs(turns["forehand"]))


def _features(task, per_label, describe):
    return {
        label: np.array(
            [
                describe(render(task, "train", i, size=32))
                for i in range(per_label * len(TASKS[task].labels))
                if TASKS[task].labels[i % len(TASKS[task].labels)] == label
            ]
        )
        for label in TASKS[task].labels
    }


def test_motion_task_single_frames_follow_one_law():
    """Where the racket and the person are in one frame does not depend on the class."""
    from scipy.stats import ks_2samp

    def describe(scene):
        boxes = [scene.boxes[name][5] for name in ("racket", "person")]
        return np.concatenate([(b[:2] + b[2:]) / 2 for b in boxes])

    places = _features("motion", 40, describe)
    labels = list(places)
    for one in labels:
        for other in labels:
            for axis in range(4):
                p = ks_2samp(places[one][:, axis], places[other][:, axis], method="asymp").pvalue
                assert p > 0.001, (one, other, axis, p)


def test_static_task_motion_follows_one_law_and_place_tells_the_class():
    from scipy.stats import ks_2samp

    speed = _features("static", 40, lambda s: [np.abs(np.diff(s.mask("arms").mean((1, 2)))).mean()])
    labels = list(speed)
    for other in labels[1:]:
        assert ks_2samp(speed[labels[0]][:, 0], speed[other][:, 0], method="asymp").pvalue > 0.001
    for index in range(9):
        scene = render("static", "test", index, size=16, frames=1)
        assert scene.scenario == scene.label.split()[-1]
        assert TOOLS[scene.label] == scene.label.split()[0]


def test_the_shortcut_holds_in_training_and_breaks_in_the_counterfactual():
    def places(split):
        scenes = [render("shortcut", split, i, size=16, frames=1) for i in range(24)]
        return {label: {s.scenario for s in scenes if s.label == label} for label in
                TASKS["shortcut"].labels}  # fmt: skip

    usual = places("train")
    assert all(len(found) == 1 for found in usual.values())
    assert len(set.union(*usual.values())) == len(usual)
    assert places("test") == usual
    elsewhere = places("counterfactual")
    assert all(not usual[label] & elsewhere[label] for label in usual)


def test_errors_name_what_is_wrong():
    with pytest.raises(UnknownNameError, match="did you mean 'motion'"):
        render("motoin", "train", 0)
    with pytest.raises(UnknownNameError, match="unknown split 'counterfactual' in stage:motion"):
        render("motion", "counterfactual", 0)
    with pytest.raises(InputError, match="index must be 0 or more"):
        render("motion", "train", -1)
    with pytest.raises(UnknownNameError, match=r"unknown object 'raquet'.*racket"):
        render("motion", "train", 0, size=16, frames=1).mask("raquet")
    with pytest.raises(UnknownNameError, match=r"unknown instance 'bystander' in stage:motion"):
        scene = render("motion", "train", 0, size=16, frames=1)
        scene.instance_boxes(Instance("person", "bystander", (7,)))


def test_two_bones_meet():
    body: Body = make_body(np.random.default_rng(0))
    joint = reach((0.0, 1.0), (0.3, 0.8), body.upper_arm, body.forearm, bend=1)
    assert np.hypot(joint[0], joint[1] - 1.0) == pytest.approx(body.upper_arm)
    assert np.hypot(joint[0] - 0.3, joint[1] - 0.8) == pytest.approx(body.forearm)
    far = reach((0.0, 0.0), (9.0, 0.0), 0.3, 0.3, bend=1)
    assert np.isfinite(far).all()
