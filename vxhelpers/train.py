"""The training loop behind the shipped weights: presets, batches, checkpoints, exact resume."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError, WeightsError

if TYPE_CHECKING:
    from vxhelpers.zoo import Entry, Model

FORMAT = 1  # of checkpoints


@dataclass(frozen=True)
class Preset:
    """Everything that decides a training run besides the network, the clips and the seed.

    Time is never augmented by reversal: on some tasks the direction of time is the label.

    Parameters
    ----------
    optimizer, lr, momentum, weight_decay
        ``"sgd"`` (uses ``momentum``) or ``"adamw"``; ``lr`` is the highest learning rate.
    schedule, warmup, step_epochs
        ``"one_cycle"`` and ``"cosine"``: a rise over the share ``warmup`` of all steps (cosine and
        straight), then a cosine to 0. ``"step"``: divided by 10 every ``step_epochs`` epochs.
    epochs, batch
        Passes over the training clips; clips a step (the last steps share what is left evenly).
    label_smoothing, clip_norm
        Of the cross-entropy, 0 to 1; highest norm of the gradient, None for no clipping.
    flip, shift, jitter
        Mirror left and right with probability one half; random crop by up to so many pixels each
        way, edges held; brightness (of the full range) and contrast changed by up to this share.
    channels_last, bf16
        ``torch.channels_last_3d`` weights (about 1.6 times as fast on small 3-D conv nets);
        bfloat16 autocast.
    """

    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 2e-3
    momentum: float = 0.9
    weight_decay: float = 0.05
    schedule: Literal["one_cycle", "step", "cosine"] = "one_cycle"
    warmup: float = 0.3
    step_epochs: int = 50
    epochs: int = 12
    batch: int = 32
    label_smoothing: float = 0.05
    clip_norm: float | None = None
    flip: bool = False
    shift: int = 4
    jitter: float = 0.1
    channels_last: bool = True
    bf16: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("lr", 0, math.inf),
            ("epochs", 1, math.inf),
            ("batch", 1, math.inf),
            ("step_epochs", 1, math.inf),
            ("warmup", 0, 1),
            ("label_smoothing", 0, 1),
            ("shift", 0, math.inf),
            ("jitter", 0, 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} must be {low} to {high}, not {getattr(self, name)}")
        for name, known in (
            ("optimizer", ("adamw", "sgd")),
            ("schedule", ("one_cycle", "step", "cosine")),
        ):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), known)


#: ``quick``: minutes on a CPU. ``stce``: the recipe of the STCE paper, section 4.1 (from scratch,
#: random flip and crop, 16 consecutive frames at random; no weight decay is mentioned there).
#: ``swin``: for transformers.
PRESETS: Mapping[str, Preset] = {
    "quick": Preset(),
    "stce": Preset(
        optimizer="sgd",
        lr=0.01,
        weight_decay=0.0,
        schedule="step",
        epochs=150,
        batch=64,
        label_smoothing=0.0,
        flip=True,
        jitter=0.0,
        channels_last=False,
    ),
    "swin": Preset(
        lr=1e-3,
        schedule="cosine",
        warmup=0.1,
        epochs=60,
        clip_norm=1.0,
        channels_last=False,
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name; change values with ``dataclasses.replace``."""
    try:
        return PRESETS[name]
    except KeyError:
        raise UnknownNameError("preset", name, PRESETS) from None


