import base64
import html
import io
import re

import matplotlib
import numpy as np
import pytest
from browser import opened
from matplotlib import pyplot
from PIL import Image

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.figures import charts, filmstrips
from vxhelpers.figures.colours import DESATURATE, LEVELS, Scale, blend, scale_of
from vxhelpers.figures.detections import detections

T, H, W = 7, 24, 32
CURVES = {"train_loss": [1.0, 0.5], "val_loss": [1.1, 0.6], "val_accuracy": [0.4, 0.9]}


@pytest.fixture
def clip():
    return np.random.default_rng(0).integers(0, 256, (T, H, W, 3), dtype=np.uint8)


@pytest.fixture
def heat():
    return np.broadcast_to(np.linspace(-2, 1, W), (T, H, W)).copy()


def scenes(clip, name="name"):
    mask = np.zeros((H, W), bool)
    mask[5:15, 5:15] = True
    return filmstrips.scene_gallery(
        [clip[0], clip[1]],
        [name, "second"],
        masks=[{"racket": mask}, {}],
        boxes=[{}, {"ball": np.array([1.0, 2, 9, 12]), "hidden": np.full(4, np.nan)}],
        decides=[["racket"], []],
    )


def found(clip, name="name", **options):
    """Two frames with detections, the second of which has none."""
    boxes = [
        np.array([[2, 3, 12, 20], [2, 3, 8, 9.5], [28, 1, 32, 6]], np.float32),
        np.empty((0, 4)),
    ]
    labels = [[name, "ball", "ball"], []]
    return detections(clip[:2], boxes, labels, [[0.97, 0.1, 0.5], []], **options)


PATH = np.array([[0.2, 0.5], [0.4, 0.5], [0.4, 0.25]])


def everything(clip, heat, name="name"):
    """One of each illustration, with a name of the caller's wherever the data bring one."""
    return {
        "filmstrip": filmstrips.filmstrip({name: clip, "b": clip[:2, :12]}, fps=8),
        "overlay": filmstrips.overlay_filmstrip(clip, {name: heat}, fps=8),
        "scenes": scenes(clip, name),
        "confusion": charts.confusion([[5, 1], [0, 0]], [name, "b"]),
        "accuracies": charts.accuracies({name: {"normal": (0.9, 0.8, 0.95)}}, chance=0.5),
        "training": charts.training_curves(CURVES, best=2, alt=name),
        "time": charts.over_time({name: heat[:, 0, 0]}, fps=8, spans={"swing": (0.2, 0.5)}),
        "detections": found(clip, name, weak=0.25, titles=["frame 1", "frame 2"]),
        "paths": charts.trajectories({"in place": {name: [PATH]}, "centred": {name: [PATH * 0]}}),
        "energy": charts.energy_area({name: (np.array([0.2, 0.3]), np.array([0.1, 0.1]))}),
    }


def image(shown):
    kind, data = re.search(
        r'src="data:image/([\w+]+);base64,([^"]+)"', shown._repr_html_()
    ).groups()
    return kind, base64.b64decode(data)


def strips(shown):
    """The strips of frames of a figure, top to bottom."""
    return [np.asarray(ax.images[0].get_array()) for ax in shown.figure.axes if ax.images]


def test_colours_of_a_scale():
    table = Scale(-2, 2).table()
    assert table.shape == (LEVELS, 4)
    assert table[127, 3] == 0 and table[0, 3] == table[-1, 3] == 255  # zero is see-through
    np.testing.assert_array_equal(table[:, 3], table[::-1, 3])
    assert table[-1, 0] > table[-1, 2] and table[0, 2] > table[0, 0]  # red above, blue below
    light = Scale(0, 1).table()[:, :3] @ [0.21, 0.72, 0.07]
    assert (np.diff(light) > -2).all() and light[-1] > light[0] + 100  # ordered in lightness


