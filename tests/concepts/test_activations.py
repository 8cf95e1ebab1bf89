from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toys import Deep3d, toy_model

from vxhelpers.concepts.activations import clip_name, collect, gram
from vxhelpers.concepts.cav import against, fit
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.io.cache import Store
from vxhelpers.models.probe import probe
from vxhelpers.models.zoo import Model

LAYERS = ["conv1", "conv3", "head"]


def clips(count: int, seed: int, *, size: int = 8) -> list[Clip]:
    rng = np.random.default_rng(seed)
    return [
        Clip(rng.integers(0, 256, (4, size, size, 3), np.uint8), 8.0, f"video{seed}-{k}.mp4")
        for k in range(count)
    ]


class Counting(nn.Module):
    """Deep3d that counts its forwards and clips, and may fail on some of them."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net = Deep3d()
        self.batches: list[int] = []
        self.room = 1000
        self.until = 1000
        self.poison: float | None = None

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.room or len(self.batches) >= self.until:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.batches.append(len(x))
        if self.poison is not None:
            x = torch.where(x.amax((1, 2, 3, 4), keepdim=True) == 255, self.poison, x)
        return self.net(x)


@pytest.fixture
def model() -> Model:
    layers = [("net.conv1", "NCTHW"), ("net.conv3", "NCTHW"), ("net.head", "NC")]
    toy = toy_model(Counting(), layers)
    entry = replace(
        toy.entry, frames=4, stride=1, resize=8, crop=8, mean=(0.0,) * 3, std=(1 / 255,) * 3
    )
    return replace(toy, entry=entry)


NAMES = [f"net.{name}" for name in LAYERS]


def test_rows_are_the_clips_activations(model: Model) -> None:
    a, b = clips(4, 1), clips(5, 2)
    found = collect(model, {"a": a, "b": b}, layers=NAMES, batch_size=4)
    direct = probe(model, model.prepare([*a, *b]), layers=NAMES, gradients=False)
    assert list(found.layers) == NAMES
    for name in NAMES:
        torch.testing.assert_close(
            found.layers[name], direct.activations[name], rtol=1e-4, atol=1e-3
        )
    assert found.rows("a").tolist() == [0, 1, 2, 3]
    assert found.rows("b").tolist() == [4, 5, 6, 7, 8]
    assert found.names[4] == "video2-0.mp4 [0, 0.5) s" == clip_name(b[0])
    assert found.digests == tuple(clip.digest() for clip in [*a, *b])
    with pytest.raises(UnknownNameError, match="set of clips 'c'"):
        found.rows("c")


def test_some_sets_alone_are_as_if_only_they_had_been_collected(model: Model) -> None:
    a, b, c = clips(4, 1), clips(5, 2), clips(4, 3)
    sets = {"b": b, "ab": [*b[:2], *a]}
    found = collect(model, {"a": a, "c": c, **sets}, layers=NAMES, batch_size=16).only(["ab", "b"])
    alone = collect(model, sets, layers=NAMES, batch_size=16)
    assert set(found.digests) == set(alone.digests) and len(found.names) == 9
    for name in sets:
        rows, direct = found.rows(name), alone.rows(name)
        assert [found.names[row] for row in rows] == [alone.names[row] for row in direct]
        torch.testing.assert_close(found.layers[NAMES[1]][rows], alone.layers[NAMES[1]][direct])
    with pytest.raises(UnknownNameError, match="unknown set of clips 'a'"):
        found.only(["a"])


@pytest.mark.parametrize("layers", [NAMES[:1], NAMES])
def test_one_forward_a_distinct_clip_whatever_the_layers_and_sets(
    model: Model, layers: list[str]
) -> None:
    a, b = clips(4, 1), clips(5, 2)
    renamed = [replace(clip, source="copy") for clip in a[:2]]
    sets = {"a": a, "b": b, "mixed": [*renamed, *b[:3]], "all": [*a, *b]}
    found = collect(model, sets, layers=layers, batch_size=2)
    assert sum(model.net.batches) == 9 and max(model.net.batches) == 2
    assert found.rows("mixed").tolist() == [0, 1, 4, 5, 6]
    assert found.rows("all").tolist() == list(range(9))
    problems = [against(found.sets, "a", "b")] * 50
    for x in found.layers.values():
        fit(gram(x), problems, folds=None)
    assert sum(model.net.batches) == 9


def test_clips_of_any_size_go_together(model: Model) -> None:
    sets = {"a": clips(4, 1, size=8), "b": clips(4, 2, size=16)}
    assert len(collect(model, sets, layers=NAMES).layers["net.conv1"]) == 8


def test_half_precision_halves_the_memory_and_keeps_the_signs(model: Model) -> None:
    sets = {"a": clips(5, 1), "b": clips(5, 2)}
    full, half = (
        collect(model, sets, layers=["net.conv3"], dtype=dtype).layers["net.conv3"]
        for dtype in (torch.float32, torch.float16)
    )
    assert half.nbytes * 2 == full.nbytes
    problem = [against({"a": np.arange(5), "b": np.arange(5, 10)}, "a", "b")]
    distances = [
        fit(gram(x), problem, folds=None).weights @ x.flatten(1).double().numpy()
        for x in (full, half)
    ]
    np.testing.assert_allclose(*distances, atol=5e-3)
    with pytest.raises(InputError, match=r"torch\.bfloat16: activations are kept as"):
        collect(model, sets, layers=NAMES, dtype=torch.bfloat16)


# the Gram matrix


@pytest.mark.parametrize("block", [7, 64, 10_000])
def test_gram_is_the_product_of_the_rows(block: int) -> None:
    x = torch.randn(9, 3, 4, 5, 5, generator=torch.Generator().manual_seed(0)) + 2
    flat = x.flatten(1).double().numpy()
    centred = (flat - flat.mean(0)) @ (flat - flat.mean(0)).T
    np.testing.assert_allclose(gram(x, block=block), centred, atol=1e-4)
    np.testing.assert_allclose(gram(x.double(), block=block), centred, atol=1e-10)
    assert np.array_equal(gram(x, block=block), gram(x, block=block).T)
    assert np.array_equal(gram(x, block=block), gram(x.clone(), block=block))


def test_centring_saves_the_digits_that_tell_clips_apart() -> None:
    x = torch.randn(9, 4000, generator=torch.Generator().manual_seed(0)) + 1000
    flat = x.double().numpy()
    wanted = (flat - flat.mean(0)) @ (flat - flat.mean(0)).T
    middle = np.eye(9) - 1 / 9
    late = np.abs(middle @ (x.numpy() @ x.numpy().T) @ middle - wanted).max()
    early = np.abs(gram(x) - wanted).max()
    assert early < 1e-2 < 10 < late


# what was computed stays


def test_a_second_run_computes_only_what_is_new(model: Model, tmp_path: Path) -> None:
    store = Store(tmp_path)
    a, b = clips(4, 1), clips(5, 2)
    first = collect(model, {"a": a}, layers=NAMES, store=store)
    again = collect(model, {"other name": a, "b": b}, layers=NAMES, store=store)
    assert sum(model.net.batches) == 9
    for name in NAMES:
        assert torch.equal(first.layers[name], again.layers[name][:4])
    collect(replace(model, digest="1" * 64), {"a": a}, layers=NAMES, store=store)
    assert sum(model.net.batches) == 13  # other weights
    collect(model, {"a": a}, layers=NAMES, dtype=torch.float16, store=store)
    assert sum(model.net.batches) == 17  # another type


def test_out_of_memory_says_what_to_try_and_keeps_what_is_finished(
    model: Model, tmp_path: Path
) -> None:
    sets, store = {"a": clips(10, 1)}, Store(tmp_path)
    model.net.room = 3
    with pytest.raises(InputError, match=r"a batch of 4 does not fit in memory: try batch_size=2"):
        collect(model, sets, layers=NAMES, batch_size=4, store=store)
    model.net.until = 3
    with pytest.raises(InputError, match=r"a batch of 2 .* try batch_size=1"):
        collect(model, sets, layers=NAMES, batch_size=2, store=store)
    model.net.until = 1000
    collect(model, sets, layers=NAMES, batch_size=1, store=store)
    assert model.net.batches == [2, 2, 2, 1, 1, 1, 1]


def test_activations_larger_than_memory_say_how_large(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = torch.empty

    def refused(*shape, **options):
        if shape[0]:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return empty(*shape, **options)

    monkeypatch.setattr("vxhelpers.concepts.activations.torch.empty", refused)
    with pytest.raises(InputError, match=r"of 4 clips take 0\.0 GiB .* dtype=torch\.float16"):
        collect(model, {"a": clips(4, 1)}, layers=NAMES)


# bad input


def test_sets_that_cannot_be_used(model: Model) -> None:
    a = clips(5, 1)
    with pytest.raises(InputError, match=r"set 'few' has 3 clips: .* at least 4"):
        collect(model, {"a": a, "few": a[:3]}, layers=NAMES)
    twin = replace(a[1], source="twin.mp4")
    with pytest.raises(
        InputError, match=r"set 'a' holds the same clip twice: video1-1\.mp4 .* and twin\.mp4"
    ):
        collect(model, {"a": [*a, twin]}, layers=NAMES)
    with pytest.raises(InputError, match="at least one set of clips and one layer"):
        collect(model, {}, layers=NAMES)
    with pytest.raises(InputError, match="at least one set of clips and one layer"):
        collect(model, {"a": a}, layers=[])
    with pytest.raises(UnknownNameError, match=r"did you mean 'net\.conv3'"):
        collect(model, {"a": a}, layers=["net.conv2x"])
    with pytest.raises(InputError, match="batch_size=0"):
        collect(model, {"a": a}, layers=NAMES, batch_size=0)
    assert not model.net.batches


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_clip_that_is_not_finite_is_named_with_the_layer(model: Model, bad: float) -> None:
    sets = {"a": clips(6, 1)}
    for index, clip in enumerate(sets["a"]):
        clip.frames[clip.frames == 255] = 254
        if index == 4:
            clip.frames[0, 0, 0] = 255
    model.net.poison = bad
    model = replace(model, entry=replace(model.entry, std=(1.0 / 255,) * 3))
    with pytest.raises(NotFiniteError, match=r"video1-4\.mp4 .* layer 'net\.conv1'"):
        collect(model, sets, layers=NAMES, batch_size=3)


def test_what_exceeds_half_precision_is_named(model: Model) -> None:
    with torch.no_grad():
        model.net.net.conv3.weight.mul_(1e5)
    sets = {"a": clips(4, 1)}
    collect(model, sets, layers=["net.conv3"])
    with pytest.raises(NotFiniteError, match=r"video1-0\.mp4 .* 'net\.conv3' exceed float16"):
        collect(model, sets, layers=["net.conv3"], dtype=torch.float16)


def test_a_constant_layer_is_refused(model: Model) -> None:
    with torch.no_grad():
        model.net.net.conv3.weight.zero_()
    with pytest.raises(InputError, match=r"layer 'net\.conv3' .* constant: all 4 clips"):
        collect(model, {"a": clips(4, 1)}, layers=["net.conv3"])
