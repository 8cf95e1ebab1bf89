"""Figures of discovered concepts: their members, their ranks, curves as they come and go."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from vxhelpers.data.clip import Frames
from vxhelpers.figures import filmstrips, player, score_charts, supervoxels
from vxhelpers.figures.illustration import Illustration
from vxhelpers.models.samples import Samples
from vxhelpers.stats import mean_interval
from vxhelpers.stce.curve_report import NAMES
from vxhelpers.stce.curves import AddRemove, Operation
from vxhelpers.stce.features import Pieces
from vxhelpers.stce.score import Ranked, Scores

SHOWN = 6  # members of a concept


def resolutions(pieces: Pieces, samples: Samples, *, action: str, clip: int = 0) -> player.Gallery:
    """A clip as it is, and in supervoxels at each resolution, side by side."""
    pixels, fps, name = samples.pixels[clip], samples.fps[clip], samples.rows[clip].clip_id
    cuts = pieces.cuts[clip]
    whole = player.player(
        pixels, fps=fps, title=f"clip {name}", alt=f"Clip {name} of {action}, as it is."
    )
    painted = [
        player.player(
            supervoxels.painted(pixels, volume),
            fps=fps,
            title=f"{requested} asked for, {volume.max() + 1} made",
            alt=f"The same clip in {volume.max() + 1} supervoxels, each in a colour of its own.",
        )
        for requested, volume in zip(cuts.segments, cuts.labels, strict=True)
    ]
    return player.gallery([whole, *painted])


def ranks(explanations: Mapping[str, Scores]) -> Illustration:
    """Scores by rank with their spread; what is not significant is grey."""
    lines = {name: scores.ranked() for name, scores in explanations.items()}
    values = {
        name: {
            f"{r.rank}": (r.score, max(0, r.score - r.spread), min(1, r.score + r.spread))
            for r in some
        }
        for name, some in lines.items()
    }
    doubtful = [
        (name, f"{r.rank}")
        for name, some in lines.items()
        for r in some
        if not r.verdict.interpreted
    ]
    return score_charts.curves(
        values,
        units="score",
        doubtful=doubtful,
        line=("half of the clips", 0.5),
        limits=(-0.05, 1.08),
        doubt="grey: not significant",
    )


def members(scores: Scores, lines: Sequence[Ranked], samples: Samples) -> Illustration:
    """The members nearest to concepts' centres, one a clip, above the frames that they are of."""
    found = scores.discovery
    rows: dict[str, Frames] = {}
    names: dict[str, list[str]] = {}
    for line in lines:
        shown = found.examples(line.concept, SHOWN)
        label = f"rank {line.rank}, concept {line.concept + 1}: score {line.score:.2f}"
        below = [samples.rows[clip].clip_id.rpartition("/")[2][-10:] for clip, _, _ in shown]
        whole = [samples.pixels[clip][t] for clip, _, t in shown]
        masks = [found.pieces.mask(row)[t : t + 1] for _, row, t in shown]
        alone = [
            supervoxels.highlighted(frame[None], mask)[0]
            for frame, mask in zip(whole, masks, strict=True)
        ]
        for name, pictures in ((label, alone), (f"rank {line.rank}, whole", whole)):
            white = [np.full_like(pictures[0], 255)] * (SHOWN - len(pictures))
            rows[name] = np.stack([*pictures, *white])
            names[name] = [*below, *[" "] * len(white)]
    alt = "; ".join(label for label in rows if "score" in label)
    about = "Supervoxels nearest to the centres of concepts, and the frames that they are of"
    return filmstrips.filmstrip(rows, names=names, alt=f"{about}: {alt}.")


def outlined(
    scores: Scores, lines: Sequence[Ranked], samples: Samples, *, action: str
) -> player.Gallery:
    """The nearest member of each concept that shows in the middle frame, outlined in its clip."""
    found, panels = scores.discovery, []
    middle = samples.pixels.shape[1] // 2  # where players stand
    for line in lines:
        shown = found.examples(line.concept, SHOWN)
        seen = (one for one in shown if found.pieces.mask(one[1])[middle].any())
        clip, row, _ = next(seen, shown[0])
        mask = found.pieces.mask(row).repeat(samples.scale, 1).repeat(samples.scale, 2)
        name = samples.rows[clip].clip_id
        panels.append(
            player.player(
                samples.pixels[clip],
                fps=samples.fps[clip],
                title=f"rank {line.rank}: supervoxel {found.pieces.place[row]} of {name}",
                outlines={"supervoxel": mask},
                alt=f"Clip {name} of {action} with the outline of a supervoxel of the concept of "
                f"rank {line.rank}; it covers {mask.mean():.1%} of the clip.",
            )
        )
    return player.gallery(panels)


def add_remove(result: AddRemove, operation: Operation, *, classes: int, seed: int) -> Illustration:
    """Probability of the class after each step, mean over clips with its interval, by order."""

    def interval(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
        mean = mean_interval(values, rng=np.random.default_rng(seed))
        return mean.value, mean.low, mean.high

    values = {
        label: {
            f"{q}": interval(result[operation, order].probability.mean(0)[:, k])
            for k, q in enumerate(result.steps.tolist())
        }
        for order, label in NAMES.items()
    }
    return score_charts.curves(
        values,
        units="probability of the class",
        limits=(-0.03, 1.05),
        line=("guessing", 1 / classes),
    )