def test_levels_are_exact_at_the_limits_and_at_zero():
    scale = Scale(-3, 3)
    np.testing.assert_array_equal(
        scale.quantise(np.array([-9.0, -3, 0, 3, 9])), [0, 0, 127, 254, 254]
    )
    assert scale.outside(np.array([-9.0, -3, 0, 9])) == 0.5
    values = np.linspace(-3, 3, 999)
    assert np.abs(scale.quantise(values) / 254 * 6 - 3 - values).max() <= 6 / 254 / 2 + 1e-9


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        ([[1.0, -3]], (-3, 3)),
        ([[1.0, 0], [5.0, 2]], (0, 5)),
        ([[1.0], [-0.5]], (-1, 1)),
        ([[0.0]], (0, 1)),
    ],
)
def test_limits_cover_the_maps_and_keep_zero_in_place(maps, expected):
    scale = scale_of(*map(np.array, maps))
    assert (scale.lo, scale.hi) == expected and scale.signed == (expected[0] < 0)


def test_blend_follows_its_formula(clip):
    maps = np.zeros((T, H, W))
    np.testing.assert_array_equal(blend(clip, maps, Scale(-1, 1), opacity=0), clip)
    grey = np.full_like(clip, 90)
    np.testing.assert_array_equal(blend(grey, maps, Scale(-1, 1), opacity=1), grey)
    full = blend(clip, maps + 1, Scale(-1, 1), opacity=1)
    np.testing.assert_array_equal(full, np.broadcast_to(Scale(-1, 1).table()[-1, :3], full.shape))
    red = np.array([[[255, 0, 0]]], np.uint8)
    luma = 0.3 * 255
    expected = [255 + DESATURATE / 2 * (luma - 255), DESATURATE / 2 * luma]
    np.testing.assert_allclose(
        blend(red, np.zeros((1, 1)), Scale(0, 1), opacity=0.5)[0, 0, :2], expected, atol=1
    )


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (-1, 2), (np.nan, 1), (0, np.inf)], ids=str)
def test_limits_that_cannot_be_drawn(limits):
    with pytest.raises(InputError, match="limits"):
        scale_of(np.ones(3), limits=limits)


def test_strips_show_the_sampled_frames_in_order(clip):
    (strip,) = strips(filmstrips.filmstrip({"a": clip}, frames=3))
    for k, index in enumerate((0, 3, 6)):
        np.testing.assert_array_equal(strip[:, k * (W + 1) : k * (W + 1) + W], clip[index])
    shown = filmstrips.filmstrip({"a": clip[:2]}, frames=6, fps=4)
    assert [t.get_text() for t in shown.figure.axes[0].get_xticklabels()] == ["0.00 s", "0.25 s"]
    each = filmstrips.filmstrip({"a": clip[:2], "b": clip[:2]}, fps={"a": 4, "b": 10})
    times = [[t.get_text() for t in ax.get_xticklabels()] for ax in each.figure.axes]
    assert times == [["0.00 s", "0.25 s"], ["0.00 s", "0.10 s"]]


def test_pictures_of_several_videos_have_names(clip):
    shown = filmstrips.filmstrip(
        {"a": clip[:2], "b": clip[2:4]}, names={"a": "xy", "b": ["z", "w"]}
    )
    names = [[t.get_text() for t in ax.get_xticklabels()] for ax in shown.figure.axes]
    assert names == [["x", "y"], ["z", "w"]]
    with pytest.raises(InputError, match="b: 2 pictures need as many names"):
        filmstrips.filmstrip({"b": clip[:2]}, names={"b": ["z"]})


def test_overlay_shares_limits_unless_told(clip, heat):
    maps = {"a": heat, "b": heat * 0.01}
    top, first, second = strips(filmstrips.overlay_filmstrip(clip, maps, frames=2))
    np.testing.assert_array_equal(top[:, :W], clip[0])
    np.testing.assert_array_equal(first[:, :W], blend(clip[0], heat[0], Scale(-2, 2)))
    np.testing.assert_array_equal(second[:, :W], blend(clip[0], heat[0] * 0.01, Scale(-2, 2)))
    alone = strips(filmstrips.overlay_filmstrip(clip, maps, frames=2, shared=False))[2]
    np.testing.assert_array_equal(alone[:, :W], first[:, :W])
    told = filmstrips.overlay_filmstrip(clip, maps, shared=False, units="logit").alt
    assert "a (logit) from -2 to 2" in told and "b (logit) from -0.02 to 0.02" in told


