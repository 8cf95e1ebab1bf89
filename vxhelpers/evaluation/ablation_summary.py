"""Which class relies on what, over a whole book: what the class chapters noted, side by side.

The experiments are those of :mod:`vxhelpers.evaluation.ablation`, which the chapter *What the
networks see* runs and notes for its class; nothing is measured again here.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vxhelpers.errors import InputError
from vxhelpers.stats import Mean

if TYPE_CHECKING:
    import pandas as pd

#: What is taken away, in the order of tables; videos without ground truth have the last two.
MEASURES = ("motion", "order", "direction", "place", "objects", "person", "what moves", "the rest")
#: What a class may rely on most; the person does the action, and carries the other cues.
CUES = ("motion", "place", "objects", "the rest")
LEAST = 0.1  # of a class's separation: what is smaller is not called reliance

_NUMBERS = ("value", "low", "high", "n")
_RELIANCE, _BLIND, _ENERGY = "reliance on ", ", random weights", "energy minus area, "


@dataclass(frozen=True)
class ClassReliance:
    """What is known of one class in one network.

    Parameters
    ----------
    name
        The class, with its data set where several have one of that name.
    network
        The model; with its weights where a class was explained with several of one model.
    action, dataset, slug
        As the data name the class; its data set; the folder of its pages.
    accuracy
        Share of its clips that are recognised; None where it was not noted.
    reliances
        Measure to how much of what sets the class apart goes with it. Without what was not
        measured, such as objects where there are none.
    blind
        The same for the network with random weights.
    energy
        Object to the share of Grad-CAM's energy on it above its area.
    """

    name: str
    network: str
    action: str
    dataset: str
    slug: str
    accuracy: Mean | None
    reliances: Mapping[str, Mean]
    blind: Mapping[str, Mean]
    energy: Mapping[str, Mean]

    @property
    def most(self) -> str:
        """What the class relies on most, of `CUES`, if that is clear.

        ``"not measured"`` of less than two; ``"none of them"`` where every interval is below
        `LEAST`; ``"undecided"`` where the largest is not clear of `LEAST`, or not of the second
        largest: intervals must not overlap, and values differ by more than `LEAST`, for where two
        cues each take all that sets a class apart, nothing is meant by which takes a little more.
        That no intervals overlap is strict: a test of the difference would decide more often.
        """
        known = {cue: self.reliances[cue] for cue in CUES if cue in self.reliances}
        if len(known) < 2:
            return "not measured"
        first, second, *_ = sorted(known, key=lambda cue: -known[cue].value)
        if all(mean.high < LEAST for mean in known.values()):
            return "none of them"
        clear = known[first].low > max(LEAST, known[second].high)
        ahead = known[first].value - known[second].value > LEAST
        return first if clear and ahead else "undecided"

    @property
    def clear(self) -> tuple[str, ...]:
        """All measures whose interval is above `LEAST`, the largest first."""
        found = [what for what, mean in self.reliances.items() if mean.low > LEAST]
        return tuple(sorted(found, key=lambda what: -self.reliances[what].value))


@dataclass(frozen=True)
class Truth:
    """What was planted in a class, and whether the experiments say so.

    Parameters
    ----------
    expected
        In words.
    missed
        What should be relied on and is not clear to be, and what should not and is above `LEAST`
        for sure. Empty where the truth was found.
    """

    expected: str
    missed: tuple[str, ...]


def class_reliances(table: "pd.DataFrame") -> list[ClassReliance]:
    """The classes of a book, in its order.

    Parameters
    ----------
    table
        A row a metric, as :func:`vxhelpers.book.results.metrics` reads them.

    Raises
    ------
    InputError
        If the table lacks a column.
    """
    wanted = (
        "action",
        "slug",
        "dataset",
        "model",
        "weights",
        "metric",
        "value",
        "low",
        "high",
        "n",
    )
    if missing := [name for name in wanted if name not in table.columns]:
        raise InputError(f"metrics of a book lack the columns {', '.join(missing)}")
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_dict("records"):
        groups.setdefault(str(row["slug"]), []).append({str(k): v for k, v in row.items()})
    heads = {slug: rows[0] for slug, rows in groups.items()}
    sets: dict[str, set[str]] = {}
    for head in heads.values():
        sets.setdefault(head["action"], set()).add(head["dataset"])
    times = Counter((head["action"], head["dataset"], head["model"]) for head in heads.values())
    several = {model for (_, _, model), count in times.items() if count > 1}
    found = []
    for slug, rows in groups.items():
        head = heads[slug]
        numbers = {row["metric"]: _mean(row) for row in rows if isinstance(row["metric"], str)}
        whole = {name: m for name, m in numbers.items() if m.low <= m.value <= m.high}
        blind = {name for name in whole if name.endswith(_BLIND)}
        weights = head["weights"] if isinstance(head["weights"], str) else "published"
        found.append(
            ClassReliance(
                name=head["action"]
                + (f" ({head['dataset']})" if len(sets[head["action"]]) > 1 else ""),
                network=head["model"]
                + (f", {Path(weights).name}" if head["model"] in several else ""),
                action=head["action"],
                dataset=head["dataset"],
                slug=slug,
                accuracy=whole.get("accuracy, normal"),
                reliances=_named(whole.keys() - blind, whole, _RELIANCE, ""),
                blind=_named(blind, whole, _RELIANCE, _BLIND),
                energy=_named(whole, whole, _ENERGY, ""),
            )
        )
    return found


def truth(one: ClassReliance) -> Truth | None:
    """What the stage's planted tasks must show; None for a class in which nothing was planted.

    In *motion* single frames follow one law in all classes, so that nothing but motion can set
    them apart, and only its direction sets the two forehands apart; places follow one law, too. In
    *static* motion follows one law: the object or the place must do. In *shortcut* the place alone
    is enough in training, but nothing keeps a network from reading the action.
    """
    swung = "forehand" in one.action
    tasks: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
        "stage:motion": (
            "motion and its direction, not the place" if swung else "motion, not the place",
            ("motion", "direction") if swung else ("motion",),
            (),
            ("place",),
        ),
        "stage:static": (
            "place or objects, not motion",
            (),
            ("place", "objects"),
            ("motion", "order", "direction"),
        ),
        "stage:shortcut": ("place", ("place",), (), ()),
    }
    if one.dataset not in tasks or not one.reliances:
        return None
    expected, must, either, never = tasks[one.dataset]
    missed = [f"no {what}" for what in must if what not in one.clear]
    if either and not set(either) & set(one.clear):
        missed.append(f"no {' and no '.join(either)}")
    missed += [what for what in never if what in one.clear]
    return Truth(expected, tuple(missed))


def paired(
    classes: Sequence[ClassReliance], first: str, second: str, measure: str
) -> list[tuple[Mean, Mean]]:
    """One measure of the classes that two networks have both been asked about, class by class."""
    by = {
        network: {(c.action, c.dataset): c.reliances[measure] for c in classes
                  if c.network == network and measure in c.reliances}
        for network in (first, second)
    }  # fmt: skip
    return [(mean, by[second][key]) for key, mean in by[first].items() if key in by[second]]


def _mean(row: Mapping[str, Any]) -> Mean:
    """A noted number; its ends are NaN where it has none."""
    value, low, high, n = (float("nan" if row[k] is None else row[k]) for k in _NUMBERS)
    return Mean(value, low, high, 0 if n != n else int(n))


def _named(
    names: Iterable[str], numbers: Mapping[str, Mean], start: str, end: str
) -> dict[str, Mean]:
    """Numbers whose names have this start and end, by what stands between, measures first."""
    wanted = {name for name in names if name.startswith(start)}
    found = {
        name.removeprefix(start).removesuffix(end): mean
        for name, mean in numbers.items()
        if name in wanted
    }
    order = [
        *(what for what in MEASURES if what in found),
        *(w for w in found if w not in MEASURES),
    ]
    return {what: found[what] for what in order}
