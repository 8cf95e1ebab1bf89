"""What to explain: the action classes of a book, each with its data set, model and weights."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

from vxhelpers.data.manifest import read
from vxhelpers.errors import InputError, UnknownNameError, WeightsError
from vxhelpers.io.code_digest import PACKAGE

PROFILES = ("standard", "quick")
_SHIPPED = PACKAGE / "models" / "weights"
_FEWEST = 2  # test clips of a class that intervals need


@dataclass(frozen=True)
class Target:
    """One action class and what to explain it with: the parameters that a chapter is run with.

    Parameters
    ----------
    action
        The class, as the data names it.
    dataset
        ``"stage:<task>"``, the name of a manifest, or the path of a CSV.
    model, weights
        Entry of the zoo, and its weights (file, embedded name, or None for the library's own).
    root
        Folder that the manifest's paths start from.
    seed, profile
        Seed of everything random; ``"standard"``, or ``"quick"`` for fewer clips.
    detector
        What finds objects in the videos (see
        :func:`vxhelpers.concept_sets.detector.load_detector`); None where none was named, and then
        there are no concepts.
    objects
        Labels of the detector to make concepts of; None for those it finds in enough videos.
    concepts
        Folder of concept sets of the class (see :func:`vxhelpers.concept_sets.make.read`); None for
        sets that the chapters make.
    apart
        True where model and weights are not those that the book's table gives the data set: then
        they are part of the slug, so that a class may be explained with several networks.
    results
        What other chapters found, as a Parquet file (see
        :func:`vxhelpers.book.results.write_book`); for a chapter that sums a book up, and None for
        all others.
    """

    action: str
    dataset: str
    model: str
    root: str | None = None
    weights: str | None = None
    seed: int = 0
    profile: str = "standard"
    detector: str | None = None
    objects: tuple[str, ...] | None = None
    concepts: str | None = None
    apart: bool = False
    results: str | None = None

    def __post_init__(self) -> None:
        if self.objects is not None:
            object.__setattr__(self, "objects", tuple(self.objects))

    @property
    def slug(self) -> str:
        """Name for files and links: lower-case ASCII, unique for every class of every data set."""
        parts = [_slug(self.action, r"[a-z0-9]+( [a-z0-9]+)*")]
        parts.append(_slug(self.dataset, r"[a-z0-9]+(:[a-z0-9]+)?"))
        if self.apart:
            parts.append(_slug(self.model, r"[a-z0-9]+(_[a-z0-9]+)*"))
            if self.weights is not None:
                parts.append(_slug(self.weights, r"[a-z0-9]+"))
        return "_".join(parts)

    @property
    def label(self) -> str:
        """The class for people to read, with the network where that is `apart`."""
        weights = f", {Path(self.weights).name}" if self.weights else ""
        return f"{self.action} ({self.model}{weights})" if self.apart else self.action


def summary_of(targets: Sequence[Target], results: Path) -> Target:
    """The target of a chapter that sums up what was found of many.

    Parameters
    ----------
    targets
        What the other chapters explain.
    results
        Where their numbers will lie.
    """
    models = ", ".join(dict.fromkeys(target.model for target in targets))
    first = targets[0]
    return Target(
        "all classes",
        "this book",
        models,
        seed=first.seed,
        profile=first.profile,
        results=str(results.absolute()),
    )


def _slug(text: str, lossless: str) -> str:
    """Letters and digits of a text; a hash is added where two texts could give the same."""
    plain = normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[-40:].strip("-")
    if re.fullmatch(lossless, text) and len(text) <= 40:
        return slug
    return "-".join(filter(None, (slug, sha256(text.encode()).hexdigest()[:8])))


def read_table(path: Path) -> dict[str, Any]:
    """Read the book's table (``_book.yml``) of classes and of defaults by data set.

    Raises
    ------
    InputError
        If the file is missing, is not YAML, or lacks one of its two tables.
    """
    import yaml

    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from error
    for name, kind in (("classes", list), ("defaults", dict)):
        if not isinstance(table, dict) or not isinstance(table.get(name), kind):
            raise InputError(f"{path}: no {kind.__name__} called {name!r}")
    if "other" not in table["defaults"]:
        raise InputError(f"{path}: defaults need an entry called 'other' for all other data sets")
    return dict(table)


def labels_of(dataset: str) -> tuple[str, ...]:
    """Class names of a data set, in its own order.

    Raises
    ------
    UnknownNameError
        If there is no such rendered task.
    """
    if not dataset.startswith("stage:"):
        return tuple(read(dataset).labels)
    from vxhelpers.data.stage import TASKS

    task = dataset.removeprefix("stage:")
    if task not in TASKS:
        raise UnknownNameError("rendered task", task, TASKS)
    return TASKS[task].labels


def testable(dataset: str) -> tuple[str, ...]:
    """Class names of a data set that can be explained: those with two test clips or more.

    Raises
    ------
    InputError
        If there is none.
    """
    labels, counted = labels_of(dataset), _test_clips(dataset)
    found = tuple(label for label in labels if counted.get(label, 0) >= _FEWEST)
    if not found:
        raise InputError(
            f"{dataset}: no class has {_FEWEST} clips in split 'test', which the chapters need"
        )
    return found


def choose(
    table: Mapping[str, Any],
    *,
    actions: Sequence[str] | Literal["all"] = (),
    dataset: str | None = None,
    root: str | None = None,
    model: str | None = None,
    weights: str | None = None,
    seed: int | None = None,
    profile: str | None = None,
    detector: str | None = None,
    objects: Sequence[str] | None = None,
    concepts: str | None = None,
) -> list[Target]:
    """Turn what the user named into targets; the table fills in what was left out.

    Parameters
    ----------
    table
        As :func:`read_table` gives it.
    actions
        Class names, or ``"all"``: every class with two test clips, of ``dataset`` or else of all
        data sets that the table gives defaults. None named: the table's classes (of ``dataset``
        where one is named), and for a data set that the table does not list, its first two.
    dataset, root, model, weights, seed, profile, detector
        As in `Target`; None takes the table's default for the class's data set. A model that is
        named gets the table's weights only where weights of that name ship for it.
    objects, concepts
        As in `Target`.

    Returns
    -------
    list of Target
        In the order of ``actions``, each once.

    Raises
    ------
    UnknownNameError
        If a class is not in the data, or no shipped weights have this name.
    InputError
        If ``weights`` or ``detector`` names a file that does not exist, objects are named for a
        class without a detector, or ``concepts`` is no folder, or given for several classes.
    """
    listed = [(row["action"], row["dataset"]) for row in table["classes"]]
    if actions == "all":
        sources = [dataset] if dataset else [name for name in table["defaults"] if name != "other"]
        pairs = [(action, source) for source in sources for action in testable(source)]
    elif actions:
        pairs = [(action, dataset or _dataset_with(action, table)) for action in actions]
    else:
        pairs = [(a, d) for a, d in listed if dataset in (None, d)]
        if not pairs and dataset is not None:
            pairs = [(action, dataset) for action in labels_of(dataset)[:2]]
    if weights is not None and _is_path(weights) and not Path(weights).is_file():
        raise InputError(f"{weights}: no such weights file")
    if detector is not None and Path(detector).parent != Path() and not Path(detector).exists():
        raise InputError(f"{detector}: no such detector, neither a file nor a folder")
    pairs = list(dict.fromkeys(pairs))
    if concepts is not None and not Path(concepts).is_dir():
        raise InputError(f"{concepts}: no such folder of concepts")
    if concepts is not None and len(pairs) != 1:
        raise InputError(f"{concepts}: is made for one class, not {len(pairs)}; name it (--action)")
    shipped = {tuple(p.stem.split("-", 1)) for p in _SHIPPED.glob("*-*.safetensors")}
    labels = {source: labels_of(source) for source in {source: None for _, source in pairs}}
    targets = []
    for action, source in pairs:
        if action not in labels[source]:
            raise UnknownNameError("class", action, labels[source], where=source)
        default = table["defaults"].get(source, table["defaults"]["other"])
        fixed = table.get("parameters", {})
        arch = model or _architecture(weights) or default["model"]
        if weights not in (None, "random") and not _is_path(weights):
            known = sorted(name for model_, name in shipped if model_ == arch)
            if weights not in known:
                raise UnknownNameError("weights", weights, known, where=f"model {arch!r}")
        usual = (default["model"], default.get("weights"))
        if weights is None and (model is None or (arch, usual[1]) in shipped):
            named = usual[1]
        else:
            named = weights
        targets.append(
            Target(
                action,
                source,
                arch,
                root,
                named,
                fixed.get("seed", 0) if seed is None else seed,
                profile or fixed.get("profile", "standard"),
                detector or default.get("detector"),
                tuple(objects) if objects else None,
                concepts,
                (arch, named) != usual,
            )
        )
        if objects and targets[-1].detector is None:
            raise InputError(f"{source}: objects need a detector that finds them (--detector)")
    return targets


def _test_clips(dataset: str) -> Mapping[str, int]:
    """Test clips of each class; rendered ones are as many as are asked for."""
    if dataset.startswith("stage:"):
        return dict.fromkeys(labels_of(dataset), _FEWEST)
    return Counter(row.label for row in read(dataset).rows if row.split == "test")


def _dataset_with(action: str, table: Mapping[str, Any]) -> str:
    """The data set of a class: as listed in the table, else the first with defaults that has it."""
    known = {row["action"]: row["dataset"] for row in table["classes"]}
    for dataset in table["defaults"]:
        if dataset != "other" and action not in known:
            known |= {label: dataset for label in labels_of(dataset) if label not in known}
    if action not in known:
        raise UnknownNameError("class", action, known, where="the data sets of the book's table")
    return str(known[action])


def _architecture(weights: str | None) -> str | None:
    """The zoo entry that a weights file says it is for, or None where it says nothing."""
    if weights is None or Path(weights).suffix != ".safetensors":
        return None
    return _metadata(Path(weights)).get("arch")


def _is_path(weights: str) -> bool:
    return bool(Path(weights).suffix) or Path(weights).parent != Path()


def _metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself; its tensors are not read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path}: damaged or no safetensors file ({error}); copy or train it again"
        ) from error