def test_limits_come_from_all_frames_not_from_those_drawn(clip, heat):
    heat[1] = 8
    shown = filmstrips.overlay_filmstrip(clip, {"a": heat}, frames=2)
    assert "from -8 to 8" in shown.alt


def test_a_scale_that_covers_most_values_shows_those_that_one_pixel_would_hide(clip, heat):
    heat[0, 0, 0] = 1000
    shown = filmstrips.overlay_filmstrip(clip, {"a": heat}, frames=2, shared=False, covered=0.99)
    np.testing.assert_array_equal(strips(shown)[1][:, :W], blend(clip[0], heat[0], Scale(-2, 2)))
    assert "a (relevance) from -2 to 2" in shown.alt
    empty = filmstrips.overlay_filmstrip(clip, {"a": heat * 0}, shared=False, covered=0.99)
    assert "from 0 to 1" in empty.alt
    for wrong in ({"covered": 0.9}, {"covered": 0.0, "shared": False}, {"covered": 1.1}):
        with pytest.raises(InputError, match="covered="):
            filmstrips.overlay_filmstrip(clip, {"a": heat}, **wrong)


def test_an_outline_is_drawn_on_maps_alone(clip, heat):
    known = np.zeros(clip.shape[:3], bool)
    known[:, 5:15, 5:15] = True
    shown = filmstrips.overlay_filmstrip(clip, {"a": heat}, frames=2, outline=known, units="")
    top, below = strips(shown)
    np.testing.assert_array_equal(top[:, :W], clip[0])
    changed = (below[:, :W] != blend(clip[0], heat[0], Scale(-2, 2))).any(-1)
    assert changed[5, 10] and changed[10, 5] and changed[14, 10] and not changed[10, 10]
    assert (below[5, 10] == [240, 228, 66]).all() and not changed[20:].any()
    assert "a from -2 to 2" in shown.alt
    with pytest.raises(InputError, match="outline of shape"):
        filmstrips.overlay_filmstrip(clip, {"a": heat}, outline=known[1:])


def test_deciding_objects_have_a_heavy_line(clip):
    shown = scenes(clip)
    assert "name: racket decides; second." in shown.alt
    legend = shown.figure.legends[0]
    assert [t.get_text() for t in legend.get_texts()] == ["racket (decides)", "ball", "hidden"]
    heavy, light, _ = (line.get_linewidth() for line in legend.get_lines())
    assert heavy > 2 * light


def test_detections_have_box_label_and_confidence_in_one_colour_a_label(clip):
    shown = found(clip, "person", weak=0.25, titles=["first", "second"])
    assert "first: person 0.97, ball 0.10, ball 0.50; second: nothing." in shown.alt
    ax, empty = shown.figure.axes
    np.testing.assert_array_equal(ax.images[0].get_array(), clip[0])
    texts = {text.get_text(): text for text in ax.texts}
    assert list(texts) == ["person 0.97", "ball 0.10", "ball 0.50"]
    boxes = [line for line in ax.lines if line.get_color() != "black"]
    assert len(boxes) == 3 and len(ax.lines) == 6  # each on a black edge
    np.testing.assert_array_equal(boxes[0].get_xdata(), [1.5, 11.5, 11.5, 1.5, 1.5])
    np.testing.assert_array_equal(boxes[0].get_ydata(), [2.5, 2.5, 19.5, 19.5, 2.5])
    assert boxes[0].get_color() == texts["person 0.97"].get_color() != boxes[1].get_color()
    assert boxes[1].get_color() == boxes[2].get_color() == texts["ball 0.10"].get_color()
    assert [line.is_dashed() for line in boxes] == [False, True, False]
    assert not empty.texts and not empty.lines


