"""Sets of a folder that are large enough to be set against each other: by kind of clips."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vxhelpers.concept_sets.crops import KINDS, Kind, Placement
from vxhelpers.concept_sets.folder import ConceptFolder
from vxhelpers.figures.report import Report
from vxhelpers.figures.table import Cell, Table, table

FEWEST = 4  # clips in a set
RANDOM_SETS = 2


@dataclass(frozen=True)
class Group:
    """Names of concepts and of random sets, all of one kind of clips."""

    concepts: tuple[str, ...]
    randoms: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, concepts first."""
        return self.concepts + self.randoms


@dataclass(frozen=True, eq=False)
class Groups(Report):
    """The groups of a folder: kinds to their sets, those kinds alone that can be scored.

    Parameters
    ----------
    found
        Kind of clips to its group.
    sizes
        Name of each set to its number of clips.
    """

    found: Mapping[Kind, Group]
    sizes: Mapping[str, int]

    def __getitem__(self, kind: Kind) -> Group:
        """The group of a kind; one without sets where there is none."""
        return self.found.get(kind, Group((), ()))

    def __iter__(self) -> Iterator[Kind]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of the concepts of all kinds."""
        return tuple(name for group in self.found.values() for name in group.concepts)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all sets."""
        return tuple(name for group in self.found.values() for name in group.names)

    def table(self) -> Table | None:
        """Concepts, random sets and their clips by kind."""
        if not self.found:
            return None
        groups = self.found.values()
        columns: dict[str, Sequence[Cell]] = {
            "kind": [*self.found],
            "concepts": [", ".join(group.concepts) for group in groups],
            "clips each": [self._range(group.concepts) for group in groups],
            "random sets": [len(group.randoms) for group in groups],
            "clips of each": [self._range(group.randoms) for group in groups],
        }
        return table(columns, caption="Sets that are scored")

    def _range(self, names: tuple[str, ...]) -> str:
        counts = [self.sizes[name] for name in names]
        low, high = min(counts), max(counts)
        return f"{low} to {high}" if low < high else f"{low}"


def groups(made: ConceptFolder, placement: Placement = "in_place") -> Groups:
    """Find the concepts and random sets of each kind with at least 4 clips each.

    A kind with no concept, or with fewer than two random sets, is left out.
    """
    found = {}
    for kind in KINDS:
        group = Group(
            *(
                tuple(
                    item.name
                    for item in made.select(role, kind=kind, placement=placement)
                    if len(item) >= FEWEST
                )
                for role in ("concept", "random")
            )
        )
        if group.concepts and len(group.randoms) >= RANDOM_SETS:
            found[kind] = group
    return Groups(found, {name: len(item) for name, item in made.sets.items()})
