"""Grad-CAM against its floor (one forward, one backward) and against captum and grad-cam.

    python benchmarks/gradcam.py [--nets stage_r3d stage_swin3d] [--clips 4] [--device cpu]

Every contender maps the same clips, classes and layers of the same network, to volumes of the
clip's size, and its maps are compared with ours first. In each round all contenders run once, one
after another in an order that turns; figures are medians over the rounds, of the seconds and of the
ratios within a round. On the CPU seconds are the process's own, so that a busy machine does not
blur them. See README.md beside this file for what each row means.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import torch
import torch.nn.functional as F
from captum.attr import LayerAttribution, LayerGradCam
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from vxhelpers.attribution.gradcam import default_layer, gradcam_layers, volume_layers
from vxhelpers.models import zoo

Maps = list[Tensor] | None


@dataclass(frozen=True)
class Setting:
    """One network, clips and layers to map."""

    model: zoo.Model
    x: Tensor
    layers: tuple[str, ...]
    target: int = 3

    @property
    def modules(self) -> list[nn.Module]:
        return [self.model.net.get_submodule(self.model.layer(n).name) for n in self.layers]

    @property
    def channels_last(self) -> bool:
        return self.model.layer(self.layers[0]).layout == "NTHWC"


# ---- contenders ---------------------------------------------------------------------------------


def ours(s: Setting) -> Maps:
    """Our maps of all layers, from one call."""
    maps = gradcam_layers(s.model, s.x, layers=s.layers, target=s.target)
    return [maps[name] for name in s.layers]


def floor(s: Setting) -> Maps:
    """The least that gives the gradients: no graph before the first layer, no parameter gradient.

    One forward pass and one backward pass to the layers, bare: no copies, checks or maps.
    """
    kept: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        if not kept:
            output = output.detach().requires_grad_()
            torch.set_grad_enabled(True)
        kept.append(output)
        # An in-place layer may follow, and it may not overwrite a leaf.
        return output.clone() if len(kept) == 1 else output

    handles = [module.register_forward_hook(hook) for module in s.modules]
    with torch.no_grad():
        score = s.model.net(s.x)[:, s.target].sum()
    torch.autograd.grad(score, kept)
    for handle in handles:
        handle.remove()
    return None


def to_layers(s: Setting) -> Maps:
    """Forward pass with its whole graph, backward pass to the layers alone (as captum does)."""
    kept: list[Tensor] = []
    handles = [m.register_forward_hook(lambda _m, _i, o: kept.append(o)) for m in s.modules]
    score = s.model.net(s.x)[:, s.target].sum()
    torch.autograd.grad(score, kept)
    for handle in handles:
        handle.remove()
    return None


def training_pass(s: Setting) -> Maps:
    """Forward pass and a whole backward pass into every parameter (as grad-cam does)."""
    s.model.net.zero_grad()
    s.model.net(s.x)[:, s.target].sum().backward()
    return None


def captum(s: Setting) -> Maps:
    """captum: one pass a layer, upsampled by its own `LayerAttribution.interpolate`."""
    size = tuple(s.x.shape[2:])
    maps = []
    for module in s.modules:
        raw = LayerGradCam(s.model.net, module).attribute(s.x, s.target)
        sized = LayerAttribution.interpolate(raw, size, interpolate_mode="trilinear")
        maps.append(sized[:, 0].detach())
    return maps


class RawGradCAM(GradCAM):  # type: ignore[misc]
    """grad-cam's passes and weights with our map: signed, trilinear, one a layer.

    As shipped it clips, scales to [0, 1], averages the layers and upsamples with splines.
    """

    def compute_cam_per_layer(
        self, input_tensor: Tensor, targets: object, eigen_smooth: bool
    ) -> list[Tensor]:
        """Map each layer and bring it to the clip's size."""
        kept = self.activations_and_grads
        pairs = zip(kept.activations, kept.gradients, strict=True)
        size = tuple(input_tensor.shape[2:])
        maps = []
        for activations, gradients in pairs:
            cam = self.get_cam_image(
                input_tensor, None, targets, activations, gradients.numpy(), eigen_smooth
            )
            cam = torch.from_numpy(cam)[:, None]
            maps.append(F.interpolate(cam, size, mode="trilinear", align_corners=False)[:, 0])
        return maps

    def aggregate_multi_layers(self, cam_per_target_layer: list[Tensor]) -> list[Tensor]:
        """Keep the layers apart."""
        return cam_per_target_layer


def grad_cam(s: Setting) -> Maps:
    """grad-cam as shipped, all layers in one pass."""
    _run(GradCAM, s)
    return None


def grad_cam_raw(s: Setting) -> Maps:
    """grad-cam's passes and weights, without its scaling and its slow upsampling."""
    maps: list[Tensor] = _run(RawGradCAM, s)
    return maps


