import numpy as np
import pytest
import torch

from vxhelpers.attribution.tracin import Influence, self_influence, tracin
from vxhelpers.data.datasets import open_data
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.models import zoo


@pytest.fixture(scope="module")
def setting():
    model, data = zoo.load("stage_c3d", weights="motion"), open_data("stage:motion")
    rows = [row for label in data.labels for row in data.rows("train", label)[:4]]
    clips, labels = [data.clip(row) for row in rows], [row.label for row in rows]
    tests = [data.rows("test", label)[0] for label in data.labels]
    x = model.prepare([data.clip(row) for row in tests])
    return model, clips, labels, x, [row.label for row in tests]


def by_hand(model, clips, labels, x, targets):
    """Dot products of the gradients of the classifier's weights, one clip at a time by autograd."""
    head = model.net.get_submodule(model.entry.head)

    def slope(one, label):
        model.net.zero_grad()
        logits = model.net(one[None])
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([label]))
        return torch.autograd.grad(loss, head.weight)[0].flatten().double()

    index = model.labels.index
    mine = [slope(one, index(label)) for one, label in zip(x, targets, strict=True)]
    theirs = [
        slope(model.prepare(c)[0], index(label)) for c, label in zip(clips, labels, strict=True)
    ]
    return np.array([[float(a @ b) for b in theirs] for a in mine])


@pytest.mark.parametrize("batch_size", [1, 5])
def test_scores_are_products_of_gradients(setting, batch_size) -> None:
    model, clips, labels, x, targets = setting
    found = tracin(model, clips, labels, x, target=targets, batch_size=batch_size)
    slow = by_hand(model, clips, labels, x, targets)
    np.testing.assert_allclose(found.scores, slow, rtol=1e-3, atol=1e-6 * np.abs(slow).max())
    assert found.checkpoints == 1


def test_scores_add_up_over_checkpoints_and_the_network_stays_as_it_was(setting, tmp_path) -> None:
    model, clips, labels, x, targets = setting
    before = zoo.digest(model.net)
    paths = []
    for seed in (1, 2):
        other = zoo.load("stage_c3d", weights="random", labels=model.labels, seed=seed)
        paths.append(tmp_path / f"{seed}.safetensors")
        zoo.save(other, paths[-1])
    both = tracin(model, clips, labels, x, target=targets, checkpoints=paths)
    each = [tracin(model, clips, labels, x, target=targets, checkpoints=[p]) for p in paths]
    np.testing.assert_allclose(both.scores, sum(one.scores for one in each), rtol=1e-5)
    assert both.checkpoints == 2 and not np.allclose(each[0].scores, each[1].scores)
    assert zoo.digest(model.net) == before
    assert not any(p.grad is not None for p in model.net.parameters())
    assert not any(len(m._forward_hooks) for m in model.net.modules())


def test_a_training_clip_helps_itself_and_predicted_classes_are_the_default(setting) -> None:
    model, clips, labels, _, _ = setting
    x = model.prepare(clips)
    own = tracin(model, clips, labels, x, target=labels)
    assert (np.diag(own.scores) > 0).all()
    np.testing.assert_allclose(own.scores, own.scores.T, rtol=1e-3, atol=1e-12)
    predicted = model.logits(x).argmax(1).tolist()
    same = tracin(model, clips, labels, x, target=predicted)
    np.testing.assert_array_equal(tracin(model, clips, labels, x).scores, same.scores)


def test_influence_on_itself_is_the_diagonal_and_rises_with_a_wrong_label(setting) -> None:
    model, clips, labels, _, _ = setting
    before = zoo.digest(model.net)
    own = tracin(model, clips, labels, model.prepare(clips), target=labels).scores
    for batch_size in (1, 5):
        found = self_influence(model, clips, labels, batch_size=batch_size)
        np.testing.assert_allclose(found, np.diag(own), rtol=1e-3)
    with torch.no_grad():
        least = model.logits(model.prepare(clips)).argmin(1).tolist()
    assert (self_influence(model, clips, least) > found).all()
    assert zoo.digest(model.net) == before
    assert not any(p.grad is not None for p in model.net.parameters())
    with pytest.raises(InputError, match="1 labels for 12 training clips"):
        self_influence(model, clips, labels[:1])


@pytest.mark.parametrize("name", ["stage_r3d", "stage_i3d", "stage_swin3d"])
def test_other_networks_classifiers_are_read_in_their_layout(setting, name) -> None:
    _, clips, labels, x, targets = setting
    model = zoo.load(name, weights="motion")
    found = tracin(model, clips[:3], labels[:3], x[:2], target=targets[:2]).scores
    slow = by_hand(model, clips[:3], labels[:3], x[:2], targets[:2])
    np.testing.assert_allclose(found, slow, rtol=1e-3, atol=1e-5 * np.abs(slow).max())
    mine = self_influence(model, clips[:3], labels[:3], batch_size=2)
    ours = np.diag(by_hand(model, clips[:3], labels[:3], model.prepare(clips[:3]), labels[:3]))
    np.testing.assert_allclose(mine, ours, rtol=1e-3)


def test_the_most_helpful_and_the_most_harmful() -> None:
    found = Influence(np.array([[0.5, -2.0, 3.0, 0.5]]), 1)
    assert found.most(0) == [2, 0, 3] and found.most(0, count=1, helpful=False) == [1]


def test_what_does_not_fit_is_named(setting, tmp_path) -> None:
    model, clips, labels, x, _ = setting
    with pytest.raises(InputError, match="2 labels for 12 training clips"):
        tracin(model, clips, labels[:2], x)
    with pytest.raises(InputError, match="0 labels for 0 training clips"):
        tracin(model, [], [], x)
    with pytest.raises(UnknownNameError, match="forehand"):
        tracin(model, clips[:1], ["forhand"], x)
    other = zoo.load("stage_c3d", weights="tennis")
    zoo.save(other, tmp_path / "tennis.safetensors")
    with pytest.raises(InputError, match=r"tennis\.safetensors: classes .*where the network has"):
        tracin(model, clips, labels, x, checkpoints=[tmp_path / "tennis.safetensors"])
    broken = torch.full_like(x, float("nan"))
    with pytest.raises(NotFiniteError, match="clip 0 and training clip 0: NaN"):
        tracin(model, clips, labels, broken, target=0)


def test_a_network_in_training_mode_is_refused(setting) -> None:
    _, clips, labels, x, _ = setting
    model = zoo.load("stage_c3d", weights="motion")
    model.net.train()
    with pytest.raises(InputError, match="training mode"):
        tracin(model, clips, labels, x)
