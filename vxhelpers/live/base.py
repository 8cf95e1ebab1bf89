"""What the live widgets share: the last request alone is worked on; pictures and tables as HTML."""

import base64
import functools
import html
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

import cv2
import ipywidgets
import numpy as np

from vxhelpers.data.clip import Frames
from vxhelpers.errors import VxError
from vxhelpers.figures.colours import Scale
from vxhelpers.io.files import asset

T = TypeVar("T")
P = ParamSpec("P")
Check = Callable[[], None]

SIDE = 256  # pixels across a shown frame, as far as whole multiples reach
STYLE = """<style>
.vx-live {color: var(--jp-content-font-color1, inherit); line-height: 1.35; max-width: 60em}
.vx-live figure {display: inline-block; margin: 0 12px 8px 0; vertical-align: top}
.vx-live img {image-rendering: pixelated; display: block; background: #808080}
.vx-live figcaption, .vx-live small {font-size: 12px}
.vx-live table {border-collapse: collapse; margin: 4px 0}
.vx-live th, .vx-live td {padding: 2px 10px 2px 0; text-align: left; font-weight: normal;
 border: 0; background: none; color: inherit}
.vx-live td.number, .vx-live th.number {text-align: right; font-variant-numeric: tabular-nums}
.vx-live tr.strong td {font-weight: bold}
.vx-live .bar {display: inline-block; height: 10px; background: currentColor; opacity: .55}
.vx-live [role=alert] {border-left: 4px solid #D55E00; padding: 6px 10px; margin: 4px 0}
.vx-live p {margin: 2px 0}
</style>"""


class Superseded(BaseException):
    """A newer request waits: what is being worked on is given up. No error."""


class Latest(Generic[T]):
    """Work on the last of many requests, in a thread of its own: nothing queues up.

    Parameters
    ----------
    work
        Called with a request and a function that raises `Superseded` as soon as a newer request
        waits; long work calls that function now and then.
    failed
        Called with what goes wrong, which otherwise would be lost in a log.
    """

    def __init__(
        self, work: Callable[[T, Check], None], failed: Callable[[Exception], None]
    ) -> None:
        self._work, self._failed = work, failed
        self._state = threading.Condition()
        self._waiting: list[T] = []
        self._busy = False

    def ask(self, request: T) -> None:
        """Work on a request as soon as may be, instead of any that waits."""
        with self._state:
            self._waiting = [request]
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._run, daemon=True).start()

    def settle(self, seconds: float = 60) -> bool:
        """Wait until nothing is left to be done; False if that takes longer."""
        with self._state:
            return self._state.wait_for(lambda: not self._busy, seconds)

    def _run(self) -> None:
        while True:
            with self._state:
                if not self._waiting:
                    self._busy = False
                    self._state.notify_all()
                    return
                request = self._waiting.pop()
            try:
                self._work(request, self._check)
            except Superseded:
                continue
            except Exception as error:
                self._failed(error)

    def _check(self) -> None:
        if self._waiting:
            raise Superseded


def shown(build: Callable[P, Any]) -> Callable[P, Any]:
    """Give a message in place of the widget where building it fails for a reason we know.

    Voila hides the errors of cells; a message with the fix helps its readers as well.
    """

    @functools.wraps(build)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return build(*args, **kwargs)
        except (VxError, OSError) as error:
            return ipywidgets.HTML(STYLE + block(alert(error)))

    return wrapper


def alert(error: BaseException) -> str:
    """An error as HTML: our own with its fix, any other with its kind."""
    known = isinstance(error, VxError)
    text = str(error) if known else f"{type(error).__name__}: {error}. Run the cell again."
    return f'<p role="alert">{html.escape(text)}</p>'


def status(text: str) -> str:
    """A line that screen readers tell when it changes."""
    return block(f'<p role="status">{html.escape(text)}</p>')


def block(inner: str) -> str:
    """HTML in the widgets' style."""
    return f'<div class="vx-live">{inner}</div>'


