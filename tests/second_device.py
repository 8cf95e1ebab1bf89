"""A second device on a machine that has one: what runs on it runs on a GPU, too.

Its tensors say that they are elsewhere, and are computed here. As with a GPU, an operation on
tensors of both devices fails, and so does reading one as an array before it is brought back. What
it cannot tell: how fast a GPU is, how its sums round, and where its memory ends.

``python tests/second_device.py`` asks a network everything, here and there, and prints a line of
JSON for each question; ``python tests/second_device.py book/gradcam.py ...`` runs chapters (quick
profile) with all networks on the second device, and names the cells that fail. Detectors stay with
the processor: ultralytics knows no such device.
"""

import ast
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "elsewhere"
aten = torch.ops.aten
ACROSS = {aten._to_copy.default, aten.copy_.default}  # from one device to another
# Indices may lie with the processor, whatever is indexed: the operands that may not.
INDEXED = {aten.index.Tensor: (0,), aten._unsafe_index.Tensor: (0,)}
INDEXED |= {
    put: (0, 2)
    for put in (
        aten.index_put.default,
        aten.index_put_.default,
        aten._index_put_impl_.default,
        aten._unsafe_index_put.default,
    )
}


class Elsewhere(torch.Tensor):
    """A tensor of the second device."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "Elsewhere":
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, 0),
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    def __repr__(self) -> str:
        return f"{self.held!r} {NAME}"

    def __format__(self, form: str) -> str:
        return format(self.item(), form)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return computed(operation, args, kwargs or {})


class Creation(TorchDispatchMode):
    """Sees the operations that make tensors, which have none among their operands."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return computed(operation, args, kwargs or {})


