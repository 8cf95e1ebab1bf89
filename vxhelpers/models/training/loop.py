"""The training loop behind the shipped weights: best epoch kept, checkpoints, exact resume."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vxhelpers.errors import InputError, NotFiniteError, WeightsError
from vxhelpers.models.training.batches import Feed
from vxhelpers.models.training.checkpoint import (
    FORMAT,
    _fingerprint,
    _load_checkpoint,
    _save_checkpoint,
)
from vxhelpers.models.training.clip_set import ClipSet
from vxhelpers.models.training.presets import PRESETS, Preset, lr_factor
from vxhelpers.models.zoo import Model, digest


@dataclass(frozen=True)
class Epoch:
    """Figures of one pass: mean loss (nats) and accuracy (0 to 1), in training and validation."""

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float = field(compare=False)

    @property
    def rank(self) -> tuple[float, float, int]:
        """Higher is better: validation accuracy, then lower loss, then later."""
        return self.val_accuracy, -self.val_loss, self.epoch


@dataclass(frozen=True)
class History:
    """What a run did, epoch by epoch, and which epoch's weights it kept."""

    epochs: tuple[Epoch, ...]

    @property
    def best(self) -> Epoch:
        return max(self.epochs, key=lambda epoch: epoch.rank)

    @property
    def seconds(self) -> float:
        return sum(epoch.seconds for epoch in self.epochs)


def fit(
    model: Model,
    train_set: ClipSet,
    val_set: ClipSet,
    *,
    preset: Preset = PRESETS["quick"],
    seed: int = 0,
    device: str | torch.device = "cpu",
    checkpoint_dir: str | Path | None = None,
    resume: bool = True,
    progress: bool = True,
) -> tuple[Model, History]:
    """Train a copy of the model; keep the epoch that is best on validation.

    Every epoch draws its order, augmentation and dropout from ``(seed, epoch)`` alone, so a run
    that was killed and resumed from its checkpoint takes the same steps as an undisturbed one:
    bit for bit on a CPU with the same number of threads.

    Parameters
    ----------
    model
        Where to start from; it stays as it is.
    train_set, val_set
        Clips with the model's labels, in the model's order.
    preset
        The recipe.
    seed
        Of order, augmentation and dropout; the initial weights are the model's.
    device
        ``"cpu"``, ``"cuda"``, ...
    checkpoint_dir
        Where ``last.pt`` is replaced after every epoch; None for no checkpoints.
    resume
        Go on from ``last.pt`` if it is there and belongs to this very run; False starts anew.
    progress
        A bar with loss and accuracy.

    Returns
    -------
    tuple
        The model with the best epoch's weights, on the CPU in eval mode, and the run's history.
        The global random state is left as it was.

    Raises
    ------
    InputError
        If labels differ from the model's, a class has no training clip, the checkpoint belongs to
        another run, or memory runs out (names the batch size to try).
    NotFiniteError
        If the loss is NaN or infinite: names epoch and step; the last checkpoint stays.
    """
    _check(model, train_set, val_set)
    device = torch.device(device)
    net = deepcopy(model.net).to(device)
    if preset.channels_last:
        net.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    steps = math.ceil(len(train_set) / preset.batch)
    optimizer = _optimizer(net, preset)
    run = _fingerprint(preset, seed, train_set, val_set, model)
    checkpoint = Path(checkpoint_dir) / "last.pt" if checkpoint_dir else None
    history, best = History(()), _state(net)
    if checkpoint and resume and checkpoint.exists():
        saved = _load_checkpoint(checkpoint, run)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        history, best = History(tuple(Epoch(**e) for e in saved["epochs"])), saved["best"]
    feed = Feed(
        train_set,
        model.entry,
        device=device,
        flip=preset.flip,
        shift=preset.shift,
        jitter=preset.jitter,
    )
    val_feed = Feed(val_set, model.entry, device=device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for epoch in range(len(history.epochs) + 1, preset.epochs + 1):
            began = time.perf_counter()
            torch.manual_seed(_seed_of(seed, epoch))
            rng = np.random.default_rng([seed, epoch])
            where = f"epoch {epoch}"
            with _bar(steps, f"{where}/{preset.epochs}", progress) as advance:
                net.train()
                with _memory(preset.batch):
                    loss, accuracy = _train_epoch(
                        net, optimizer, feed, preset, epoch, steps, rng, advance
                    )
                    net.eval()
                    val_loss, val_accuracy = _evaluate(net, val_feed, preset, where)
                advance(0, loss=loss, acc=accuracy, val_loss=val_loss, val_acc=val_accuracy)
            done = Epoch(
                epoch,
                lr=optimizer.param_groups[0]["lr"],
                train_loss=loss,
                train_accuracy=accuracy,
                val_loss=val_loss,
                val_accuracy=val_accuracy,
                seconds=time.perf_counter() - began,
            )
            history = History((*history.epochs, done))
            if history.best is done:
                best = _state(net)
            if checkpoint:
                _save_checkpoint(
                    checkpoint,
                    format=FORMAT,
                    run=run,
                    net=_state(net),
                    optimizer=optimizer.state_dict(),
                    epochs=[asdict(e) for e in history.epochs],
                    best=best,
                )
    net.load_state_dict(best)
    net.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    weights = f"epoch {history.best.epoch} of {len(history.epochs)}, seed {seed}"
    return replace(model, net=net, weights=weights, digest=digest(net), metadata={}), history


def warm_start(model: Model, source: Model) -> Model:
    """``model`` with the weights of ``source``; where labels differ, the head keeps its own.

    Raises
    ------
    WeightsError
        If the two are not of one architecture.
    """
    if model.entry.name != source.entry.name:
        raise WeightsError(
            f"{source.weights}: weights of {source.entry.name!r} cannot start a "
            f"{model.entry.name!r}"
        )
    net, state = deepcopy(model.net), dict(source.net.state_dict())
    if model.labels != source.labels:
        own = net.state_dict()
        state |= {name: own[name] for name in own if name.startswith(f"{model.entry.head}.")}
    net.load_state_dict(state)
    return replace(model, net=net, weights=f"started from {source.weights}", digest=digest(net))


def _train_epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    feed: Feed,
    preset: Preset,
    epoch: int,
    steps: int,
    rng: np.random.Generator,
    advance: Callable[..., None],
) -> tuple[float, float]:
    """One pass; mean loss and accuracy of the training batches as they came."""
    total = correct = seen = 0.0
    for step, chosen in enumerate(np.array_split(rng.permutation(len(feed)), steps)):
        for group in optimizer.param_groups:
            group["lr"] = preset.lr * lr_factor(preset, (epoch - 1) * steps + step, steps)
        x, y = _memory_format(feed.batch(chosen, rng), preset)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=preset.bf16):
            logits = net(x).float()
            loss = F.cross_entropy(logits, y, label_smoothing=preset.label_smoothing)
        value = _finite(loss, f"epoch {epoch}, step {step + 1} of {steps}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if preset.clip_norm is not None:
            nn.utils.clip_grad_norm_(net.parameters(), preset.clip_norm)
        optimizer.step()
        seen += len(y)
        total += value * len(y)
        correct += (logits.argmax(1) == y).sum().item()
        advance(1, loss=total / seen, acc=correct / seen)
    return total / seen, correct / seen


@torch.no_grad()
def _evaluate(net: nn.Module, feed: Feed, preset: Preset, where: str) -> tuple[float, float]:
    """Mean cross-entropy (without smoothing) and accuracy over the set, centre views."""
    total = correct = 0.0
    for chosen in np.array_split(np.arange(len(feed)), math.ceil(len(feed) / preset.batch)):
        x, y = _memory_format(feed.batch(chosen), preset)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=preset.bf16):
            logits = net(x).float()
        total += _finite(F.cross_entropy(logits, y, reduction="sum"), f"{where}, validation")
        correct += (logits.argmax(1) == y).sum().item()
    return total / len(feed), correct / len(feed)


