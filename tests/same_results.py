"""Whether two builds of the book found the same: figures, metrics, and the numbers in texts.

    python tests/same_results.py BEFORE AFTER [--chapter old=new] [--renamed old=new]

BEFORE and AFTER are build folders (``runs/<class>/<chapter>.ipynb``, ``results/*.parquet``).
Nothing of the package is imported, so that any two states of it compare. By chapter and class:

- Figures are paired by name, else by content, else by a similar caption: all numbers of SVG and
  players, all pixels of pictures. Other labels give an SVG another layout; then the numbers it
  writes are compared, and its axes in shares of their boxes ("relabelled"). Numbers in alternative
  texts, captions and controls are listed apart, as words.
- Metrics are compared by name, in the notebooks and in ``results/``.
- Texts and tables are a bag of numbers; 39% is 0.39. What one side alone has is lost or new;
  "restated" where the other has it with more or fewer digits beside a word that they share. The
  exact values that a table is sorted by must be there again. Left out are provenance, dates and
  hashes, and what IGNORED matches in a sentence, or in row, column and text of a cell of a table.

Last comes one JSON object; the exit status is 0 if nothing is different, lost, new or restated.
"""

import argparse
import base64
import difflib
import html
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

METRIC = "application/vnd.vxhelpers.metric+json"
IGNORED = ("clips a second", r"\d s a unit", "[Ff]astest")  # what a clock says
SETTINGS = ["action", "dataset", "model", "weights", "profile", "seed", "chapter"]
KINDS = ("same", "restated", "lost", "new")
INTERVAL = ("value", "low", "high", "n")
DIGITS = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
WRITTEN = re.compile(r"(?<![\w.#])([-+−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?)(\s?%)?")
NEVER = re.compile(r"\d{4}-\d\d-\d\d|\b(?=\w*[a-f])(?=\w*\d)[0-9a-f]{7,}\b|https?:\S+")
HASHED = re.compile(r"(?<=id=\")\w*?[0-9a-f]{10}(?=\")|(?<=#)\w*?[0-9a-f]{10}\b")
EMBEDDED = re.compile(r"data:image/([\w+]+);base64,\s*([^\"]+)")
SETTING = r"data-(?:config|key)=\"([^\"]+)|<input type=\"range\"([^>]+)"
PLACED = re.compile(r" d=\"[^\"]+\"| x=\"[^\"]+\" y=\"[^\"]+\"")
EXACT = re.compile("\x02(.*?)\x03")
Part = tuple[str, bytes]  # svg, pixels or data, and what it holds
Found = dict[str, list[Any]]  # figures, metrics, numbers, exact (what tables sort by), ignored
Build = dict[tuple[str, str], Found]  # class and chapter


class Number(NamedTuple):
    """A number as it is written somewhere, with the size of its last digit."""

    value: float
    step: float
    context: str


class Figure(NamedTuple):
    """What one output draws, and the numbers in its words."""

    name: str
    caption: str
    parts: list[Part]
    words: list[Number]


def parts_of(source: str) -> Iterator[Part]:
    """Images, and the data and settings of players, in an HTML output; images in SVG apart."""
    for kind, data, *settings in re.findall(f"{EMBEDDED.pattern}|{SETTING}", source):
        if kind.startswith("svg"):
            text = base64.b64decode(data).decode()
            yield from (("pixels", base64.b64decode(image[2])) for image in EMBEDDED.finditer(text))
            text = re.sub("<metadata>.*?</metadata>", "", EMBEDDED.sub("", text), flags=re.DOTALL)
            for k, name in enumerate(dict.fromkeys(HASHED.findall(text))):
                text = text.replace(name, f"hash{k}x")
            yield "svg", text.encode()
        elif kind:
            yield "pixels", base64.b64decode(data)
        else:
            yield "data", html.unescape("".join(settings)).encode()


