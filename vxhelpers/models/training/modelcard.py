"""Model cards: what a network is, what it reaches and on what evidence, and how it was made."""

import html
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from vxhelpers.errors import WeightsError
from vxhelpers.io.files import replacing
from vxhelpers.models.evaluate import causal_check
from vxhelpers.models.training.clip_set import ClipSet
from vxhelpers.models.training.loop import History
from vxhelpers.models.zoo import SHIPPED, Model


def measure(
    model: Model, sets: Mapping[str, ClipSet], *, progress: bool
) -> dict[str, dict[str, Any]]:
    """Accuracy and confusion on every split; the causal check on all but val."""
    card: dict[str, dict[str, Any]] = {"accuracy": {}, "confusion": {}, "causal": {}}
    for split, clips in sets.items():
        check = causal_check(
            model,
            clips.clips,
            clips.labels,
            rng=np.random.default_rng(0),
            batch=32,
            progress=progress,
        )
        card["accuracy"][split] = asdict(check.accuracy["normal"])
        card["confusion"][split] = check.tables["normal"].tolist()
        if split != "val":
            card["causal"][split] = {
                "accuracy": {name: asdict(score) for name, score in check.accuracy.items()},
                "tables": {name: table.tolist() for name, table in check.tables.items()},
            }
    return card


def curves(history: History) -> dict[str, Any]:
    """The best epoch, and loss and accuracy of every epoch, for the card."""
    return {
        "best_epoch": history.best.epoch,
        "curves": [
            {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(epoch).items()}
            for epoch in history.epochs
        ],
    }


def write_card(card: Mapping[str, Any], path: str | Path) -> None:
    """Write a card as JSON, whole or not at all."""
    with replacing(path) as temporary:
        text = json.dumps(card, indent=1, allow_nan=False, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_card(path: str | Path) -> dict[str, Any]:
    """The card beside a weights file (either of the two may be named).

    Raises
    ------
    WeightsError
        If there is no card, or it is damaged.
    """
    path = Path(path).with_suffix(".json")
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"{path}: no model card; vx train writes one beside the weights"
        ) from None
    except ValueError as error:
        raise WeightsError(f"{path}: damaged model card ({error}); train again") from error
    return card


def family(model: Model) -> list[dict[str, Any]]:
    """The cards of a model's task: its own first, then those of the other shipped networks.

    Empty for weights without a card, such as a library's published ones.
    """
    path = Path(model.weights).with_suffix(".json")
    if not path.is_file():
        return []
    own = read_card(path)
    others = [read_card(other) for other in sorted(SHIPPED.glob("*.json")) if other != path]
    return [own, *(card for card in others if card["task"] == own["task"])]


def card_markdown(card: Mapping[str, Any]) -> str:
    """The card for readers: what it is, what it reaches, the causal check, how it was made."""
    lines = [
        f"# {_cell(card['arch'])} on {_cell(card['task'])}",
        "",
        f"{card['parameters']:,} parameters, {len(card['labels'])} classes: "
        f"{', '.join(map(_cell, card['labels']))}. Epoch {card['best_epoch']} of "
        f"{len(card['curves'])}, chosen on validation. {_cell(card['note'])}".rstrip(),
        "",
        "| split | accuracy | 95 % Wilson interval | n | chance | majority |",
        "|---|---|---|---|---|---|",
    ]
    for split, score in card["accuracy"].items():
        lines.append(f"| {_cell(split)} | {_score(score)} |")
    for split, checked in card["causal"].items():
        lines += [
            "",
            f"Causal check on {_cell(split)}: the clips as they are, frozen at the middle frame, "
            "reversed and shuffled.",
            "",
            "| clips | accuracy | 95 % Wilson interval | n | chance | majority |",
            "|---|---|---|---|---|---|",
            *(f"| {name} | {_score(score)} |" for name, score in checked["accuracy"].items()),
            "",
            "Label by prediction when the clips are reversed:",
            "",
            "| | " + " | ".join(map(_cell, card["labels"])) + " |",
            "|---" * (len(card["labels"]) + 1) + "|",
            *(
                f"| {_cell(label)} | " + " | ".join(map(str, row)) + " |"
                for label, row in zip(card["labels"], checked["tables"]["reversed"], strict=True)
            ),
        ]
    lines += [
        "",
        f"Trained in {card['train_seconds']:,.0f} s on {_cell(card['device'])} "
        f"({_cell(card['hardware'])}), seed {card['seed']}, started from {_cell(card['init'])}:",
        "",
        "```",
        card["command"].replace("```", ""),
        "```",
        "",
        f"Commit `{_cell(card['commit'])}`; "
        + ", ".join(f"{name} {card['versions'][name]}" for name in ("python", "torch", "numpy"))
        + f"; SHA-256 of {_cell(card['file']['name'])}: `{card['file']['sha256']}`.",
        "",
    ]
    return "\n".join(lines)


def _score(score: Mapping[str, Any]) -> str:
    return (
        f"{score['value']:.3f} | {score['low']:.3f} to {score['high']:.3f} | {score['n']} | "
        f"{score['chance']:.3f} | {score['majority']:.3f}"
    )


def _cell(text: object) -> str:
    return html.escape(str(text), quote=False).replace("|", "&#124;").replace("\n", " ")