@pytest.mark.parametrize("columns", [1, 2])
def test_texts_beside_boxes_stay_on_the_picture_and_off_each_other(columns):
    frame = np.zeros((112, 112, 3), np.uint8)
    corners = np.array([[0, 0, 9, 9], [0, 0, 112, 112], [100, 100, 112, 112], [40, 40, 60, 60]])
    boxes = np.repeat(corners, 3, axis=0)  # the same box three times over
    labels = ["person", "racket", "ball"] * 4
    shown = detections(
        [frame] * columns, [boxes] * columns, [labels] * columns, [[0.5] * 12] * columns,
        columns=columns,
    )  # fmt: skip
    shown.figure.draw_without_rendering()
    ax = shown.figure.axes[0]
    extents = [text.get_window_extent() for text in ax.texts]
    picture = ax.get_window_extent().padded(2)
    assert all(picture.contains(e.x0, e.y0) and picture.contains(e.x1, e.y1) for e in extents)
    assert not any(a.overlaps(b) for k, a in enumerate(extents) for b in extents[:k])


def test_trajectories_are_on_one_scale_with_their_end_marked():
    paths = {"in place": {"racket": [PATH, PATH[::-1]]}, "centred": {"racket": [PATH * 0 + 0.5]}}
    shown = charts.trajectories(paths)
    place, centred = shown.figure.axes
    np.testing.assert_array_equal(np.transpose(place.lines[0].get_data()), PATH)
    np.testing.assert_array_equal(np.transpose(place.lines[1].get_data()), PATH[-1:])
    assert place.get_xlim() == centred.get_xlim() and place.get_ylim() == (1, 0)  # as in a picture
    assert "in place: 2 paths of racket over 0.20 of the width and 0.25 of the height" in shown.alt
    assert "centred: 1 paths of racket over 0.00" in shown.alt


def test_long_names_over_time_stay_within_the_figure() -> None:
    names = ("map, first layer", "map, last layer", "the mask in cells of the last layer")
    figure = charts.over_time({name: np.arange(3.0) for name in names}, fps=4).figure
    figure.canvas.draw()
    inside, legend = figure.bbox, figure.legends[0].get_window_extent()
    assert inside.x0 <= legend.x0 and legend.x1 <= inside.x1


def test_charts_tell_their_figures():
    table = [[8, 2, 0], [1, 9, 0], [0, 0, 0]]
    assert "17 of 20 clips" in charts.confusion(table, list("abc")).alt
    assert "Most frequent error: a as b, 2" in charts.confusion(table, list("abc")).alt
    texts = [t.get_text() for t in charts.confusion(table, list("abc")).figure.axes[0].texts]
    assert texts == ["8\n80%", "2\n20%", "1\n10%", "9\n90%"]
    shown = charts.accuracies({"C3D": {"frozen": (0.3, 0.2, 0.5)}}, chance=1 / 3)
    assert "C3D: frozen 0.30 [0.20, 0.50]" in shown.alt and "0.33" in shown.alt
    named = charts.accuracies(
        {"C3D": {"ball": (0.3, 0.2, 0.5)}}, chance=0.2, units="share of clips"
    )
    assert named.alt.startswith("Share of clips with intervals")
    assert named.figure.axes[0].get_ylabel() == "share of clips"
    times = charts.over_time({"racket": np.array([0.0, 3, 1])}, fps=4)
    assert "racket is largest at 0.25 s" in times.alt


def test_energy_has_the_interval_of_students_t():
    energy = np.array([0.1, 0.2, 0.3, 0.4])
    shown = charts.energy_area({"racket": (energy, np.full(4, 0.05))})
    half = 3.182446 * np.std(energy, ddof=1) / 2  # t of 3 degrees of freedom
    assert f"racket: 0.25 ± {half:.2f} on 0.05 of the area, n = 4" in shown.alt


def test_every_illustration_is_an_image_with_escaped_alternative_text(clip, heat):
    nasty = "<b>\"a\"</b> & 'c'"
    for kind, shown in everything(clip, heat, nasty).items():
        text = shown._repr_html_()
        assert f'alt="{html.escape(shown.alt)}"' in text, kind
        assert nasty in shown.alt and nasty not in text, kind
        form, data = image(shown)
        if shown.picture:
            assert form == "webp"
            assert Image.open(io.BytesIO(data)).width == round(200 * shown.figure.get_figwidth())
        else:
            assert form == "svg+xml" and b"<svg" in data