def _run(method: type[GradCAM], s: Setting):  # type: ignore[no-untyped-def]
    reshape = (lambda t: t.permute(0, 4, 1, 2, 3)) if s.channels_last else None
    with method(s.model.net, s.modules, reshape_transform=reshape) as cam:
        return cam(s.x, [ClassifierOutputTarget(s.target)] * len(s.x))


# ---- measuring ----------------------------------------------------------------------------------


def contenders(s: Setting) -> dict[str, Callable[[Setting], Maps]]:
    """What runs in a setting; captum has no way to name the channel axis of a Swin layer."""
    every = (ours, floor, to_layers, training_pass, captum, grad_cam_raw, grad_cam)
    return {f.__name__: f for f in every if not (f is captum and s.channels_last)}


def seconds(run: Callable[[Setting], Maps], s: Setting) -> float:
    """Time one call: CPU seconds of all threads, or wall seconds where a GPU does the work."""
    if not s.x.is_cuda:
        start = time.process_time()
        run(s)
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run(s)
    torch.cuda.synchronize()
    return time.perf_counter() - start


def check(s: Setting) -> None:
    """Run every contender once, and stop unless all make the same maps."""
    expected = ours(s)
    assert expected is not None
    for name, run in contenders(s).items():
        maps = run(s)
        for mine, other in zip(expected, maps or [], strict=maps is not None):
            error = float((mine.cpu() - other.cpu()).abs().max() / mine.cpu().abs().max())
            if error > 1e-4:
                raise SystemExit(f"{name} makes another map: {error:.1e} of the largest value")


def compare(s: Setting, *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender, a value a round, interleaved."""
    runs = contenders(s)
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for _ in range(rounds):
        for name in order:
            times[name].append(seconds(runs[name], s))
        order.append(order.pop(0))
    return times


def ratio(a: list[float], b: list[float]) -> float:
    """Median over the rounds of ``a`` over ``b``."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def report(title: str, times: dict[str, list[float]]) -> dict[str, float]:
    """Print one setting's table; return its ratios."""
    print(f"\n{title:26}{'seconds':>9}{'over floor':>12}{'over ours':>11}")
    for name, values in times.items():
        over = ratio(values, times["floor"]), ratio(values, times["ours"])
        print(f"  {name:24}{statistics.median(values):9.4f}{over[0]:12.2f}{over[1]:11.2f}")
    others = {n: ratio(v, times["ours"]) for n, v in times.items() if n not in ("ours", "floor")}
    return {
        "over_floor": ratio(times["ours"], times["floor"]),
        **{f"speedup_{name}": value for name, value in others.items()},
    }


def settings(nets: Sequence[str], clips: int, device: str) -> dict[str, Setting]:
    """Each network at its usual layer and at all its layers with space and time."""
    generator = torch.Generator().manual_seed(0)
    chosen = {}
    for name in nets:
        model = zoo.load(name, weights="random", device=device)
        crop = model.entry.crop
        size = (crop, crop) if isinstance(crop, int) else crop
        x = torch.randn(clips, 3, model.entry.frames, *size, generator=generator).to(device)
        every = tuple(volume_layers(model))
        chosen[f"{name}, one layer"] = Setting(model, x, (default_layer(model),))
        chosen[f"{name}, {len(every)} layers"] = Setting(model, x, every)
    return chosen


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all settings; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=["stage_r3d", "stage_swin3d"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clips", type=int, default=4, help="clips in the batch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    on_gpu = options.device.startswith("cuda")
    began = time.perf_counter()
    ratios = {}
    for title, setting in settings(options.nets, options.clips, options.device).items():
        check(setting)
        ratios[title] = report(title, compare(setting, rounds=options.rounds))

    def worst(key: str) -> float:
        return min(r[key] for r in ratios.values() if key in r)

    print(f"\n{time.perf_counter() - began:.0f} s in all; below, the figures of the worst setting")
    figures = {
        "gradcam_over_forward_backward": max(r["over_floor"] for r in ratios.values()),
        "speedup_captum": worst("speedup_captum"),
        "speedup_grad_cam": worst("speedup_grad_cam_raw"),
        "speedup_grad_cam_as_shipped": worst("speedup_grad_cam"),
        "settings": {t: {k: round(v, 3) for k, v in r.items()} for t, r in ratios.items()},
        "clips": options.clips,
        "rounds": options.rounds,
        "device": torch.cuda.get_device_name() if on_gpu else platform.machine(),
        "threads": options.threads,
        "versions": {n: version(n) for n in ("torch", "torchvision", "captum", "grad-cam")},
    }
    print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}))


if __name__ == "__main__":
    main()
