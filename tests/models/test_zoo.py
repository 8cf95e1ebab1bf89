"""Every entry of the zoo with random weights; weights files, good and bad."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, UnknownNameError, WeightsError
from vxhelpers.io.files import sha256
from vxhelpers.models import zoo
from vxhelpers.models.zoo import Layer

NAMES = zoo.names()
LABELS = ("a", "b", "c")
STAGE = [name for name in NAMES if name.startswith("stage_")]

# Frames and size of the smallest input on which an entry has a grid to look at; its own where the
# architecture fixes it.
SMALL = {
    **dict.fromkeys(STAGE, (16, 64)),
    **dict.fromkeys(("swin3d_t", "swin3d_s", "swin3d_b"), (4, 64)),
    **dict.fromkeys(("r3d_18", "mc3_18", "r2plus1d_18"), (8, 32)),
    **dict.fromkeys(("slow_r50", "i3d_r50", "c2d_r50", "x3d_s", "x3d_m"), (8, 64)),
    "slowfast_r50": (32, 64),
    "s3d": (14, 64),
    "mvit_v2_s": (16, 224),
    "c3d": (16, 112),
    "i3d": (16, 64),
}


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> zoo.Model:
    """Each entry with random weights, made once; one at a time is in memory."""
    return zoo.load(request.param, weights="random", labels=LABELS, seed=1)


def shrink(net: nn.Module) -> None:
    """Let the last pooling, made for one grid, average whatever grid is there."""
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.AvgPool3d):
                setattr(module, name, nn.AdaptiveAvgPool3d(1))


class Watch:
    """Keeps what each probe layer put out, in running order."""

    def __init__(self, model: zoo.Model) -> None:
        self.outputs: dict[str, Any] = {}
        for layer in model.entry.layers:
            module = model.net.get_submodule(layer.name)
            module.register_forward_hook(self.hook(layer))

    def hook(self, layer: Layer) -> Callable[..., Any]:
        def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            tensor = output if isinstance(output, Tensor) else output[0]
            if tensor.requires_grad:
                tensor.retain_grad()
            self.outputs[layer.name] = output
            # What follows works on a copy, so that an in-place ReLU leaves the layer's own values.
            return tensor.clone() if isinstance(output, Tensor) else (tensor.clone(), *output[1:])

        return keep

    def canonical(self, layer: Layer, *, gradient: bool = False) -> Tensor:
        output = self.outputs[layer.name]
        if not gradient:
            return layer.canonical(output)
        if isinstance(output, Tensor):
            assert output.grad is not None, layer.name
            return layer.canonical(output.grad)
        return layer.canonical((output[0].grad, *output[1:]))


@pytest.mark.parametrize("name", NAMES)
def test_entry_takes_the_input_it_declares(name: str) -> None:
    entry = zoo.ENTRIES[name]
    with torch.device("meta"):
        net = entry.build(7).eval()
        size = (entry.crop,) * 2 if isinstance(entry.crop, int) else entry.crop
        x = torch.empty(1, 3, entry.frames, *size)
    model = zoo.Model(entry, net, tuple("abcdefg"), "none", "")
    watch = Watch(model)
    with torch.no_grad():
        assert model.logits(x).shape == (1, 7)
    grids = [
        tuple(watch.canonical(layer).shape[2:]) for layer in entry.layers if layer.layout != "NC"
    ]
    assert all(len(grid) == 3 for grid in grids)
    # From input to output grids only shrink; a fast pathway has its own frames.
    for before, after in pairwise(grids):
        assert before[1] >= after[1] and before[2] >= after[2]
    assert min(grids[-1]) >= 2, "the last layer has no grid left for a map"
    head = net.get_submodule(entry.head)
    assert head.weight.shape[0] == 7


def test_weights_file_round_trip(model: zoo.Model, tmp_path: Path) -> None:
    path = zoo.save(model, tmp_path / "w.safetensors", metadata={"task": "motion", "accuracy": 0.5})
    again = zoo.load(model.entry.name, weights=path)
    path.unlink()
    assert again.digest == model.digest
    assert again.labels == LABELS
    assert again.metadata["task"] == "motion" and json.loads(again.metadata["accuracy"]) == 0.5
    assert not again.net.training
    assert all(p.requires_grad and not p.is_meta for p in again.net.parameters())
    assert not any(buffer.is_meta for buffer in again.net.buffers())


def test_gradient_reaches_every_layer_in_order(model: zoo.Model) -> None:
    entry, (frames, size) = model.entry, SMALL[model.entry.name]
    shrink(model.net)
    watch = Watch(model)
    x = torch.randn(1, 3, frames, size, size, generator=torch.Generator().manual_seed(0))
    model.net.requires_grad_(False)  # the gradient by the input passes all layers
    x.requires_grad_()
    logits = model.logits(x)
    assert logits.shape == (1, 3) and bool(logits.isfinite().all())
    logits[0, 1].backward()
    for layer in entry.layers:
        values = watch.canonical(layer)
        slopes = watch.canonical(layer, gradient=True)
        assert values.shape == slopes.shape
        assert values.ndim == (2 if layer.layout == "NC" else 5)
        assert slopes.isfinite().all() and slopes.abs().max() > 0, layer.name

    def key(ran: str) -> str:  # the pathways of one stage may stand in either order
        return ran.split(".multipathway_blocks")[0]

    assert [key(ran) for ran in watch.outputs] == [key(layer.name) for layer in entry.layers]

    # A linear head sends one constant back, its own row; anything else does not.
    row = model.net.get_submodule(entry.head).weight[1].flatten()
    top = watch.outputs[entry.top_layer].grad
    assert top is not None
    constant = torch.allclose(top.flatten(2).sum(2)[0] if top.ndim > 2 else top[0], row, atol=1e-6)
    assert constant is entry.linear_head
    assert model.layer(entry.top_layer).layout == "NC"


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # fvcore's, at import
def test_pretrained_addresses_are_the_libraries_own() -> None:
    from pytorchvideo.models.hub import resnet, slowfast, x3d

    for name, entry in zoo.ENTRIES.items():
        if entry.family == "PyTorchVideo":
            known = {
                **resnet.checkpoint_paths,
                **slowfast.checkpoint_paths,
                **x3d.checkpoint_paths,
            }
            assert entry.url == known[name]
    assert zoo.ENTRIES["swin3d_t"].url.endswith("swin3d_t-7615ae03.pth")
    labels = {e.labels for e in zoo.ENTRIES.values() if e.family != "embedded"}
    assert len(labels) == 1 and len(next(iter(labels))) == 400
    assert "playing tennis" in next(iter(labels))


def test_parameters_are_the_libraries_own() -> None:
    from torchvision.models import get_model_weights

    lines = {line.name: line for line in zoo.listing()}
    for name, line in lines.items():
        if line.family in ("torchvision", "Video Swin"):
            record = get_model_weights(name)["KINETICS400_V1"].meta
            assert line.parameters == record["num_params"]
    assert lines["swin3d_t"].input == "32x224x224, stride 2"
    assert lines["swin3d_t"].weights == ("published",)
    assert lines["c3d"].weights == ()
    assert all((lines[name].parameters or 0) < 1.2e6 for name in STAGE)


@pytest.mark.parametrize("name", STAGE)
def test_embedded_nets_keep_a_grid_and_tell_the_direction_of_time(name: str) -> None:
    model = zoo.load(name, weights="random")
    watch = Watch(model)
    x = torch.randn(2, 3, 16, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        forward, backward = model.logits(x), model.logits(x.flip(2))
    last = [layer for layer in model.entry.layers if layer.layout != "NC"][-1]
    frames, height, width = watch.canonical(last).shape[2:]
    assert frames >= 4 and height >= 4 and width >= 4
    assert (forward - backward).abs().max() > 1e-3 * forward.abs().max()


@pytest.fixture
def clips() -> list[Clip]:
    rng = np.random.default_rng(0)
    return [
        Clip(rng.integers(0, 256, (16, 80, 112, 3), dtype=np.uint8), fps=16.0, source=f"clip {i}")
        for i in range(2)
    ]


def test_prepare_makes_a_batch_that_the_net_takes(clips: list[Clip]) -> None:
    model = zoo.load("stage_r3d", weights="random")
    x = model.prepare(clips)
    assert x.shape == (2, 3, 16, 64, 64) and x.dtype == torch.float32
    assert torch.equal(model.prepare(clips[1])[0], x[1])
    assert model.logits(x).shape == (2, 6)
    with pytest.raises(InputError, match="'stage_r3d': no clips"):
        model.prepare([])
    with pytest.raises(InputError, match=r"takes \(N, C, T, H, W\) clips, not \(3, 16, 64, 64\)"):
        model.logits(x[0])


def test_random_weights_follow_the_seed_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, same, other = (zoo.load("stage_r3d", weights="random", seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert one.digest == same.digest != other.digest
    assert one.weights == "random, seed 1"
    assert one.labels == tuple(f"class {i}" for i in range(6))


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'r3d18'; did you mean 'r3d_18'"):
        zoo.load("r3d18")
    with pytest.raises(UnknownNameError, match=r"weights 'montion' in model 'r3d_18'.*random"):
        zoo.load("r3d_18", weights="montion")
    model = zoo.load("stage_r3d", weights="random")
    with pytest.raises(UnknownNameError, match=r"layer 'layer5' in model 'stage_r3d'.*'layer4'"):
        model.layer("layer5")
    assert model.layer("layer4") == Layer("layer4", "NCTHW")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    model = zoo.load("stage_r3d", weights="random", labels=LABELS)
    yield zoo.save(model, tmp_path_factory.mktemp("weights") / "net.safetensors")


def test_shipped_weights_go_by_their_task(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "SHIPPED", tmp_path)
    (tmp_path / "stage_r3d-motion.safetensors").write_bytes(saved.read_bytes())
    model = zoo.load("stage_r3d", weights="motion")
    assert model.weights.endswith("stage_r3d-motion.safetensors")
    assert zoo.shipped("stage_r3d") == ["motion"]
    with pytest.raises(UnknownNameError, match="did you mean 'motion'"):
        zoo.load("stage_r3d", weights="motions")


def test_half_precision_halves_the_file_and_reads_as_float32(saved: Path, tmp_path: Path) -> None:
    model = zoo.load("stage_r3d", weights=saved)
    path = zoo.save(model, tmp_path / "half.safetensors", dtype=torch.float16)
    assert path.stat().st_size < 0.6 * saved.stat().st_size
    again = zoo.load("stage_r3d", weights=path)
    for value, half in zip(model.net.parameters(), again.net.parameters(), strict=True):
        assert half.dtype == torch.float32
        assert torch.equal(half, value.half().float())


def test_half_precision_never_stores_infinity(tmp_path: Path) -> None:
    model = zoo.load("stage_r3d", weights="random")
    with torch.no_grad():
        model.net.get_submodule("fc").weight[0, 0] = 1e6
    target = tmp_path / "half.safetensors"
    with pytest.raises(WeightsError, match=r"half.safetensors: fc.weight .* not finite as .*16"):
        zoo.save(model, target, dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"net.pt: weights are saved as .safetensors"):
        zoo.save(model, tmp_path / "net.pt")


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state"])
def test_pickled_state_dicts_load(wrapper: str | None, saved: Path, tmp_path: Path) -> None:
    model = zoo.load("stage_r3d", weights=saved)
    state: dict[str, Any] = {f"module.{k}": v for k, v in model.net.state_dict().items()}
    path = tmp_path / "net.pth"
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, path)
    again = zoo.load("stage_r3d", weights=path, labels=["x", "y", "z"])
    assert again.digest == model.digest
    assert again.labels == ("x", "y", "z")
    assert zoo.load("stage_r3d", weights=path).labels == ("class 0", "class 1", "class 2")


def test_files_from_before_batch_counters_load(saved: Path, tmp_path: Path) -> None:
    state = {k: v for k, v in load_file(saved).items() if not k.endswith("num_batches_tracked")}
    path = tmp_path / "old.pt"
    torch.save(state, path)
    assert zoo.load("stage_r3d", weights=path).digest == zoo.load("stage_r3d", weights=saved).digest


def test_weights_of_another_architecture_are_named(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        zoo.load("stage_c3d", weights=saved)
    text = str(caught.value)
    assert text.startswith(f"{saved} does not fit model 'stage_c3d': conv1.weight is missing")
    assert text.endswith("more; it is made for 'stage_r3d'")
    # Without metadata, the keys and shapes tell.
    path = tmp_path / "anonymous.pt"
    torch.save(load_file(saved), path)
    with pytest.raises(WeightsError, match=r"it is made for 'stage_r3d'$"):
        zoo.load("r3d_18", weights=path)


def test_the_same_shapes_with_another_sampling_are_another_architecture(tmp_path: Path) -> None:
    model = zoo.load("x3d_s", weights="random", labels=LABELS)
    path = zoo.save(model, tmp_path / "x3d.safetensors")
    with pytest.raises(WeightsError, match="does not fit model 'x3d_m': it is made for 'x3d_s'"):
        zoo.load("x3d_m", weights=path)


def test_mis_shaped_weights_are_named(saved: Path, tmp_path: Path) -> None:
    state = load_file(saved)
    state["stem.0.weight"] = torch.zeros(8, 3, 1, 7, 7)
    state["extra"] = torch.zeros(1)
    path = tmp_path / "odd.pt"
    torch.save(state, path)
    with pytest.raises(WeightsError, match=r"extra is not in.*stem.0.weight is \(8, 3, 1, 7, 7\),"):
        zoo.load("stage_r3d", weights=path)


def test_labels_are_counted(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"net.safetensors has 3 classes, but 2 labels are given"):
        zoo.load("stage_r3d", weights=saved, labels=["x", "y"])
    path = tmp_path / "net.safetensors"
    save_file(load_file(saved), path, metadata={"labels": '["x"]'})
    with pytest.raises(InputError, match="3 classes, but 1 labels are in its metadata"):
        zoo.load("stage_r3d", weights=path)
    save_file(load_file(saved), path, metadata={"labels": "x, y"})
    with pytest.raises(WeightsError, match="not a JSON list"):
        zoo.load("stage_r3d", weights=path)


class Payload:
    """Would run a command if it were unpickled as plain pickle does."""

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return Path, ("/tmp",)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_damaged_files_are_named(suffix: str, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / f"bad{suffix}"
    torch.save(load_file(saved), path)
    whole = path.read_bytes() if suffix == ".pt" else saved.read_bytes()
    for content in (b"", b"not weights at all", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=f"bad{suffix}: damaged, or not a weights file"):
            zoo.load("stage_r3d", weights=path)


def test_files_with_more_or_other_than_tensors_are_refused(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.pt"
    contents: dict[str, Any] = {
        "tensors only": {"fc.weight": Payload()},
        "no state dict": [torch.zeros(3)],
        "'epoch' is not a named tensor": {**load_file(saved), "epoch": 3},
        "fc.bias holds NaN": {**load_file(saved), "fc.bias": torch.full((3,), torch.nan)},
    }
    for message, content in contents.items():
        torch.save(content, path)
        with pytest.raises(WeightsError, match=rf"odd.pt: .*{message}"):
            zoo.load("stage_r3d", weights=path)
    with pytest.raises(WeightsError, match=r"missing.pth: no such weights file"):
        zoo.load("stage_r3d", weights=tmp_path / "missing.pth")
    (tmp_path / "net.onnx").touch()
    with pytest.raises(WeightsError, match=r"net.onnx: weights are read from .safetensors, .pt"):
        zoo.load("stage_r3d", weights=tmp_path / "net.onnx")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No network, an empty hub cache, and an empty folder for VX_WEIGHTS."""

    def refuse(*_args: Any, **_options: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("VX_WEIGHTS", str(folder))
    return folder


def test_offline_says_which_file_to_put_where(offline: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        zoo.load("swin3d_t")
    text = str(caught.value)
    for part in ("'swin3d_t'", "put swin3d_t-7615ae03.pth", "VX_WEIGHTS", "hub", "--weights"):
        assert part in text
    with pytest.raises(WeightsError, match=r"put X3D_S.pyth into"):
        zoo.load("x3d_s")
    with pytest.raises(WeightsError, match="'c3d' has no published weights; name a file"):
        zoo.load("c3d")


def test_published_weights_are_found_on_the_machine_and_checked(
    offline: Path, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stem = "net-" + sha256(saved)[:8]
    entry = replace(
        zoo.ENTRIES["stage_r3d"], url=f"https://example.org/{stem}.safetensors", labels=LABELS
    )
    monkeypatch.setattr(zoo, "ENTRIES", {"stage_r3d": entry})
    path = offline / f"{stem}.safetensors"
    path.write_bytes(saved.read_bytes())
    assert zoo.load("stage_r3d").weights == str(path)
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(WeightsError, match=rf"{stem}.safetensors: damaged, its SHA-256"):
        zoo.load("stage_r3d")
    path.unlink()
    cached = offline.parent / "hub" / "checkpoints" / path.name
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.write_bytes(saved.read_bytes())
    assert zoo.load("stage_r3d").weights == str(cached)