def text_of(source: str) -> str:
    """The text of HTML, tables as in Markdown; with alternative texts, exact values in marks."""
    text = re.sub(r"<(style|script)\b.*?</\1>", "", source, flags=re.DOTALL)
    text = re.sub(r"<t[dh][^>]*data-value=\"([^\"]+)\"[^>]*>", "\x02\\1\x03", text)
    text = re.sub("</t[dh]>", " | ", re.sub("<tr[^>]*>", "\n| ", text))
    text = re.sub(r"</?(p|div|li|caption|table)\b[^>]*>|<br>", "\n", text)
    return html.unescape(re.sub(r"<img[^>]*? alt=\"([^\"]*)\"[^>]*>|<[^>]+>", r" \1 ", text))


def numbers_in(text: str, where: str = "") -> Iterator[Number]:
    """The numbers of a text, each with the words around it."""
    for match in WRITTEN.finditer(text := NEVER.sub(" ", text)):
        mantissa, _, power = match[1].replace("−", "-").replace(",", "").partition("e")
        tens = int(power or 0) - 2 * bool(match[2])
        around = text[max(match.start() - 40, 0) : match.end() + 30]
        step = 10.0 ** (tens - len(mantissa.partition(".")[2]))
        yield Number(float(f"{mantissa}e{tens}"), step, " ".join(f"{where} {around}".split()))


def read_text(text: str, found: Found, ignore: re.Pattern[str]) -> None:
    """Add the numbers of a text with Markdown tables to what was found."""
    head: list[str] = []
    for line in text.replace("\\", "").splitlines():
        bits = [("", one) for one in re.split(r"(?<=[.:;]) (?=[A-Z*{])", line)]
        cells = line.strip().strip("|").split("|") if line.lstrip().startswith("|") else []
        if head := (head or cells) if cells else []:
            row = EXACT.sub("", cells[0])
            bits = [(f"{row} | {h} |", c) for h, c in zip_longest(head, cells, fillvalue="")]
        for where, bit in bits:
            if ignore.search(f"{where} {bit}"):
                found["ignored"] += [f"{where} {one}" for one, _ in WRITTEN.findall(bit)]
            else:
                found["numbers"] += numbers_in(EXACT.sub("", bit), where)
                found["exact"] += [n for one in EXACT.findall(bit) for n in numbers_in(one, where)]