def _memory_format(batch: tuple[Tensor, Tensor], preset: Preset) -> tuple[Tensor, Tensor]:
    x, y = batch
    return (x if preset.channels_last else x.contiguous()), y


def _optimizer(net: nn.Module, preset: Preset) -> torch.optim.Optimizer:
    """Weight decay on matrices and kernels only, not on biases and norms."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": preset.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if preset.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=preset.lr, momentum=preset.momentum)
    return torch.optim.AdamW(groups, lr=preset.lr)


def _check(model: Model, train_set: ClipSet, val_set: ClipSet) -> None:
    for name, clips in (("training", train_set), ("validation", val_set)):
        if clips.names != tuple(model.labels):
            raise InputError(
                f"the {name} clips have the labels {clips.names}, the model {model.labels}: "
                "build the model with the labels of the data"
            )
    empty = [label for label, count in train_set.counts.items() if not count]
    if empty:
        raise InputError(
            f"no training clip of {', '.join(map(repr, empty))}: add some, or leave the label out"
        )


def _finite(loss: Tensor, where: str) -> float:
    value = loss.item()
    if not math.isfinite(value):
        raise NotFiniteError(
            f"the loss is {value} in {where}: try a lower --lr, or clip gradients with --clip-norm"
        )
    return value


@contextmanager
def _memory(batch: int) -> Iterator[None]:
    """Turn out-of-memory errors of torch into advice."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one; the CPU allocator's has no class
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            advice = f"try --batch {batch // 2}" if batch > 1 else "try a smaller network or clip"
            raise InputError(f"out of memory with {batch} clips a batch: {advice}") from error
        raise


@contextmanager
def _bar(total: int, text: str, show: bool) -> Iterator[Callable[..., None]]:
    """A progress bar; yields ``advance(n, **figures)``."""
    if not show:
        yield lambda n, **figures: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=text, unit="batch", mininterval=0.5) as bar:

        def advance(n: int, **figures: float) -> None:
            bar.set_postfix({k: f"{v:.3f}" for k, v in figures.items()}, refresh=n == 0)
            bar.update(n)

        yield advance


def _state(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in net.state_dict().items()}


def _seed_of(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, 1]).generate_state(1)[0])