def test_figures_repeat_exactly_and_leave_no_state_behind(clip, heat):
    before = dict(matplotlib.rcParams)
    first, second = everything(clip, heat), everything(clip, heat)
    assert {k: image(v) for k, v in first.items()} == {k: image(v) for k, v in second.items()}
    assert pyplot.get_fignums() == [] and dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda c, h: filmstrips.filmstrip({}), InputError, "at least one clip"),
        (lambda c, h: filmstrips.filmstrip({"x": c[..., 0]}), InputError, "x: needs uint8 frames"),
        (lambda c, h: filmstrips.filmstrip({"x": c}, frames=0), InputError, "not 0"),
        (
            lambda c, h: filmstrips.overlay_filmstrip(c, {"m": h[1:]}),
            InputError,
            "map 'm' of shape",
        ),
        (
            lambda c, h: filmstrips.overlay_filmstrip(c, {"m": h * np.nan}),
            NotFiniteError,
            "5376 values",
        ),
        (
            lambda c, h: filmstrips.overlay_filmstrip(c, {"m": h}, shared=False, limits=(0, 1)),
            InputError,
            "shared=True",
        ),
        (lambda c, h: filmstrips.scene_gallery([c[0]], []), InputError, "needs a title"),
        (
            lambda c, h: filmstrips.scene_gallery(
                [c[0]], ["t"], masks=[{"m": np.ones((2, 2), bool)}]
            ),
            InputError,
            "t: mask 'm'",
        ),
        (lambda c, h: detections([c[0]], [], [], []), InputError, "1 frames need boxes"),
        (
            lambda c, h: detections([c[0]], [np.ones((2, 4))], [["a"]], [[0.5]]),
            InputError,
            "2 boxes, 1 labels and 1 values",
        ),
        (lambda c, h: charts.trajectories({"in place": {}}), InputError, "nothing to draw"),
        (
            lambda c, h: charts.trajectories({"a": {"b": [np.ones((3, 3))]}}),
            InputError,
            r"a, b: a path is \(T, 2\)",
        ),
        (
            lambda c, h: charts.trajectories({"a": {"b": [np.full((3, 2), np.nan)]}}),
            NotFiniteError,
            "a, b: 6 values",
        ),
        (lambda c, h: charts.confusion([[1, 2]], ["a", "b"]), InputError, r"\(1, 2\)"),
        (lambda c, h: charts.accuracies({}, chance=0.5), InputError, "nothing to draw"),
        (
            lambda c, h: charts.accuracies({"m": {"n": (0.5, 0.6, 0.7)}}, chance=0.5),
            InputError,
            "within its interval",
        ),
        (lambda c, h: charts.training_curves({"loss": [1]}), InputError, "'loss'"),
        (
            lambda c, h: charts.training_curves({"val_loss": [np.nan]}),
            NotFiniteError,
            "val_loss: 1 values",
        ),
        (lambda c, h: charts.over_time({}, fps=8), InputError, "needs series"),
        (lambda c, h: charts.energy_area({"r": ([0.1], [0.1])}), InputError, "r: 1 energies"),
    ],
)
def test_bad_input_is_named(clip, heat, draw, error, message):
    with pytest.raises(error, match=message):
        draw(clip, heat)


@pytest.mark.slow
def test_illustrations_in_a_browser(tmp_path, clip, heat):
    shown = everything(clip, heat)
    path = tmp_path / "page.html"
    body = "".join(one._repr_html_() for one in shown.values())
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{body}", encoding="utf-8")
    with opened(path) as page:
        for width in (1200, 390):
            page.set_viewport_size({"width": width, "height": 900})
            sizes = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.clientWidth])")
            assert len(sizes) == len(shown) and all(natural and drawn for natural, drawn in sizes)
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_signed_quantity_is_zero_centred_without_negative_values():
    ones = np.ones((2, 3, 3))
    assert (scale_of(ones).lo, scale_of(ones).hi) == (0.0, 1.0)
    assert (scale_of(ones, signed=True).lo, scale_of(ones, signed=True).hi) == (-1.0, 1.0)