def read_notebook(path: Path, found: Found, ignore: re.Pattern[str]) -> None:
    """Add what an executed notebook shows to what was found."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell, output in ((one, output) for one in cells for output in one.get("outputs", ())):
        told = cell["metadata"].get("mystnb", {}).get("figure", {})
        name, caption = str(told.get("name", "")), str(told.get("caption", ""))
        data = output.get("data", {"text/plain": output.get("text", "")})
        data = {k: "".join(v) if isinstance(v, list) else v for k, v in data.items()}
        source = data.get("text/html", "")
        text = text_of(source) or data.get("text/markdown", data.get("text/plain", ""))
        for kind, value in data.items():
            if kind.startswith("image/"):
                svg = base64.b64encode(value.encode()).decode()
                source += f'data:{kind};base64,{svg if kind.endswith("xml") else value}"'
            elif kind.endswith("+json"):  # plotly and its like
                source += f'data-config="{html.escape(json.dumps(value, sort_keys=True))}"'
        parts = list(parts_of(source))
        if METRIC in data:
            found["metrics"].append((data[METRIC]["name"], data[METRIC]))
        elif not parts and "vx-provenance" not in source:
            read_text(text, found, ignore)
        elif parts:
            words = [n for one in (caption, *text.splitlines()) for n in numbers_in(one, name)]
            found["figures"].append(Figure(name, caption, parts, words))


def read_build(folder: Path, label: Mapping[str, str], ignore: re.Pattern[str]) -> Build:
    """What every chapter of a build found for every class; renamed chapters under one name."""
    chapters: Build = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.glob("runs/*/*.ipynb")):
        read_notebook(path, chapters[path.parent.name, label.get(path.stem, path.stem)], ignore)
    runs = [pd.read_parquet(path) for path in folder.glob("results/*.parquet")]
    runs.sort(key=lambda run: str(run["finished"].iloc[0]))
    last = {tuple(map(str, run[SETTINGS].iloc[0])): run for run in runs}  # of a repeated run
    for (*target, chapter), run in last.items():
        rows = run.dropna(subset="metric").set_index("metric").to_dict("index")
        key = "results, " + ", ".join(target), label.get(chapter, chapter)
        chapters[key]["metrics"] += rows.items()
    return chapters


def in_axes(svg: str) -> tuple[list[str], npt.NDArray[np.float64]]:
    """What is drawn in the axes, legends aside: styles, and points in shares of the axes."""
    words, shares = [""], [np.zeros(0)]
    for one in re.split('<g id="axes_', re.sub("<defs>.*?</defs>", "", svg, flags=re.DOTALL))[1:]:
        box: list[Any] = []
        for tag in re.findall("<(?:path|use) [^>]*>", one.partition('<g id="legend_')[0]):
            if place := PLACED.search(tag):
                points = np.array(DIGITS.findall(place[0]), float).reshape(-1, 2)
                box = box or [points.min(0), np.ptp(points, 0)]  # the background comes first
                shares.append(((points - box[0]) / box[1]).ravel())
                words.append(DIGITS.sub("", place[0]) + PLACED.sub("", tag))
    return words, np.concatenate(shares)


def apart(old: Part, new: Part) -> tuple[float, str]:
    """How far two parts of figures are apart, relative to their size, and what to say of it."""
    (kind, a), (other, b) = old, new
    if old == new or kind != other:
        return (0.0, "the same") if old == new else (np.inf, f"{kind} became {other}")
    if kind == "pixels":
        one, two = (np.asarray(Image.open(io.BytesIO(x)).convert("RGBA"), int) for x in (a, b))
        if one.shape != two.shape:
            return np.inf, f"a picture of {one.shape[:2]} became one of {two.shape[:2]}"
        worst, (ys, xs) = int(np.abs(one - two).max()), np.nonzero((one - two).any(-1))
        where = f"x {xs.min()}-{xs.max()}, y {ys.min()}-{ys.max()}" if worst else "nowhere"
        return worst / 255, f"{len(xs)} of {one[..., 0].size} pixels, {where}, by up to {worst}"
    texts, what = (a.decode(), b.decode()), "numbers"
    one, two = (np.array(DIGITS.findall(text), float) for text in texts)
    if len({DIGITS.sub("0", text) for text in texts}) > 1:
        labels = [" ; ".join(re.findall("<!-- (.*?) -->", text, re.DOTALL)) for text in texts]
        before, after = (Counter(n.value for n in numbers_in(text)) for text in labels)
        if before != after:
            return np.inf, f"it wrote {[*(before - after)][:5]}, now {[*(after - before)][:5]}"
        (words, one), (others, two) = map(in_axes, texts)
        if kind != "svg" or labels[0] == labels[1] or words != others:
            return np.inf, "another structure"
        what = "relabelled"
    far, size = np.abs(one - two), np.maximum(np.abs(one), np.abs(two))
    counted = ~(far <= (2e-6 if kind == "svg" else 0))  # SVG has six digits after the point
    return float(np.nan_to_num(far[counted] / size[counted], nan=np.inf).max(initial=0)), what


def match(a: list[Any], b: list[Any], *rules: Callable[[Any, Any], bool]) -> list[list[Any]]:
    """Pairs by the first rule that finds them, and what is left of both sides."""
    pairs, left, right = list[Any](), list(a), list(b)
    for rule in rules:
        for x in tuple(left):
            if (y := next((y for y in right if rule(x, y)), None)) is not None:
                left.remove(x)
                right.remove(y)
                pairs.append((x, y))
    return [pairs, left, right]


def compare(a: Found, b: Found, renamed: Mapping[str, str], near: float) -> dict[str, list[str]]:
    """What two builds found in a chapter for a class, in words, by how it compares."""

    def equal(x: Number, y: Number) -> bool:
        return abs(x.value - y.value) <= max(near * abs(x.value), 1e-12)

    def rounded(x: Number, y: Number) -> bool:
        words = set.intersection(*(set(re.findall(r"[^\W\d]{3,}", n.context)) for n in (x, y)))
        return x[1] != y[1] and bool(words) and abs(x[0] - y[0]) <= 0.5001 * max(x[1], y[1])

    pairs, lost, new = match(
        a["figures"],
        b["figures"],
        lambda x, y: bool(x.name) and renamed.get(x.name, x.name) == y.name,
        lambda x, y: x.parts == y.parts,
        lambda x, y: difflib.SequenceMatcher(None, x.caption, y.caption).ratio() > 0.6,
    )
    said: dict[str, list[str]] = defaultdict(list, ignored=a["ignored"])
    said["figures lost"] = [f"{x.name}: {x.caption}" for x in lost]
    said["figures new"] = [f"{x.name}: {x.caption}" for x in new]
    for x, y in pairs:
        found = [apart(*both) for both in zip_longest(x.parts, y.parts, fillvalue=("nothing", b""))]
        worst, what = max(found)
        kind = "relabelled" if (0, "relabelled") in found else "close" if worst else "same"
        kind = f"figures {kind if worst <= near else 'different'}"
        said[kind].append(f"{x.name} -> {y.name}: {what}; largest difference {worst:.3g}")
    ours = {renamed.get(name, name): row for name, row in a["metrics"]}  # the last of a name counts
    theirs = dict(b["metrics"])
    for name in ours | theirs:
        rows = ours.get(name, {}), theirs.get(name, {})
        one, two = (np.array([r.get(k) for k in INTERVAL], float) for r in rows)
        alike = np.allclose(one, two, rtol=near, atol=0, equal_nan=True)
        kind = ("same" if alike else "different") if all(rows) else "lost" if rows[0] else "new"
        said[f"metrics {kind}"].append(f"{name}: {one} {two}")
    bags = [("words", x.words, y.words) for x, y in pairs]
    for what, x, y in (*bags, *((one, a[one], b[one]) for one in ("numbers", "exact"))):
        same, lost, new = match(x, y, lambda x, y: equal(x, y) and x[2][:12] == y[2][:12], equal)
        also, lost, new = match(lost, new, rounded)
        for kind, some in zip(KINDS, (same, also, [*zip(lost)], [*zip(new)]), strict=True):
            told = [" -> ".join(f"{n.value:.10g} in: {n.context}" for n in one) for one in some]
            said[f"{what} {kind}"] += told
    del said["exact new"]  # where a table could not be sorted before
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs=2, type=Path, help="BEFORE and AFTER")
    for flag, told in {
        "--chapter": "old=new; several of a chapter that was split or merged",
        "--renamed": "old=new of a metric or figure, or a file with such lines",
        "--only": "chapter to compare, by its old name",
        "--ignore": "regular expression of what is not compared, beside IGNORED",
    }.items():
        parser.add_argument(flag, action="append", default=[], help=told + "; may be repeated")
    parser.add_argument("--tolerance", type=float, default=1e-6, help="relative (default: 1e-6)")
    args = parser.parse_args()
    labels: list[dict[str, str]] = [{}, {}]
    for old, new in (pair.split("=", 1) for pair in args.chapter):
        labels[0][old] = labels[1][new] = labels[0].get(old) or labels[1].get(new) or old
    given = [Path(one).read_text() if Path(one).is_file() else one for one in args.renamed]
    renamed = dict(line.split("=", 1) for line in "\n".join(given).splitlines() if line)
    ignore = re.compile("|".join((*IGNORED, *args.ignore)))
    before, after = map(read_build, args.folders, labels, (ignore, ignore))
    total: Counter[str] = Counter()
    for key in sorted(k for k in {*before, *after} if not args.only or k[1] in args.only):
        said = compare(before[key], after[key], renamed, args.tolerance)
        total.update({kind: len(some) for kind, some in said.items()})
        print(", ".join(key), "-", "; ".join(f"{k} {len(v)}" for k, v in said.items() if v))
        for kind, some in said.items():
            for one in [] if kind.endswith(("same", "ignored")) else some:
                print(f"    {kind}: {one}")
    wrong = sum(total[k] for k in total if k.endswith(("different", "lost", "new", "restated")))
    print(json.dumps({"same": bool(total) and not wrong, **total}))
    raise SystemExit(bool(wrong) or not total)


if __name__ == "__main__":
    main()