@dataclass(frozen=True, eq=False)
class ClipSet:
    """Clips with labels, decoded once, near the network's geometry.

    Parameters
    ----------
    frames
        ``(N, T, H, W, 3)`` uint8, 0 to 255; may be memory-mapped. ``T`` may be longer than the
        network's window (its place is then drawn at random in training), ``H`` and ``W`` larger
        than its crop; the centre is taken in evaluation.
    labels
        ``(N,)`` int64, indices into ``names``.
    names
        Class labels.
    lengths
        ``(N,)`` int64: frames from the start of each row that show the clip, the rest is padding;
        all ``T`` of them when not given.
    """

    frames: np.ndarray[Any, np.dtype[np.uint8]]
    labels: np.ndarray[Any, np.dtype[np.int64]]
    names: tuple[str, ...]
    lengths: np.ndarray[Any, np.dtype[np.int64]] | None = None

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if self.frames.dtype != np.uint8 or len(shape) != 5 or shape[4] != 3:
            raise InputError(
                "a clip set needs uint8 frames of shape (N, T, H, W, 3), "
                f"not {self.frames.dtype} of shape {shape}"
            )
        if not len(self.frames):
            raise InputError("a clip set without clips: is the split of the manifest empty?")
        if self.labels.shape != (len(self.frames),):
            raise InputError(f"{len(self.frames)} clips with labels of shape {self.labels.shape}")
        if self.labels.min() < 0 or self.labels.max() >= len(self.names):
            raise InputError(f"labels must be 0 to {len(self.names) - 1}, one of {self.names}")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def counts(self) -> dict[str, int]:
        """Clips a class."""
        counts = np.bincount(self.labels, minlength=len(self.names))
        return dict(zip(self.names, map(int, counts), strict=True))

    def digest(self) -> str:
        """SHA-256 of the labels and of a sample of the pixels: the set's content, cheaply."""
        digest = hashlib.sha256(repr((self.frames.shape, self.names)).encode())
        digest.update(self.labels.tobytes())
        digest.update(self.frames[:, ::4, ::7, ::7].tobytes())
        return digest.hexdigest()


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
    model: "Model",
    train_set: ClipSet,
    val_set: ClipSet,
    *,
    preset: Preset = PRESETS["quick"],
    seed: int = 0,
    device: str | torch.device = "cpu",
    checkpoint_dir: str | Path | None = None,
    resume: bool = True,
    progress: bool = True,
) -> History:
    """Train ``model.net`` in place, keep the epoch that is best on validation.

    Every epoch draws its order, augmentation and dropout from ``(seed, epoch)`` alone, so a run
    that was killed and resumed from its checkpoint takes the same steps as an undisturbed one:
    bit for bit on a CPU with the same number of threads.

    Parameters
    ----------
    model
        Its network is trained and left in eval mode on the CPU with the best epoch's weights; the
        global random state is left as it was.
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
    net = model.net.to(device)
    if preset.channels_last:
        net.to(memory_format=torch.channels_last_3d)
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
    feeds = [_Feed(s, model.entry, preset, device) for s in (train_set, val_set)]
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
                        net, optimizer, feeds[0], preset, epoch, steps, rng, advance
                    )
                    net.eval()
                    val_loss, val_accuracy = _evaluate(net, feeds[1], preset, where)
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
    net.to("cpu", memory_format=torch.contiguous_format).eval()
    return history


def warm_start(net: nn.Module, state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Copy the weights of another task into ``net``; a head of another size keeps its own.

    Parameters
    ----------
    net
        Network of the same architecture, changed in place.
    state
        The other network's state dict.

    Returns
    -------
    tuple of str
        Names of the tensors that were not taken, because their shape follows the label count.

    Raises
    ------
    WeightsError
        If names differ, or more than the last module's tensors differ in shape.
    """
    own = net.state_dict()
    missing, extra = own.keys() - state.keys(), state.keys() - own.keys()
    if missing or extra:
        raise WeightsError(
            "the weights to start from are of another architecture: "
            f"{len(missing)} tensors missing, {len(extra)} unknown, such as "
            f"{sorted(missing | extra)[0]!r}"
        )
    differ = tuple(name for name in own if own[name].shape != state[name].shape)
    if len({name.rpartition(".")[0] for name in differ}) > 1:
        raise WeightsError(
            f"the weights to start from differ in shape beyond the head: {', '.join(differ[:4])}"
        )
    net.load_state_dict({**own, **{k: v for k, v in state.items() if k not in differ}})
    return differ