def png(frame: Frames) -> str:
    """A picture ``(H, W, 3)`` or ``(H, W, 4)`` as an address that carries its own data."""
    order = cv2.COLOR_RGB2BGR if frame.shape[-1] == 3 else cv2.COLOR_RGBA2BGRA
    done, data = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(frame), order))
    assert done
    return f"data:image/png;base64,{base64.b64encode(data.tobytes()).decode()}"


def image(frame: Frames, *, alt: str, side: int = SIDE) -> str:
    """A picture, enlarged by a whole number: one pixel of the network is one square."""
    height, width = frame.shape[:2]
    factor = max(1, side // max(height, width))
    size = f'width="{factor * width}" height="{factor * height}"'
    return f'<img {size} alt="{html.escape(alt)}" src="{png(frame)}">'


def figure(frame: Frames, caption: str, *, alt: str, side: int = SIDE) -> str:
    """A picture with a caption below."""
    text = html.escape(caption)
    inner = image(frame, alt=alt, side=side)
    return f"<figure>{inner}<figcaption>{text}</figcaption></figure>"


def colour_bar(scale: Scale, units: str) -> str:
    """The colours between a scale's limits, over grey."""
    table = scale.table()[None].astype(np.float64)
    share = table[..., 3:] / 255
    frame = np.rint(share * table[..., :3] + (1 - share) * 128).astype(np.uint8)
    picture = f'<img width="255" height="10" alt="" src="{png(frame)}">'
    ends = f"{scale.lo:.3g} (blue) to {scale.hi:.3g} (red)".replace("-", "−")
    return f"{picture}<small>{html.escape(units)}: {ends}</small>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, strong: int | None = None) -> str:
    """Cells of HTML as a table; the first column is text, the others are numbers."""
    kinds = ["", *[' class="number"'] * (len(head) - 1)]
    top = "".join(
        f'<th scope="col"{k}>{html.escape(h)}</th>' for k, h in zip(kinds, head, strict=True)
    )
    lines = []
    for place, row in enumerate(rows):
        mark = ' class="strong"' if place == strong else ""
        cells = "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kinds, row, strict=True))
        lines.append(f"<tr{mark}>{cells}</tr>")
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def chances(
    labels: Sequence[str],
    probabilities: Sequence[float],
    before: Sequence[float] | None = None,
    *,
    strong: int | None = None,
    most: int = 10,
) -> str:
    """Probabilities as bars, the likeliest first, with the change where there was one before."""
    order = np.argsort(-np.asarray(probabilities), kind="stable")[:most].tolist()
    if strong is not None and strong not in order:
        order[-1] = strong
    rows = []
    for k in order:
        p = float(probabilities[k])
        bar = f'<span class="bar" style="width:{max(1, round(100 * p))}px"></span>'
        row = [html.escape(labels[k]), f"{p:.3f}"]
        if before is not None:
            row.append(f"{p - float(before[k]):+.3f}".replace("-", "−"))
        rows.append([*row, f'<span style="display:inline-block;width:100px">{bar}</span>'])
    head = ["class", "probability", *(["change"] if before is not None else []), "0 to 1"]
    return table(head, rows, strong=order.index(strong) if strong in order else None)


def boxed(name: str, children: Sequence[Any]) -> Any:
    """A widget's box, with its style, and with names for what ipywidgets leaves nameless."""
    from anywidget import AnyWidget

    class Names(AnyWidget):
        _esm = asset("vxhelpers.live", "names.js")

    box = ipywidgets.VBox([ipywidgets.HTML(STYLE), *children, Names()])
    box.add_class("vx-named")
    box.add_class(f"vx-{name}")
    return box


def described(kind: type[Any], description: str, **options: Any) -> Any:
    """A control with its label in full, as wide as it needs."""
    style = {"description_width": "initial"}
    slider = issubclass(kind, ipywidgets.IntSlider | ipywidgets.FloatSlider)
    layout = {"width": "330px" if slider else "auto", "margin": "2px 12px 2px 2px"}
    return kind(description=description, style=style, layout=layout, **options)


def seldom(call: Callable[[int], None], *, seconds: float = 0.1) -> Callable[[int], None]:
    """Call at most so often: a page needs no more."""
    last = 0.0

    def now_and_then(value: int) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            call(value)

    return now_and_then
