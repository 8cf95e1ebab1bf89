"""The command ``vx benchmark``: methods, yours too, held against planted evidence."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Column, Table

from vxhelpers.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from vxhelpers.attribution.registry import Method
    from vxhelpers.evaluation.planted import Line, Trial
    from vxhelpers.evaluation.planted_concepts import Entrant

console = Console()
TASKS = ("motion", "static", "shortcut")
COLUMNS = (*((task, "where") for task in TASKS), ("motion", "when"), ("motion", "what"))


def benchmark(
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="Name, or `my_module:my_method`; may be repeated. [default: all named that make "
            "maps at once]"
        ),
    ] = None,
    net: Annotated[
        list[str] | None, typer.Option(help="Shipped network; may be repeated. [default: r3d]")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="Planted task; may be repeated. [default: motion, static, shortcut]"),
    ] = None,
    count: Annotated[int, typer.Option(min=2, help="Clips of each task.")] = 12,
    seed: Annotated[int, typer.Option(help="Of clips and of random methods.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file to write, and to go on with.")] = None,
    names: Annotated[bool, typer.Option("--list", help="Only list the named methods.")] = False,
) -> None:
    """Ask methods where, when and what the planted evidence is; chance scores one half.

    A method of your own is a function `(model, x, *, target, rng)` that returns raw signed maps
    `(N, T, H, W)` of prepared clips `x`; network-independent baselines show what a score means.

        vx benchmark --method Grad-CAM --method RISE --method "centre blob"

        PYTHONPATH=. vx benchmark --method my_module:my_method --net r3d --net c3d

        vx benchmark --net c3d --net r3d --net i3d --count 24 --out leaderboard.json

    STCE and Video-TCAV first make concepts of training clips, minutes for each network, and take
    part when they are named. Those who answer fewer questions are listed below the others.
    """
    from vxhelpers.attribution import registry as known
    from vxhelpers.attribution.registry import YOURS, find
    from vxhelpers.evaluation.planted_concepts import ENTRANTS

    everyone: dict[str, Method | Entrant] = {one.name: one for one in known.METHODS} | {**ENTRANTS}
    if names:
        for one in everyone.values():
            console.print(f"{one.name}  [dim]{one.family}[/dim]")
        return
    for name in method or ():
        if ":" not in name and name not in everyone:
            raise UnknownNameError("method", name, everyone, where="vx benchmark --list")
    requested = [find(name) if ":" in name else everyone[name] for name in method or ()]
    chosen = requested or [*known.METHODS]
    nets, tasks = net or ["r3d"], task or [*TASKS]
    options = {"tasks": tasks, "count": count, "seed": seed}
    own = {one.name for one in chosen if one.family == YOURS}  # may have changed since: run anew
    lines = [line for line in _load(out, options) if line.method not in own]
    there = {(line.method, line.net) for line in lines}
    with Progress(console=console) as bar:
        all_ = bar.add_task("methods", total=len(nets) * len(chosen))
        for name in nets:
            missing = [m for m in chosen if (m.name, f"stage_{name}") not in there]
            bar.advance(all_, len(chosen) - len(missing))
            trials = _trials(name, tasks, count, seed) if missing else []
            for one in missing:
                bar.update(all_, description=f"{escape(one.name)}, {name}")
                lines += _judged(one, trials, seed)
                bar.advance(all_)
                if out is not None:
                    _write(out, options, lines)
    wanted = {(m.name, f"stage_{name}") for m in chosen for name in nets}
    shown = [line for line in lines if (line.method, line.net) in wanted]
    console.print(leaderboard(shown))
    for line in shown:
        if line.failed:
            console.print(f"{line.net}, {line.task}: {line.failed}", style="red", markup=False)


def leaderboard(lines: Sequence["Line"]) -> Table:
    """Methods, best first, with the mean of their scores over networks.

    n is the number of answers that a skill is the mean of; methods with fewer than others stand
    apart, below them: means of other questions are not to be compared.
    """
    from vxhelpers.evaluation.planted import ranking

    table = Table(
        Column("method", min_width=12),
        Column("skill [95 %]", min_width=13),
        Column("n", justify="right"),
        *(Column(f"{question} {task}", width=8) for task, question in COLUMNS),
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    ranked = ranking(lines)
    most = max((mean.n for _, mean in ranked), default=0)
    whole = sum(mean.n == most for _, mean in ranked)
    for place, (name, mean) in enumerate(sorted(ranked, key=lambda item: item[1].n < most), 1):
        own = [line for line in lines if line.method == name]
        cells = []
        for task, question in COLUMNS:
            here = [line for line in own if (line.task, line.question) == (task, question)]
            told = [line.score.value for line in here if line.score is not None]
            cells.append(f"{np.mean(told):.2f}" if told else "failed" if here else "")
        skill = f"{mean.value:+.2f}"
        skill += f" [{mean.low:+.2f}, {mean.high:+.2f}]" if mean.n > 1 else ""
        table.add_row(escape(name), skill, f"{mean.n}", *cells, end_section=place == whole)
    return table


def _trials(net: str, tasks: Sequence[str], count: int, seed: int) -> list["Trial"]:
    """The trials of a network: of those tasks that it ships trained on."""
    from vxhelpers.evaluation.planted import trial
    from vxhelpers.models import zoo

    entry = f"stage_{net}"
    shipped = [task for task in tasks if task in zoo.shipped(entry)]
    if not shipped:
        raise InputError(f"{entry}: no weights of {', '.join(tasks)} are shipped; see vx models")
    rng = np.random.default_rng(seed)
    return [trial(t, zoo.load(entry, weights=t), count=count, rng=rng) for t in shipped]


def _judged(one: "Method | Entrant", trials: Sequence["Trial"], seed: int) -> list["Line"]:
    from vxhelpers.attribution.registry import Method
    from vxhelpers.evaluation.planted import judge

    rng = np.random.default_rng(seed)
    return judge(one, trials, rng=rng) if isinstance(one, Method) else one.lines(trials, rng=rng)


def _load(path: Path | None, options: dict[str, Any]) -> list["Line"]:
    """What a file holds already; raises InputError where it was made with other options."""
    from vxhelpers.evaluation.planted import Line
    from vxhelpers.stats import Mean

    if path is None or not path.is_file():
        return []
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lines = [
            Line(**line | {"score": line["score"] and Mean(**line["score"])})
            for line in known["lines"]
        ]
        made = known["options"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a leaderboard of vx benchmark ({error}); name another"
        ) from error
    if made != options:
        raise InputError(f"{path}: was made with {made}; name another file, or remove it")
    return lines


def _write(path: Path, options: dict[str, Any], lines: Sequence["Line"]) -> None:
    from vxhelpers.data.provenance import commit, hardware, versions
    from vxhelpers.io.files import replacing

    record = {
        "options": options,
        "commit": commit(),
        "hardware": hardware(),
        "versions": versions(),
        "lines": [asdict(line) for line in lines],
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