def lr_factor(preset: Preset, step: int, steps: int) -> float:
    """Learning rate at ``step`` (from 0, over the whole run) as a share of ``preset.lr``.

    ``steps`` is the number of steps an epoch.
    """
    if preset.schedule == "step":
        return float(0.1 ** (step // steps // preset.step_epochs))
    total = preset.epochs * steps
    rise = preset.warmup * total
    if step < rise:
        share = (step + 1) / math.ceil(rise)
        return (1 - math.cos(math.pi * share)) / 2 if preset.schedule == "one_cycle" else share
    return (1 + math.cos(math.pi * (step - rise) / (total - rise))) / 2


class _Feed:
    """Batches of a clip set on the device: uint8 gather (time, crop, mirror), then floats."""

    def __init__(
        self, clips: ClipSet, entry: "Entry", preset: Preset, device: torch.device
    ) -> None:
        self.n, self.preset, self.device = len(clips), preset, device
        self.frames = torch.from_numpy(np.require(clips.frames, requirements="W"))
        if device.type == "cuda" and self.frames.nbytes < torch.cuda.mem_get_info(device)[0] / 3:
            self.frames = self.frames.to(device)
        self.labels = torch.from_numpy(clips.labels)
        _, T, self.h, self.w, _ = clips.frames.shape
        self.lengths = np.full(self.n, T) if clips.lengths is None else clips.lengths
        self.t = np.arange(entry.frames) * entry.stride
        self.span = int(self.t[-1]) + 1
        self.ch, self.cw = _size(entry.crop)
        if min(T - self.span, self.h - self.ch, self.w - self.cw) < 0:
            raise InputError(
                f"clips of {T} x {self.h} x {self.w} for a network that sees "
                f"{self.span} x {self.ch} x {self.cw}: prepare the set for this network"
            )
        self.mean, self.std = (
            torch.tensor(v, device=device).float() for v in (entry.mean, entry.std)
        )

    def batch(self, chosen: np.ndarray, rng: np.random.Generator | None) -> tuple[Tensor, Tensor]:
        """Normalised ``(B, 3, T, H, W)`` and labels ``(B,)``; augmented if ``rng`` is given."""
        n = len(chosen)
        slack = np.maximum(self.lengths[chosen] - self.span, 0)
        start, top, left = slack // 2, (self.h - self.ch) // 2, (self.w - self.cw) // 2
        mirror = np.zeros(n, bool)
        if rng is not None:
            start = rng.integers(0, slack + 1)
            top, left = (
                rng.integers(-self.preset.shift, high + self.preset.shift + 1, n)
                for high in (self.h - self.ch, self.w - self.cw)
            )
            mirror = (rng.random(n) < 0.5) & self.preset.flip
        t = start[:, None] + self.t
        rows = np.clip(np.reshape(top, (-1, 1)) + np.arange(self.ch), 0, self.h - 1)
        cols = np.clip(np.reshape(left, (-1, 1)) + np.arange(self.cw), 0, self.w - 1)
        cols = np.where(mirror[:, None], cols[:, ::-1], cols)
        where = tuple(
            torch.from_numpy(np.ascontiguousarray(v)).to(self.frames.device)
            for v in (
                chosen[:, None, None, None],
                t[:, :, None, None],
                rows[:, None, :, None],
                cols[:, None, None, :],
            )
        )
        x = self.frames[where].to(self.device).float() / 255
        if rng is not None and self.preset.jitter:
            gain, bias = (
                torch.from_numpy(rng.uniform(-1, 1, (n, 1, 1, 1, 1)).astype(np.float32))
                .to(self.device)
                .mul_(self.preset.jitter)
                for _ in range(2)
            )
            grey = x.mean(dim=(1, 2, 3, 4), keepdim=True)
            x = ((x - grey) * (1 + gain) + grey + bias).clamp_(0, 1)
        x = ((x - self.mean) / self.std).permute(0, 4, 1, 2, 3)  # is channels_last_3d already
        if not self.preset.channels_last:
            x = x.contiguous()
        return x, self.labels[torch.from_numpy(chosen)].to(self.device)


def _train_epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    feed: _Feed,
    preset: Preset,
    epoch: int,
    steps: int,
    rng: np.random.Generator,
    advance: "Callable[..., None]",
) -> tuple[float, float]:
    """One pass; mean loss and accuracy of the training batches as they came."""
    total = correct = seen = 0.0
    for step, chosen in enumerate(np.array_split(rng.permutation(feed.n), steps)):
        for group in optimizer.param_groups:
            group["lr"] = preset.lr * lr_factor(preset, (epoch - 1) * steps + step, steps)
        x, y = feed.batch(chosen, rng)
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
def _evaluate(net: nn.Module, feed: _Feed, preset: Preset, where: str) -> tuple[float, float]:
    """Mean cross-entropy (without smoothing) and accuracy over the set, centre views."""
    total = correct = 0.0
    for chosen in np.array_split(np.arange(feed.n), math.ceil(feed.n / preset.batch)):
        x, y = feed.batch(chosen, None)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=preset.bf16):
            logits = net(x).float()
        total += _finite(F.cross_entropy(logits, y, reduction="sum"), f"{where}, validation")
        correct += (logits.argmax(1) == y).sum().item()
    return total / feed.n, correct / feed.n


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


def _check(model: "Model", train_set: ClipSet, val_set: ClipSet) -> None:
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
def _bar(total: int, text: str, show: bool) -> Iterator["Callable[..., None]"]:
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


def _size(crop: int | tuple[int, int]) -> tuple[int, int]:
    return (crop, crop) if isinstance(crop, int) else (int(crop[0]), int(crop[1]))


def _state(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in net.state_dict().items()}


def _seed_of(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, 1]).generate_state(1)[0])


def _fingerprint(preset: Preset, seed: int, *parts: Any) -> str:
    """What makes two runs the same run: recipe, seed, data, and the weights they start from."""
    train_set, val_set, model = parts
    digest = hashlib.sha256(json.dumps([asdict(preset), seed]).encode())
    digest.update((train_set.digest() + val_set.digest()).encode())
    for name, value in model.net.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _save_checkpoint(path: Path, **content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(content, part)
    part.replace(path)


def _load_checkpoint(path: Path, run: str) -> dict[str, Any]:
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path}: not a readable checkpoint ({error}); delete it or start anew with --no-resume"
        ) from error
    if saved.get("format") != FORMAT or saved.get("run") != run:
        raise InputError(
            f"{path}: checkpoint of another run (other recipe, seed, clips or initial weights); "
            "name another folder, or start anew with --no-resume"
        )
    return saved