def computed(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute with the processor, and say that it was done where the operands are."""
    operands = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    there = any(isinstance(one, Elsewhere) for one in operands)
    if there and operation not in ACROSS:
        alike = [args[k] for k in INDEXED[operation]] if operation in INDEXED else operands
        if any(not isinstance(one, Elsewhere) and one.dim() for one in alike):
            raise RuntimeError(f"{operation}: tensors of two devices")
    if (asked := kwargs.get("device")) is not None:
        kwargs, there = kwargs | {"device": "cpu"}, torch.device(asked).type == NAME
    found = operation(*tree_map_only(Elsewhere, lambda one: one.held, args),
                      **tree_map_only(Elsewhere, lambda one: one.held, kwargs))  # fmt: skip
    first = operation._schema.arguments[:1]
    if first and first[0].alias_info is not None and first[0].alias_info.is_write:
        return args[0]
    if "out" in kwargs:
        return kwargs["out"]
    if not there:
        return found
    return tree_map_only(
        torch.Tensor, lambda one: one if isinstance(one, Elsewhere) else Elsewhere(one), found
    )


@contextmanager
def second_device() -> Iterator[None]:
    """Have a second device; once in a process, since torch knows no way back."""
    _setup_privateuseone_for_python_backend(NAME)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch._C._set_only_lift_cpu_tensors(True)

    def graphless(mode: bool = True) -> Any:
        return torch.set_grad_enabled(not mode)  # no tensor of ours can be an inference tensor

    with mock.patch("torch.inference_mode", graphless), Creation():
        yield


# ---- what is asked of a network ------------------------------------------------------------------


def questions() -> dict[str, Callable[[Any], Any]]:
    """Names to functions of a network of the task ``motion``, each with an array as its answer."""
    from vxhelpers.attribution import registry
    from vxhelpers.concepts import tcav
    from vxhelpers.concepts.activations import collect
    from vxhelpers.data.datasets import open_data
    from vxhelpers.evaluation.ablation import reliance
    from vxhelpers.models import samples
    from vxhelpers.stce import add_remove, score
    from vxhelpers.stce.discovery import discover
    from vxhelpers.stce.features import Recipe

    data, target = open_data("stage:motion"), "forehand"
    draw = partial(samples.draw, data, limit=6, rng=np.random.default_rng(0))
    rows = [row for name in data.labels for row in draw(label=name)]
    clips = [data.clip(row) for row in rows]

    def mapped(method: Any) -> Callable[[Any], Any]:
        def answer(model: Any) -> Any:
            x, rng = model.prepare(clips[:2]), np.random.default_rng(0)
            return method.attribute(model, x, target=torch.tensor([0, 1]), rng=rng).cpu()

        return answer

    def scored(model: Any) -> Any:
        sets = {name: clips[4 * k : 4 * k + 4] for k, name in enumerate(("concept", "one", "two"))}
        layer = model.entry.layers[-1].name
        held = collect(model, sets, layers=[layer])
        found = tcav.tcav(
            model, held, clips[12:16], concepts=["concept"], randoms=["one", "two"],
            target=target, settings=tcav.TcavSettings(folds=None),
        )  # fmt: skip
        return found[layer].derivatives("concept", "mean")

    def cut(model: Any) -> Any:
        rng = np.random.default_rng(0)
        recipe = Recipe(segments=(4, 8), concepts=3, nearest=6)
        found = discover(model, None, clips[:6], rng=rng, recipe=recipe)
        settings = score.ScoringSettings(groups=4, draws=20)
        scores = score.score(found, model, target, randoms=clips[6:11], rng=rng, settings=settings)
        twice = add_remove.AddRemoveSettings(permutations=2)
        curves = add_remove.evaluate(
            model, {target: scores}, clips[11:13], [target] * 2, rng=rng, settings=twice
        ).curves
        return np.concatenate(
            [scores.derivatives.ravel(), *(one.probability.ravel() for one in curves.values())]
        )

    def relied(model: Any) -> Any:
        few = samples.collect(data, model, rows)
        found = reliance(model, model.prepare(few.clips), few.masks, few.labels, target=target,
                         rng=np.random.default_rng(0))  # fmt: skip
        return np.concatenate([one.ravel() for one in found.logit.values()])

    known = (*registry.METHODS, *registry.hiding(views=16, segments=6))
    asked = {one.name: mapped(one) for one in known if one.family != registry.BASELINES}
    return asked | {"Video-TCAV": scored, "STCE": cut, "reliance": relied}


def compare() -> Iterator[dict[str, Any]]:
    """Ask everything here and elsewhere: the greatest difference, over the greatest value."""
    from vxhelpers.models import zoo

    nets = [zoo.load("stage_r3d", weights="motion", device=device) for device in ("cpu", NAME)]
    assert [net.device.type for net in nets] == ["cpu", NAME]
    for name, ask in questions().items():
        one = {"question": name}
        try:
            here, there = (np.asarray(ask(net), float) for net in nets)
        except Exception as error:
            yield one | {"failed": f"{type(error).__name__}: {error}", "at": places(error)}
        else:
            yield one | {"differs": float(np.abs(here - there).max() / np.abs(here).max())}


def chapter(path: Path) -> Iterator[dict[str, Any]]:
    """Run a chapter's cells, and name those that fail."""
    import jupytext

    names: dict[str, Any] = {}
    for number, cell in enumerate(jupytext.read(path).cells):
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        last = tree.body and isinstance(tree.body[-1], ast.Expr) and tree.body.pop()
        try:
            exec(compile(tree, f"cell {number}", "exec"), names)
            if last:
                eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
        except Exception as error:
            failed = f"{type(error).__name__}: {error}"
            yield {"chapter": path.name, "cell": number, "failed": failed, "at": places(error)}
        if "parameters" in cell.metadata.get("tags", []):
            names["profile"] = "quick"


def places(error: Exception) -> list[str]:
    """Where an error came from, without what libraries did."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if "vxhelpers" in one.filename or one.filename.startswith("cell")]
    return [f"{Path(one.filename).name}:{one.lineno}" for one in ours]


def main(paths: list[str]) -> int:
    torch.set_num_threads(1)
    failures = 0
    with second_device(), mock.patch.dict(os.environ, VX_DEVICE=f"{NAME}:0"):
        for path in map(Path, paths):
            with mock.patch(
                "vxhelpers.concept_sets.detector.default_device", lambda: "cpu"
            ):  # ultralytics'
                cells = [*chapter(path)]
            for one in cells or [{"chapter": path.name, "failed": None}]:
                print(json.dumps(one), flush=True)
            failures += len(cells)
        for one in [] if paths else compare():
            print(json.dumps(one), flush=True)
            failures += "failed" in one
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
