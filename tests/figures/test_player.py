import base64
import html
import io
import json
import re

import numpy as np
import pytest
from browser import opened
from PIL import Image

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.figures.colours import blend, scale_of
from vxhelpers.figures.player import gallery, player, sprites

T, H, W = 10, 48, 64
LEFT, RIGHT = ".vx-view:nth-child(1) canvas", ".vx-view:nth-child(2) canvas"
PIXELS = """canvas => Array.from(
    canvas.getContext("2d").getImageData(0, 0, 200, 200).data.filter((_, k) => k % 9 == 0))"""


@pytest.fixture
def frames(rng):
    """Blocks of colour, so that compression leaves every frame recognisable."""
    blocks = rng.integers(0, 256, (T, H // 8, W // 8, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((1, 8, 8, 1), np.uint8))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def overlay():
    """A ramp from -2 to 1 across the width, the same in every frame."""
    return np.broadcast_to(np.linspace(-2, 1, W, dtype=np.float32), (T, H, W)).copy()


@pytest.fixture
def masks():
    mask = np.zeros((T, H, W), bool)
    mask[:, 10:30, 20:40] = True
    mask[3] = False
    return {"racket": mask}


def images(shown):
    found = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', shown.markup)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for _, data in found]


def config(shown):
    return json.loads(html.unescape(re.search(r'data-config="([^"]*)"', shown.markup)[1]))


def pixels(shown, canvas):
    return np.array(shown.locator(canvas).evaluate(PIXELS))


def write(path, *parts):
    body = "".join(part._repr_html_() for part in parts)
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{body}</body>", encoding="utf-8")
    return path


def test_sheets_hold_every_frame_and_every_level_in_order(frames, overlay):
    shown = player(frames, fps=8, title="t", alt="a", overlay=overlay)
    pictures, levels = images(shown)
    assert pictures.shape == (2 * H, 8 * W, 3) and levels.shape == (2 * H, 8 * W)
    ninth = pictures[H:, W : 2 * W].astype(int)
    assert np.abs(ninth - frames[9]).mean() < 12 < np.abs(ninth - frames[8]).mean()
    assert pictures[H:, 2 * W + 8 :].mean() < 3
    assert (config(shown)["lo"], config(shown)["hi"]) == (-2, 2)
    np.testing.assert_array_equal(
        levels[:H, :W], np.broadcast_to(np.rint((np.linspace(-2, 1, W) + 2) / 4 * 254), (H, W))
    )


@pytest.mark.parametrize(("count", "tile", "off"), [(10, (64, 48), 0), (48, (256, 192), 4)])
def test_sprites_are_exact_while_small_and_reduced_when_large(frames, count, tile, off):
    scale = tile[0] // W * (2 if off else 1)
    large = np.kron(np.resize(frames, (count, H, W, 3)), np.ones((1, scale, scale, 1), np.uint8))
    data, *size = sprites(large, columns=7)
    sheet = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert tuple(size) == tile and sheet.shape == (-(-count // 7) * tile[1], 7 * tile[0], 3)
    ninth = sheet[tile[1] : 2 * tile[1], 2 * tile[0] : 3 * tile[0]]
    wanted = np.kron(frames[9], np.ones((tile[0] // W, tile[0] // W, 1), int))
    assert np.abs(ninth - wanted).mean() <= off


def test_large_inputs_are_reduced_and_the_limits_are_those_of_the_raw_map(frames, overlay):
    overlay[0, 0, 0] = 10
    shown = player(frames, fps=8, title="t", alt="a", overlay=overlay, max_side=32, heat_side=16)
    pictures, levels = images(shown)
    assert pictures.shape == (2 * 24, 8 * 32, 3) and levels.shape == (2 * 12, 8 * 16)
    assert config(shown)["hi"] == 10


def test_values_beyond_given_limits_are_told(frames, overlay):
    shown = player(frames, fps=8, title="t", alt="a", overlay=overlay, limits=(-1, 1))
    share = (overlay < -1).mean()
    assert f"{share:.1%} of the values lie beyond" in shown.markup
    assert "lie beyond" not in player(frames, fps=8, title="t", alt="a", overlay=overlay).markup


def test_text_from_data_is_escaped(frames, overlay, masks):
    nasty = "</script><img src=x onerror=\"alert(1)\"> & 'q'"
    shown = player(
        frames,
        fps=8,
        title=nasty,
        alt=nasty,
        overlay=overlay,
        outlines={nasty: masks["racket"]},
        units=nasty,
    )
    assert "<img src=x" not in shown.markup and 'onerror="' not in shown.markup
    assert "</script><img" not in shown._repr_html_() and html.escape(nasty) in shown.markup


def test_fragment_has_no_ids_no_globals_and_no_addresses(frames, overlay, masks):
    text = player(frames, fps=8, title="t", alt="a", overlay=overlay, outlines=masks)._repr_html_()
    assert not re.search(r"\bid=|https?:|url\(|\bon\w+=\"|window\.|@import", text)
    assert len(re.search(r"<script>(.*)</script>", text, re.S)[1]) < 4096


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"overlay": np.zeros((T, H, W + 1))},
            InputError,
            r"racket: overlay of shape \(10, 48, 65\)",
        ),
        ({"overlay": np.full((T, H, W), np.nan)}, NotFiniteError, "30720 values that are NaN"),
        ({"outlines": {"ball": np.zeros((H, W), bool)}}, InputError, "outline 'ball' of shape"),
        ({"fps": 0}, InputError, "racket: frames a second"),
        ({"opacity": 1.5}, InputError, "opacity must be between 0 and 1"),
        ({"overlay": np.zeros((T, H, W)), "limits": (1, 1)}, InputError, "in order"),
        ({"overlay": np.zeros((T, H, W)), "limits": (-1, 2)}, InputError, r"use \(-2.0, 2.0\)"),
        ({"max_side": 1}, InputError, "max_side"),
    ],
)
def test_bad_input_is_named(frames, options, error, message):
    with pytest.raises(error, match=message):
        player(frames, **{"fps": 8, "title": "racket", "alt": "a"} | options)


def test_bad_frames_and_empty_galleries_are_refused(frames):
    with pytest.raises(InputError, match=r"clip: a clip needs uint8 frames"):
        player(frames[..., 0], fps=8, title="clip", alt="a")
    with pytest.raises(InputError, match="needs players and columns, not 0 and 2"):
        gallery([])


def test_gallery_shares_one_script(frames):
    shown = gallery([player(frames, fps=8, title=str(i), alt="a") for i in range(5)], columns=3)
    text = shown._repr_html_()
    assert text.count("<script>") == text.count("<style>") == 1
    assert text.count('class="vx-player"') == 5 and "--columns:3" in text


@pytest.mark.slow
def test_player_in_a_browser(tmp_path, frames, overlay, masks):
    whole = player(frames, fps=20, title="one", alt="a", overlay=overlay, outlines=masks, start_s=2)
    plain = player(frames, fps=20, title="plain", alt="a")
    path = write(tmp_path / "page.html", whole, gallery([plain, whole]), whole)
    with opened(path) as page:
        page.wait_for_selector(".vx-players:last-child .vx-on")
        assert page.locator(".vx-on").count() == 4
        one = page.locator(".vx-player").first
        label, slider = one.locator(".vx-time"), one.locator(".vx-frame")
        assert label.inner_text() == "6/10 · 2.25 s"  # the middle frame, and nothing moves
        page.wait_for_timeout(200)
        assert label.inner_text() == "6/10 · 2.25 s"

        slider.fill("2")
        assert label.inner_text() == "3/10 · 2.10 s"
        assert slider.get_attribute("aria-valuetext") == "frame 3 of 10, 2.10 seconds"
        assert page.locator(".vx-time").nth(1).inner_text().startswith("6/10")  # others stay

        outlined = pixels(one, RIGHT)
        one.locator(".vx-outlines").uncheck()
        covered = pixels(one, RIGHT)
        one.locator(".vx-opacity").fill("0")
        bare, clip = pixels(one, RIGHT), pixels(one, LEFT)
        assert np.abs(bare - clip).max() <= 2  # rounding of the two canvases
        assert np.abs(covered - bare).max() > 50 < np.abs(outlined - covered).max()

        slider.focus()
        page.keyboard.press("ArrowRight")
        assert label.inner_text().startswith("4/10")
        before = one.locator(LEFT).evaluate("canvas => canvas.toDataURL()")
        one.locator(".vx-play").focus()
        page.keyboard.press("Enter")
        assert one.locator(".vx-play").inner_text().endswith("Pause")
        changed = "before => document.querySelector('canvas').toDataURL() != before"
        page.wait_for_function(changed, arg=before)
        moving = label.inner_text()
        page.wait_for_function(
            "moving => document.querySelector('.vx-time').textContent != moving", arg=moving
        )
        page.keyboard.press("Enter")
        assert one.locator(".vx-play").inner_text().endswith("Play")
        stopped = label.inner_text()
        page.wait_for_timeout(200)
        assert label.inner_text() == stopped


@pytest.mark.slow
def test_colours_and_values_in_the_browser_are_those_of_the_scale(tmp_path, overlay):
    grey = np.full((T, H, W, 3), 128, np.uint8)
    shown = player(grey, fps=8, title="t", alt="a", overlay=overlay, opacity=1)
    with opened(write(tmp_path / "page.html", shown)) as page:
        page.wait_for_selector(".vx-on")
        canvas = page.locator(RIGHT)
        width = canvas.evaluate("c => c.width")
        for x in (1, 10, 42, 60):
            at = f"c => [...c.getContext('2d').getImageData({width * (x + 0.5) / W}, 9, 1, 1).data]"
            expected = blend(grey[0, :1], overlay[0, :1], scale_of(overlay), opacity=1)[0, x]
            np.testing.assert_allclose(canvas.evaluate(at)[:3], expected, atol=6)
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 10.5 / W, box["y"] + box["height"] / 2)
        readout = page.locator(".vx-value").inner_text().removeprefix("here: ").replace("−", "-")
        assert float(readout) == pytest.approx(overlay[0, 0, 10], abs=4 / 254)


@pytest.mark.slow
def test_nothing_is_wider_than_the_page(tmp_path, frames, overlay, masks):
    shown = player(frames, fps=8, title="A title " * 9, alt="a", overlay=overlay, outlines=masks)
    with opened(write(tmp_path / "page.html", gallery([shown] * 3, columns=3))) as page:
        page.wait_for_selector(".vx-on")
        for width in (1200, 760, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            for element in page.locator(".vx-player").all():
                assert element.evaluate("e => e.scrollWidth <= e.clientWidth")


@pytest.mark.slow
def test_frames_are_shown_without_script(tmp_path, frames):
    shown = player(frames, fps=8, title="t", alt="what it shows")
    path = tmp_path / "page.html"
    path.write_text(re.sub(r"<script>.*</script>", "", shown._repr_html_(), flags=re.S), "utf-8")
    with opened(path) as page:
        assert page.locator("img.vx-sheet").is_visible()
        assert page.locator("img.vx-sheet").get_attribute("alt").startswith("what it shows")
        assert not page.locator(".vx-controls").is_visible()


@pytest.mark.slow
def test_player_starts_where_a_notebook_inserts_it(tmp_path, frames):
    """A notebook sets innerHTML, which runs no script, and then puts fresh script elements in."""
    blank = tmp_path / "page.html"
    blank.write_text("<!doctype html><meta charset=utf-8><body></body>", "utf-8")
    shown = player(frames, fps=10, title="t", alt="a")
    with opened(blank) as page:
        page.evaluate(
            """text => {
                const host = document.createElement("div");
                host.innerHTML = text;
                for (const old of host.querySelectorAll("script")) {
                    const fresh = document.createElement("script");
                    fresh.textContent = old.textContent;
                    old.replaceWith(fresh);
                }
                document.body.append(host);
            }""",
            shown._repr_html_(),
        )
        page.wait_for_selector(".vx-on")
        assert page.locator(".vx-time").inner_text() == "6/10 · 0.50 s"
