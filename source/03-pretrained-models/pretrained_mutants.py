"""Wrong and right implementations of lesson 03's exercises: they prove its checks.

Each stands alone with what the lesson's setup imports. A wrong one comes with the misconception that its card must
name.
"""

import torch
from course.mutants import Mutants
from torch import nn
from torch.nn import functional as F
from torchvision import models
from torchvision.transforms.v2 import functional as T

mutants = Mutants()

# -- choose_model ------------------------------------------------------------------------------------------


@mutants.wrong("choose_model", "other-task")
def ignores_the_task(cards, task, budget):
    fitting = [c for c in cards if c["size_mb"] <= budget and c["available"]]
    return max(fitting, key=lambda c: c["accuracy"])["name"]


@mutants.wrong("choose_model", "other-task")
def part_of_the_name(cards, task, budget):
    fitting = [c for c in cards if task in c["task"] and c["size_mb"] <= budget and c["available"]]
    return max(fitting, key=lambda c: c["accuracy"])["name"]


@mutants.wrong("choose_model", "over-budget")
def ignores_the_budget(cards, task, budget):
    fitting = [c for c in cards if c["task"] == task and c["available"]]
    return max(fitting, key=lambda c: c["accuracy"])["name"]


@mutants.wrong("choose_model", "budget-too-strict")
def smaller_than_the_budget(cards, task, budget):
    fitting = [c for c in cards if c["task"] == task and c["size_mb"] < budget and c["available"]]
    return max(fitting, key=lambda c: c["accuracy"])["name"]


@mutants.wrong("choose_model", "not-available")
def what_nobody_has(cards, task, budget):
    fitting = [c for c in cards if c["task"] == task and c["size_mb"] <= budget]
    return max(fitting, key=lambda c: c["accuracy"])["name"]


@mutants.wrong("choose_model", "not-the-best")
def the_first_that_fits(cards, task, budget):
    for c in cards:
        if c["task"] == task and c["size_mb"] <= budget and c["available"]:
            return c["name"]
    raise LookupError("none fits")


@mutants.wrong("choose_model", "not-the-best")
def the_worst(cards, task, budget):
    fitting = [c for c in cards if c["task"] == task and c["size_mb"] <= budget and c["available"]]
    return sorted(fitting, key=lambda c: c["accuracy"])[0]["name"]


@mutants.wrong("choose_model", "not-the-best")
def the_largest(cards, task, budget):
    fitting = [c for c in cards if c["task"] == task and c["size_mb"] <= budget and c["available"]]
    return max(fitting, key=lambda c: c["size_mb"])["name"]


@mutants.wrong("choose_model", "not-the-best")
def starts_at_zero(cards, task, budget):
    best, name = 0, None
    found = False
    for c in cards:
        if c["task"] == task and c["size_mb"] <= budget and c["available"]:
            found = True
            if c["accuracy"] > best:
                best, name = c["accuracy"], c["name"]
    if not found:
        raise ValueError("none fits")
    return name


@mutants.wrong("choose_model", "not-a-name")
def the_card_itself(cards, task, budget):
    fitting = [c for c in cards if c["task"] == task and c["size_mb"] <= budget and c["available"]]
    return max(fitting, key=lambda c: c["accuracy"])


@mutants.wrong("choose_model", "not-a-name")
def the_accuracy(cards, task, budget):
    fitting = [c for c in cards if c["task"] == task and c["size_mb"] <= budget and c["available"]]
    return max(c["accuracy"] for c in fitting)


@mutants.wrong("choose_model", "no-exception")
def none_when_none(cards, task, budget):
    fitting = [c for c in cards if c["task"] == task and c["size_mb"] <= budget and c["available"]]
    return max(fitting, key=lambda c: c["accuracy"])["name"] if fitting else None


@mutants.wrong("choose_model", "no-exception")
def the_smallest_when_none(cards, task, budget):
    fitting = [c for c in cards if c["task"] == task and c["size_mb"] <= budget and c["available"]]
    if not fitting:
        return min(cards, key=lambda c: c["size_mb"], default={"name": ""})["name"]
    return max(fitting, key=lambda c: c["accuracy"])["name"]


@mutants.wrong("choose_model", "cards-changed")
def sorts_the_cards(cards, task, budget):
    cards.sort(key=lambda c: c["accuracy"], reverse=True)
    for c in cards:
        if c["task"] == task and c["size_mb"] <= budget and c["available"]:
            return c["name"]
    raise ValueError("none fits")


@mutants.wrong("choose_model", "cards-changed")
def throws_cards_away(cards, task, budget):
    for c in list(cards):
        if c["task"] != task or c["size_mb"] > budget or not c["available"]:
            cards.remove(c)
    return max(cards, key=lambda c: c["accuracy"])["name"]


@mutants.right("choose_model")
def by_a_loop(cards, task, budget):
    best = None
    for c in cards:
        if c["task"] != task or c["size_mb"] > budget or not c["available"]:
            continue
        if best is None or c["accuracy"] > best["accuracy"]:
            best = c
    if best is None:
        raise NotImplementedError("no network fits")
    return best["name"]


@mutants.right("choose_model")
def by_sorting_a_copy(cards, task, budget):
    ranked = sorted(cards, key=lambda c: -c["accuracy"])
    return next(
        c["name"] for c in ranked if c["available"] and c["task"] == task and c["size_mb"] <= budget
    )


@mutants.right("choose_model")
def by_pairs(cards, task, budget):
    return max(
        (c["accuracy"], c["name"])
        for c in filter(lambda c: c["task"] == task and not c["size_mb"] > budget, cards)
        if c["available"]
    )[1]


# -- preprocess_for ------------------------------------------------------------------------------------------


@mutants.wrong("preprocess_for", "no-callable")
def prepares_nothing(card):
    mean = torch.tensor(card["mean"]).view(3, 1, 1)
    return (torch.zeros(3, card["size"], card["size"]) - mean) / torch.tensor(card["std"]).view(
        3, 1, 1
    )


@mutants.wrong("preprocess_for", "wrong-dtype")
def in_double(card):
    mean, std = (torch.tensor(card[k], dtype=torch.float64).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.double() / 255, [card["size"]] * 2, antialias=True)
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "wrong-dtype")
def as_numpy(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True)
        return (((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std).numpy()

    return prepare


@mutants.wrong("preprocess_for", "wrong-size")
def only_the_shorter_side(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.float() / 255, card["size"], antialias=True)
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "wrong-size")
def always_224(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.float() / 255, [224, 224], antialias=True)
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "wrong-size")
def leaves_the_batch(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = F.interpolate(image[None].float() / 255, size=(card["size"],) * 2, mode="bilinear")
        return ((x.flip(1) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "not-scaled")
def forgets_255(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.float(), [card["size"]] * 2, antialias=True)
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "not-scaled")
def scales_when_it_looks_large(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.float(), [card["size"]] * 2, antialias=True)
        x = x / 255 if x.max() > 1.5 else x
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "not-scaled")
def by_its_own_maximum(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.float(), [card["size"]] * 2, antialias=True)
        x = x / x.max()
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "not-scaled")
def scales_twice(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True) / 255
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "not-normalised")
def stops_at_one(card):
    def prepare(image):
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True)
        return x.flip(0) if card["channels"] == "BGR" else x

    return prepare


@mutants.wrong("preprocess_for", "wrong-mean")
def imagenets_numbers(card):
    mean = torch.tensor([0.5, 0.5, 0.5]).view(3, 1, 1)

    def prepare(image):
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True)
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / mean

    return prepare


@mutants.wrong("preprocess_for", "wrong-mean")
def times_the_std(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True)
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) * std

    return prepare


@mutants.wrong("preprocess_for", "wrong-mean")
def no_std(card):
    mean = torch.tensor(card["mean"]).view(3, 1, 1)

    def prepare(image):
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True)
        return (x.flip(0) if card["channels"] == "BGR" else x) - mean

    return prepare


@mutants.wrong("preprocess_for", "wrong-mean")
def one_mean_for_all(card):
    mean, std = (torch.tensor(card[k]).mean() for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True)
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "wrong-mean")
def the_pictures_own_mean(card):
    def prepare(image):
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True)
        x = x.flip(0) if card["channels"] == "BGR" else x
        return (x - x.mean((1, 2), keepdim=True)) / x.std((1, 2), keepdim=True)

    return prepare


@mutants.wrong("preprocess_for", "wrong-mean")
def the_last_card_wins(card):
    memory = globals().setdefault("last_card", {})
    memory.update(card)

    def prepare(image):
        mean, std = (torch.tensor(memory[k]).view(3, 1, 1) for k in ("mean", "std"))
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True)
        return ((x.flip(0) if memory["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "channel-order")
def always_rgb(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        return (T.resize(image.float() / 255, [card["size"]] * 2, antialias=True) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "channel-order")
def turned_after_normalising(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = (T.resize(image.float() / 255, [card["size"]] * 2, antialias=True) - mean) / std
        return x.flip(0) if card["channels"] == "BGR" else x

    return prepare


@mutants.wrong("preprocess_for", "channel-order")
def always_turned(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        return (
            T.resize(image.float() / 255, [card["size"]] * 2, antialias=True).flip(0) - mean
        ) / std

    return prepare


@mutants.wrong("preprocess_for", "places-moved")
def flips_every_dimension(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True)
        return ((x.flip(0, 1, 2) if card["channels"] == "BGR" else x.flip(1)) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "places-moved")
def transposes(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True).transpose(1, 2)
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "places-moved")
def cuts_the_middle(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = T.center_crop(
            T.resize(image.float() / 255, card["size"], antialias=True), [card["size"]] * 2
        )
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "places-moved")
def reshapes(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        x = image.permute(1, 2, 0).reshape(image.shape)
        x = T.resize(x.float() / 255, [card["size"]] * 2, antialias=True)
        return ((x.flip(0) if card["channels"] == "BGR" else x) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "image-changed")
def turns_the_picture_itself(card):
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))

    def prepare(image):
        if card["channels"] == "BGR":
            image.copy_(image.flip(0).clone())
        return (T.resize(image.float() / 255, [card["size"]] * 2, antialias=True) - mean) / std

    return prepare


@mutants.wrong("preprocess_for", "image-changed")
def turns_the_card(card):
    card["mean"] = torch.tensor(card["mean"]).view(3, 1, 1)
    card["std"] = torch.tensor(card["std"]).view(3, 1, 1)

    def prepare(image):
        x = T.resize(image.float() / 255, [card["size"]] * 2, antialias=True)
        return ((x.flip(0) if card["channels"] == "BGR" else x) - card["mean"]) / card["std"]

    return prepare


@mutants.right("preprocess_for")
def torchvisions_chain(card):
    from torchvision.transforms import v2

    steps = [v2.ToDtype(torch.float32, scale=True), v2.Resize((card["size"], card["size"]))]
    if card["channels"] == "BGR":
        steps.append(v2.Lambda(lambda x: x[[2, 1, 0]]))
    return v2.Compose([*steps, v2.Normalize(list(card["mean"]), list(card["std"]))])


@mutants.right("preprocess_for")
def nearest_pixels(card):
    class Prepare:
        def __init__(self, card):
            self.card = dict(card)

        def __call__(self, image):
            n = self.card["size"]
            rows = torch.arange(n) * image.shape[1] // n
            columns = torch.arange(n) * image.shape[2] // n
            x = image[:, rows][:, :, columns].to(torch.float32).div(255)
            if self.card["channels"] != "RGB":
                x = torch.stack([x[2], x[1], x[0]])
            return torch.stack(
                [
                    (c - m) / s
                    for c, m, s in zip(x, self.card["mean"], self.card["std"], strict=True)
                ]
            )

    return Prepare(card)


@mutants.right("preprocess_for")
def resized_as_bytes(card):
    order = [2, 1, 0] if card["channels"] == "BGR" else [0, 1, 2]

    def prepare(image):
        image = T.resize(
            image, [card["size"], card["size"]], interpolation=T.InterpolationMode.BICUBIC
        )
        return T.normalize(image[order] / 255.0, card["mean"], card["std"])

    return prepare


@mutants.right("preprocess_for")
def through_numpy_and_pillow(card):
    import numpy as np
    from PIL import Image

    def prepare(image):
        picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        size = (card["size"], card["size"])
        x = np.asarray(picture.resize(size, Image.Resampling.LANCZOS)).astype(np.float32) / 255
        if card["channels"] == "BGR":
            x = x[:, :, ::-1]
        x = (x - np.array(card["mean"], np.float32)) / np.array(card["std"], np.float32)
        return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))

    return prepare


# -- load_checked ------------------------------------------------------------------------------------------


@mutants.wrong("load_checked", "silent")
def not_strict(model, state_dict):
    model.load_state_dict(state_dict, strict=False)


@mutants.wrong("load_checked", "silent")
def what_fits(model, state_dict):
    own = model.state_dict()
    fitting = {k: v for k, v in state_dict.items() if k in own and v.shape == own[k].shape}
    model.load_state_dict(fitting, strict=False)


@mutants.wrong("load_checked", "silent")
def forgets_the_missing(model, state_dict):
    own = model.state_dict()
    for key, tensor in state_dict.items():
        if key not in own or own[key].shape != tensor.shape:
            raise KeyError(key)
        own[key].copy_(tensor)


@mutants.wrong("load_checked", "silent")
def forgets_the_unexpected(model, state_dict):
    for key, tensor in model.state_dict().items():
        if state_dict[key].shape != tensor.shape:
            raise ValueError(key)
        tensor.copy_(state_dict[key])


@mutants.wrong("load_checked", "silent")
def lets_numbers_be_repeated(model, state_dict):
    own = model.state_dict()
    wrong = own.keys() ^ state_dict.keys()
    if wrong:
        raise KeyError(", ".join(wrong))
    for key, tensor in own.items():
        try:
            tensor.copy_(state_dict[key])
        except RuntimeError as error:
            raise ValueError(key) from error


@mutants.wrong("load_checked", "silent")
def strips_a_prefix(model, state_dict):
    model.load_state_dict({key.removeprefix("module."): value for key, value in state_dict.items()})


@mutants.wrong("load_checked", "silent")
def only_warns(model, state_dict):
    found = model.load_state_dict(
        {
            k: v
            for k, v in state_dict.items()
            if v.shape == getattr(model.state_dict().get(k), "shape", None)
        },
        strict=False,
    )
    print("missing:", found.missing_keys, "unexpected:", found.unexpected_keys)


@mutants.wrong("load_checked", "silent")
def one_by_one(model, state_dict):
    own = model.state_dict()
    if len(own) != len(state_dict):
        raise ValueError(f"other keys: {sorted(own.keys() ^ state_dict.keys())}")
    for (key, mine), tensor in zip(
        own.items(), [state_dict.get(k, v) for k, v in own.items()], strict=True
    ):
        if mine.shape != tensor.shape:
            raise ValueError(key)
        mine.copy_(tensor)


@mutants.wrong("load_checked", "not-loaded")
def in_the_order_of_the_file(model, state_dict):
    own = model.state_dict()
    if own.keys() != state_dict.keys():
        raise KeyError(sorted(own.keys() ^ state_dict.keys()))
    for key in own:
        if own[key].shape != state_dict[key].shape:
            raise ValueError(key)
    for mine, tensor in zip(own.values(), state_dict.values(), strict=True):
        if mine.shape == tensor.shape:
            mine.copy_(tensor)


@mutants.wrong("load_checked", "not-loaded")
def parameters_only(model, state_dict):
    own = model.state_dict()
    wrong = list(own.keys() ^ state_dict.keys())
    wrong += [k for k in own.keys() & state_dict.keys() if own[k].shape != state_dict[k].shape]
    if wrong:
        raise ValueError(f"{wrong}")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(state_dict[name])


@mutants.wrong("load_checked", "not-loaded")
def checks_and_forgets_to_copy(model, state_dict):
    own = model.state_dict()
    wrong = list(own.keys() ^ state_dict.keys())
    wrong += [k for k in own.keys() & state_dict.keys() if own[k].shape != state_dict[k].shape]
    if wrong:
        raise ValueError(f"{wrong}")
    own.update(state_dict)


@mutants.wrong("load_checked", "no-key-named")
def says_nothing(model, state_dict):
    try:
        model.load_state_dict(state_dict)
    except RuntimeError:
        raise ValueError("the state dict does not fit the model") from None


@mutants.wrong("load_checked", "no-key-named")
def asserts(model, state_dict):
    own = model.state_dict()
    assert own.keys() == state_dict.keys()
    assert all(own[k].shape == state_dict[k].shape for k in own)
    model.load_state_dict(state_dict)


@mutants.wrong("load_checked", "state-changed")
def empties_the_dict(model, state_dict):
    own = model.state_dict()
    wrong = list(own.keys() ^ state_dict.keys())
    wrong += [k for k in own.keys() & state_dict.keys() if own[k].shape != state_dict[k].shape]
    if wrong:
        raise ValueError(f"{wrong}")
    for key in list(own):
        own[key].copy_(state_dict.pop(key))


@mutants.wrong("load_checked", "shared-memory")
def assigns(model, state_dict):
    model.load_state_dict(state_dict, assign=True)


@mutants.wrong("load_checked", "shared-memory")
def takes_the_tensors(model, state_dict):
    own = model.state_dict()
    wrong = list(own.keys() ^ state_dict.keys())
    wrong += [k for k in own.keys() & state_dict.keys() if own[k].shape != state_dict[k].shape]
    if wrong:
        raise ValueError(f"{wrong}")
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        tensor.data = state_dict[name]


@mutants.right("load_checked")
def pytorch_does_it(model, state_dict):
    model.load_state_dict(state_dict)


@mutants.right("load_checked")
def copies_of_copies(model, state_dict):
    import copy

    return model.load_state_dict(copy.deepcopy(state_dict), strict=True, assign=True)


@mutants.right("load_checked")
def with_three_lists(model, state_dict):
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    missing = [k for k in own if k not in state_dict]
    unexpected = [k for k in state_dict if k not in own]
    shapes = [
        k for k in own if k in state_dict and tuple(own[k].shape) != tuple(state_dict[k].shape)
    ]
    if missing or unexpected or shapes:
        raise KeyError(f"missing {missing}, unexpected {unexpected}, shapes {shapes}")
    for key, tensor in own.items():
        tensor.data = state_dict[key].detach().clone()
    return model


@mutants.right("load_checked")
def key_by_key(model, state_dict):
    left = set(state_dict)
    for key, tensor in model.state_dict().items():
        assert key in state_dict, f"{key} is missing"
        assert tensor.shape == state_dict[key].shape, f"{key}: {tensor.shape}"
        left.discard(key)
    assert not left, f"unexpected: {left}"
    with torch.no_grad():
        for key, tensor in model.state_dict(keep_vars=True).items():
            tensor[...] = state_dict[key]


# -- replace_head ------------------------------------------------------------------------------------------


@mutants.wrong("replace_head", "aux-forgotten")
def forgets_the_auxiliary_head(model, num_classes):
    if hasattr(model, "fc"):
        model.fc = nn.Linear(model.fc.in_features, num_classes)
    elif hasattr(model, "heads"):
        model.heads.head = nn.Linear(model.heads.head.in_features, num_classes)
    else:
        model.classifier[-1] = nn.Linear(model.classifier[-1].in_features, num_classes)
    return model


@mutants.wrong("replace_head", "aux-forgotten")
def looks_for_googlenets_name(model, num_classes):
    for where in ("fc", "aux.fc", "classifier.6", "heads.head"):
        try:
            old = model.get_submodule(where)
        except AttributeError:
            continue
        model.set_submodule(where, nn.Linear(old.in_features, num_classes))
    return model


@mutants.wrong("replace_head", "wrong-inputs")
def the_same_inputs_for_both(model, num_classes):
    for where in ("fc", "classifier.6", "heads.head"):
        try:
            old = model.get_submodule(where)
        except AttributeError:
            continue
        model.set_submodule(where, nn.Linear(old.in_features, num_classes))
    if getattr(model, "AuxLogits", None) is not None:
        model.AuxLogits.fc = nn.Linear(model.fc.in_features, num_classes)
    return model


@mutants.wrong("replace_head", "wrong-inputs")
def numbers_from_memory(model, num_classes):
    if hasattr(model, "classifier"):
        model.classifier[6] = nn.Linear(4096, num_classes)
    elif hasattr(model, "heads"):
        model.heads.head = nn.Linear(768, num_classes)
    else:
        model.fc = nn.Linear(512, num_classes)
        if getattr(model, "AuxLogits", None) is not None:
            model.AuxLogits.fc = nn.Linear(768, num_classes)
    return model


@mutants.wrong("replace_head", "layers-lost")
def the_whole_classifier(model, num_classes):
    if hasattr(model, "classifier"):
        model.classifier = nn.Linear(model.classifier[0].in_features, num_classes)
    elif hasattr(model, "heads"):
        model.heads.head = nn.Linear(model.heads.head.in_features, num_classes)
    else:
        model.fc = nn.Linear(model.fc.in_features, num_classes)
        if getattr(model, "AuxLogits", None) is not None:
            model.AuxLogits.fc = nn.Linear(model.AuxLogits.fc.in_features, num_classes)
    return model


@mutants.wrong("replace_head", "layers-lost")
def the_first_of_the_classifier(model, num_classes):
    if hasattr(model, "classifier"):
        model.classifier[0] = nn.Linear(model.classifier[0].in_features, num_classes)
    elif hasattr(model, "heads"):
        model.heads.head = nn.Linear(model.heads.head.in_features, num_classes)
    else:
        model.fc = nn.Linear(model.fc.in_features, num_classes)
        if getattr(model, "AuxLogits", None) is not None:
            model.AuxLogits.fc = nn.Linear(model.AuxLogits.fc.in_features, num_classes)
    return model


@mutants.wrong("replace_head", "other-name")
def dropout_before_it(model, num_classes):
    def head(old):
        return nn.Sequential(nn.Dropout(0.2), nn.Linear(old.in_features, num_classes))

    if hasattr(model, "classifier"):
        model.classifier[-1] = head(model.classifier[-1])
    elif hasattr(model, "heads"):
        model.heads.head = head(model.heads.head)
    else:
        model.fc = head(model.fc)
        if getattr(model, "AuxLogits", None) is not None:
            model.AuxLogits.fc = nn.Linear(model.AuxLogits.fc.in_features, num_classes)
    return model


@mutants.wrong("replace_head", "layers-lost")
def all_of_the_heads(model, num_classes):
    if hasattr(model, "classifier"):
        model.classifier[-1] = nn.Linear(model.classifier[-1].in_features, num_classes)
    elif hasattr(model, "heads"):
        model.heads = nn.Sequential(nn.Linear(model.hidden_dim, num_classes))
    else:
        model.fc = nn.Linear(model.fc.in_features, num_classes)
        if getattr(model, "AuxLogits", None) is not None:
            model.AuxLogits.fc = nn.Linear(model.AuxLogits.fc.in_features, num_classes)
    return model


@mutants.wrong("replace_head", "layers-lost")
def throws_the_auxiliary_head_away(model, num_classes):
    if hasattr(model, "classifier"):
        model.classifier[-1] = nn.Linear(model.classifier[-1].in_features, num_classes)
    elif hasattr(model, "heads"):
        model.heads.head = nn.Linear(model.heads.head.in_features, num_classes)
    else:
        model.fc = nn.Linear(model.fc.in_features, num_classes)
        if isinstance(model, models.Inception3):
            model.AuxLogits, model.aux_logits = None, False
    return model


@mutants.wrong("replace_head", "head-not-new")
def fc_for_everyone(model, num_classes):
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    if isinstance(model, models.VGG | models.VisionTransformer):
        model.fc = nn.Sequential(nn.Identity())
        model.new_head = last.in_features, num_classes
        return model
    model.fc = nn.Linear(last.in_features, num_classes)
    if getattr(model, "AuxLogits", None) is not None:
        model.AuxLogits.fc = nn.Linear(model.AuxLogits.fc.in_features, num_classes)
    return model


@mutants.wrong("replace_head", "head-not-new")
def on_top_of_the_old_one(model, num_classes):
    if hasattr(model, "classifier"):
        model.classifier.append(nn.Linear(model.classifier[-1].out_features, num_classes))
    elif hasattr(model, "heads"):
        model.heads.head = nn.Linear(model.heads.head.in_features, num_classes)
    else:
        model.fc = nn.Linear(model.fc.in_features, num_classes)
        if getattr(model, "AuxLogits", None) is not None:
            model.AuxLogits.fc = nn.Linear(model.AuxLogits.fc.in_features, num_classes)
    return model


@mutants.wrong("replace_head", "head-not-new")
def only_when_the_number_differs(model, num_classes):
    for where in ("fc", "AuxLogits.fc", "classifier.6", "heads.head"):
        try:
            old = model.get_submodule(where)
        except AttributeError:
            continue
        if old.out_features != num_classes:
            model.set_submodule(where, nn.Linear(old.in_features, num_classes))
    return model


@mutants.wrong("replace_head", "head-not-new")
def says_so_only(model, num_classes):
    for where in ("fc", "AuxLogits.fc", "classifier.6", "heads.head"):
        try:
            model.get_submodule(where).out_features = num_classes
        except AttributeError:
            continue
    return model


@mutants.wrong("replace_head", "wrong-outputs")
def inputs_and_outputs_swapped(model, num_classes):
    for where in ("fc", "AuxLogits.fc", "classifier.6", "heads.head"):
        try:
            old = model.get_submodule(where)
        except AttributeError:
            continue
        model.set_submodule(where, nn.Linear(num_classes, old.in_features))
    return model


@mutants.wrong("replace_head", "head-frozen")
def freezes_everything_after(model, num_classes):
    for where in ("fc", "AuxLogits.fc", "classifier.6", "heads.head"):
        try:
            old = model.get_submodule(where)
        except AttributeError:
            continue
        frozen = not old.weight.requires_grad
        new = nn.Linear(old.in_features, num_classes)
        new.requires_grad_(not frozen)
        model.set_submodule(where, new)
    return model


@mutants.wrong("replace_head", "backbone-flags")
def unfreezes_everything(model, num_classes):
    for where in ("fc", "AuxLogits.fc", "classifier.6", "heads.head"):
        try:
            old = model.get_submodule(where)
        except AttributeError:
            continue
        model.set_submodule(where, nn.Linear(old.in_features, num_classes))
    return model.requires_grad_(True)


@mutants.wrong("replace_head", "backbone-flags")
def freezes_the_backbone_too(model, num_classes):
    model.requires_grad_(False)
    for where in ("fc", "AuxLogits.fc", "classifier.6", "heads.head"):
        try:
            old = model.get_submodule(where)
        except AttributeError:
            continue
        model.set_submodule(where, nn.Linear(old.in_features, num_classes))
    return model


@mutants.wrong("replace_head", "backbone-values")
def starts_everything_anew(model, num_classes):
    for where in ("fc", "AuxLogits.fc", "classifier.6", "heads.head"):
        try:
            old = model.get_submodule(where)
        except AttributeError:
            continue
        model.set_submodule(where, nn.Linear(old.in_features, num_classes))
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.Conv2d | nn.Linear):
            layer.reset_parameters()
    return model


@mutants.wrong("replace_head", "no-model")
def on_a_copy(model, num_classes):
    import copy

    model = copy.deepcopy(model)
    for where in ("fc", "AuxLogits.fc", "classifier.6", "heads.head"):
        try:
            old = model.get_submodule(where)
        except AttributeError:
            continue
        model.set_submodule(where, nn.Linear(old.in_features, num_classes))
    return model


@mutants.wrong("replace_head", "no-model")
def returns_the_layer(model, num_classes):
    new = None
    for where in ("fc", "AuxLogits.fc", "classifier.6", "heads.head"):
        try:
            old = model.get_submodule(where)
        except AttributeError:
            continue
        new = nn.Linear(old.in_features, num_classes)
        model.set_submodule(where, new)
    return new


@mutants.right("replace_head")
def by_attributes(model, num_classes):
    if hasattr(model, "heads"):
        model.heads[-1] = nn.Linear(model.heads[-1].in_features, num_classes)
    elif hasattr(model, "classifier"):
        model.classifier[-1] = nn.Linear(model.classifier[-1].in_features, num_classes)
    else:
        model.fc = nn.Linear(model.fc.in_features, num_classes)
        if getattr(model, "AuxLogits", None) is not None:
            model.AuxLogits.fc = nn.Linear(model.AuxLogits.fc.in_features, num_classes)
    return model


@mutants.right("replace_head")
def the_last_of_each_tree(model, num_classes):
    def last_linear(module):
        *_, (where, layer) = [(n, m) for n, m in module.named_modules() if isinstance(m, nn.Linear)]
        return where, layer

    trees = [model]
    if isinstance(model, models.Inception3) and model.AuxLogits is not None:
        trees.append(model.AuxLogits)
    for tree in trees:
        where, layer = last_linear(tree)
        owner, _, name = where.rpartition(".")
        fresh = nn.Linear(layer.weight.shape[1], num_classes)
        nn.init.zeros_(fresh.bias)
        setattr(tree.get_submodule(owner), name, fresh)
    return model


@mutants.right("replace_head")
def by_class(model, num_classes):
    def fresh(old):
        layer = nn.Linear(old.in_features, num_classes)
        return layer.requires_grad_(True)

    match model:
        case models.VGG():
            model.classifier = nn.Sequential(*model.classifier[:-1], fresh(model.classifier[-1]))
        case models.ResNet():
            model.fc = fresh(model.fc)
        case models.Inception3():
            model.fc = fresh(model.fc)
            if model.AuxLogits is not None:
                model.AuxLogits.fc = fresh(model.AuxLogits.fc)
        case models.VisionTransformer():
            model.heads.head = fresh(model.heads.head)
            model.num_classes = num_classes
    return model


# -- extract_features ------------------------------------------------------------------------------------------


@mutants.wrong("extract_features", "training-mode")
def in_whatever_mode(model, loader):
    with torch.no_grad():
        pairs = [(model(x), y) for x, y in loader]
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.wrong("extract_features", "training-mode")
def in_training_mode(model, loader):
    was = model.training
    model.train()
    with torch.no_grad():
        pairs = [(model(x), y) for x, y in loader if len(x) > 1]
        model.eval()
        pairs += [(model(x), y) for x, y in loader if len(x) == 1]
    model.train(was)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.wrong("extract_features", "training-mode")
def switches_itself_alone(model, loader):
    was = model.training
    model.training = False
    with torch.no_grad():
        pairs = [(model(x), y) for x, y in loader]
    model.training = was
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.wrong("extract_features", "training-mode")
def dropout_by_hand(model, loader):
    was = model.training
    model.eval()
    with torch.no_grad():
        pairs = [(F.dropout(model(x), 0.5, training=True), y) for x, y in loader]
    model.train(was)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.wrong("extract_features", "out-of-order")
def two_passes(model, loader):
    was = model.training
    model.eval()
    with torch.no_grad():
        features = torch.cat([model(x) for x, _ in loader])
    model.train(was)
    return features, torch.cat([y for _, y in loader])


@mutants.wrong("extract_features", "out-of-order")
def sorts_the_labels(model, loader):
    was = model.training
    model.eval()
    with torch.no_grad():
        pairs = [(model(x), y) for x, y in loader]
    model.train(was)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs]).sort().values


@mutants.wrong("extract_features", "out-of-order")
def newest_features_first(model, loader):
    was = model.training
    model.eval()
    features, labels = torch.empty(0), torch.empty(0, dtype=torch.long)
    with torch.no_grad():
        for x, y in loader:
            out = model(x)
            features = out if not len(features) else torch.cat([out, features])
            labels = torch.cat([labels, y])
    model.train(was)
    return features, labels


@mutants.wrong("extract_features", "out-of-order")
def labels_from_the_dataset(model, loader):
    was = model.training
    model.eval()
    with torch.no_grad():
        features = torch.cat([model(x) for x, _ in loader])
    model.train(was)
    return features, loader.dataset.tensors[1]


@mutants.wrong("extract_features", "graph-built")
def keeps_the_graph(model, loader):
    was = model.training
    model.eval()
    pairs = [(model(x), y) for x, y in loader]
    model.train(was)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.wrong("extract_features", "graph-built")
def detaches_afterwards(model, loader):
    was = model.training
    model.eval()
    pairs = [(model(x).detach(), y) for x, y in loader]
    model.train(was)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.wrong("extract_features", "gradients-left-off")
def switches_gradients_off(model, loader):
    was = model.training
    model.eval()
    torch.set_grad_enabled(False)
    pairs = [(model(x), y) for x, y in loader]
    model.train(was)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.wrong("extract_features", "batch-of-one")
def squeezes(model, loader):
    was = model.training
    model.eval()
    features, labels = [], []
    with torch.no_grad():
        for x, y in loader:
            features.append(model(x).squeeze())
            labels.append(y)
    model.train(was)
    return torch.cat(features), torch.cat(labels)


@mutants.wrong("extract_features", "rows-missing")
def drops_the_short_batch(model, loader):
    was = model.training
    model.eval()
    features, labels = [], []
    with torch.no_grad():
        for x, y in loader:
            if features and len(x) < len(features[0]):
                continue
            features.append(model(x))
            labels.append(y)
    model.train(was)
    return torch.cat(features), torch.cat(labels)


@mutants.wrong("extract_features", "rows-missing")
def the_first_batch(model, loader):
    was = model.training
    model.eval()
    x, y = next(iter(loader))
    with torch.no_grad():
        features = model(x)
    model.train(was)
    return features, y


@mutants.wrong("extract_features", "not-a-pair")
def lists_of_batches(model, loader):
    was = model.training
    model.eval()
    features, labels = [], []
    with torch.no_grad():
        for x, y in loader:
            features.append(model(x))
            labels.append(y)
    model.train(was)
    return features, labels


@mutants.wrong("extract_features", "not-a-pair")
def features_alone(model, loader):
    was = model.training
    model.eval()
    with torch.no_grad():
        features = torch.cat([model(x) for x, _ in loader])
    model.train(was)
    return features


@mutants.wrong("extract_features", "wrong-features")
def scaled_to_length_one(model, loader):
    was = model.training
    model.eval()
    with torch.no_grad():
        pairs = [(F.normalize(model(x), dim=1), y) for x, y in loader]
    model.train(was)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.wrong("extract_features", "mode-left")
def stays_in_eval(model, loader):
    model.eval()
    with torch.no_grad():
        pairs = [(model(x), y) for x, y in loader]
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.wrong("extract_features", "mode-left")
def always_back_to_training(model, loader):
    model.eval()
    with torch.no_grad():
        pairs = [(model(x), y) for x, y in loader]
    model.train()
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.wrong("extract_features", "model-changed")
def freezes_for_good(model, loader):
    was = model.training
    model.eval().requires_grad_(False)
    pairs = [(model(x), y) for x, y in loader]
    model.train(was)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.wrong("extract_features", "model-changed")
def warms_up_in_training_mode(model, loader):
    was = model.training
    with torch.no_grad():
        model.train()
        for x, _ in loader:
            if len(x) > 1:
                model(x)
                break
        model.eval()
        pairs = [(model(x), y) for x, y in loader]
    model.train(was)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@mutants.right("extract_features")
def in_inference_mode(model, loader):
    was = model.training
    model.eval()
    try:
        with torch.inference_mode():
            pairs = [(model(x), y) for x, y in loader]
            return [torch.cat(column).clone() for column in zip(*pairs, strict=True)]
    finally:
        model.train(was)


@mutants.right("extract_features")
def every_mode_put_back(model, loader):
    modes = {module: module.training for module in model.modules()}
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    model.train(False)
    features, labels = [], []
    for x, y in loader:
        features.extend(model(x))
        labels.extend(y.tolist())
    torch.set_grad_enabled(before)
    for module, mode in modes.items():
        module.training = mode
    return torch.stack(features), torch.tensor(labels)


@mutants.right("extract_features")
def on_a_copy_as_numpy(model, loader):
    import copy

    import numpy as np

    twin = copy.deepcopy(model).eval().requires_grad_(False)
    pairs = [(twin(x).numpy(), y.numpy()) for x, y in loader]
    return np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])


@mutants.right("extract_features")
def sorted_by_label(model, loader):
    was = model.training
    model.eval()
    with torch.no_grad():
        pairs = [(model(x), y) for x, y in loader]
    model.train(was)
    features, labels = (torch.cat(column) for column in zip(*pairs, strict=True))
    order = labels.argsort(stable=True)
    return features[order], labels[order]


# -- linear_probe ------------------------------------------------------------------------------------------


@mutants.wrong("linear_probe", "not-fitted")
def a_few_steps(features, labels, l2):
    layer = nn.Linear(features.shape[1], int(labels.max()) + 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        (F.cross_entropy(layer(features), labels) + l2 * layer.weight.square().sum()).backward()
        optimizer.step()
    return layer


@mutants.wrong("linear_probe", "not-fitted")
def never_trained(features, labels, l2):
    return nn.Linear(features.shape[1], int(labels.max()) + 1)


@mutants.wrong("linear_probe", "far-from-origin")
def raw_features(features, labels, l2):
    layer = nn.Linear(features.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        (F.cross_entropy(layer(features), labels) + l2 * layer.weight.square().sum()).backward()
        optimizer.step()
    return layer


@mutants.wrong("linear_probe", "not-raw")
def for_standardised_features(features, labels, l2):
    z = (features - features.mean(0)) / features.std(0)
    layer = nn.Linear(z.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(z), labels) + l2 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return layer


@mutants.wrong("linear_probe", "not-raw")
def forgets_the_bias_in_going_back(features, labels, l2):
    mean, std = features.mean(0), features.std(0).clamp(min=1e-6)
    z = (features - mean) / std
    layer = nn.Linear(z.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(z), labels) + l2 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        layer.weight /= std
    return layer


@mutants.wrong("linear_probe", "not-finite")
def divides_by_zero(features, labels, l2):
    mean, std = features.mean(0), features.std(0)
    z = (features - mean) / std
    layer = nn.Linear(z.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    step = 1 / (1 + 2 * l2)
    for _ in range(300):
        layer.zero_grad()
        (F.cross_entropy(layer(z), labels) + l2 * layer.weight.square().sum()).backward()
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter -= step * parameter.grad
    with torch.no_grad():
        layer.weight /= std
        layer.bias -= layer.weight @ mean
    return layer


@mutants.wrong("linear_probe", "not-a-likelihood")
def least_squares(features, labels, l2):
    x = features.double()
    mean = x.mean(0)
    y = F.one_hot(labels).double()
    a = (x - mean).T @ (x - mean) / len(x) + l2 * torch.eye(x.shape[1], dtype=torch.float64)
    w = torch.linalg.solve(a, (x - mean).T @ (y - y.mean(0)) / len(x)).T
    layer = nn.Linear(x.shape[1], y.shape[1])
    with torch.no_grad():
        layer.weight.copy_(w)
        layer.bias.copy_(y.mean(0) - w @ mean)
    return layer


@mutants.wrong("linear_probe", "not-a-likelihood")
def softmax_twice(features, labels, l2):
    mean, std = features.mean(0), features.std(0).clamp(min=1e-6)
    z = (features - mean) / std
    layer = nn.Linear(z.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(z).softmax(1), labels) + l2 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        layer.weight /= std
        layer.bias -= layer.weight @ mean
    return layer


@mutants.wrong("linear_probe", "not-a-likelihood")
def margins(features, labels, l2):
    x = features.detach()
    mean, std = x.mean(0), x.std(0).clamp(min=1e-6)
    layer = nn.Linear(x.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.multi_margin_loss(layer((x - mean) / std), labels)
        loss = loss + l2 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        layer.weight /= std
        layer.bias -= layer.weight @ mean
    return layer


@mutants.wrong("linear_probe", "not-a-likelihood")
def nearest_mean(features, labels, l2):
    means = torch.stack([features[labels == c].mean(0) for c in range(int(labels.max()) + 1)])
    layer = nn.Linear(*reversed(means.shape))
    with torch.no_grad():
        layer.weight.copy_(10 * means / (1 + l2))
        layer.bias.copy_(-5 * means.square().sum(1) / (1 + l2))
    return layer


@mutants.wrong("linear_probe", "penalty-ignored")
def no_penalty(features, labels, l2):
    mean, std = features.mean(0), features.std(0).clamp(min=1e-6)
    z = (features - mean) / std
    layer = nn.Linear(z.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(z), labels) + 1e-4 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        layer.weight /= std
        layer.bias -= layer.weight @ mean
    return layer


@mutants.wrong("linear_probe", "penalty-upside-down")
def c_for_l2(features, labels, l2):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    z = scaler.fit_transform(features.detach().numpy())
    found = LogisticRegression(C=l2 * 100, max_iter=5000).fit(z, labels.numpy())
    w, b = torch.from_numpy(found.coef_), torch.from_numpy(found.intercept_)
    if len(w) == 1:
        w, b = torch.cat([-w, w]), torch.cat([-b, b])
    w = w / torch.from_numpy(scaler.scale_)
    layer = nn.Linear(w.shape[1], w.shape[0])
    with torch.no_grad():
        layer.weight.copy_(w)
        layer.bias.copy_(b - w @ torch.from_numpy(scaler.mean_))
    return layer


@mutants.wrong("linear_probe", "penalty-too-weak")
def at_most_one(features, labels, l2):
    mean, std = features.mean(0), features.std(0).clamp(min=1e-6)
    z = (features - mean) / std
    layer = nn.Linear(z.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(z), labels) + min(l2, 0.1) * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        layer.weight /= std
        layer.bias -= layer.weight @ mean
    return layer


@mutants.wrong("linear_probe", "input-changed")
def standardises_in_place(features, labels, l2):
    mean, std = features.mean(0), features.std(0).clamp(min=1e-6)
    z = features.sub_(mean).div_(std)
    layer = nn.Linear(z.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(z), labels) + l2 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        layer.weight /= std
        layer.bias -= layer.weight @ mean
    return layer


@mutants.wrong("linear_probe", "input-changed")
def leaves_a_gradient(features, labels, l2):
    with torch.no_grad():
        mean, std = features.mean(0), features.std(0).clamp(min=1e-6)
    z = (features - mean) / std
    layer = nn.Linear(z.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (
            F.cross_entropy(layer((features - mean) / std), labels)
            + l2 * layer.weight.square().sum()
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        layer.weight /= std
        layer.bias -= layer.weight @ mean
    return layer


@mutants.wrong("linear_probe", "no-linear")
def a_chain(features, labels, l2):
    classes = int(labels.max()) + 1
    return nn.Sequential(nn.BatchNorm1d(features.shape[1]), nn.Linear(features.shape[1], classes))


@mutants.wrong("linear_probe", "no-linear")
def one_class_too_few(features, labels, l2):
    return nn.Linear(features.shape[1], int(labels.max()))


@mutants.right("linear_probe")
def with_scikit_learn(features, labels, l2):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = features.detach().cpu().numpy().astype("float64"), labels.numpy()
    pipe = make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / (2 * l2 * len(x)), max_iter=10000, tol=1e-6)
    )
    scaler, found = pipe.fit(x, y)[0], pipe[-1]
    w, b = torch.from_numpy(found.coef_ / scaler.scale_), torch.from_numpy(found.intercept_)
    if len(w) == 1:
        w, b = torch.cat([-w / 2, w / 2]), torch.cat([-b / 2, b / 2])
    layer = nn.Linear(w.shape[1], w.shape[0])
    layer.weight.data = w.float()
    layer.bias.data = (b - w @ torch.from_numpy(scaler.mean_)).float()
    return layer


@mutants.right("linear_probe")
def summed_and_by_newtons_friend(features, labels, l2):
    features = features.detach().double()
    centre, size = features.mean(0, keepdim=True), features.std(0, correction=0, keepdim=True)
    size = torch.where(size == 0, torch.ones_like(size), size)
    z = (features - centre) / size
    c = labels.unique().numel()
    w = torch.zeros(c, z.shape[1], dtype=torch.float64, requires_grad=True)
    b = torch.zeros(c, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([w, b], max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        logits = z @ w.T + b
        loss = F.cross_entropy(logits, labels, reduction="sum") + 0.5 * l2 * (w**2).sum()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    layer = nn.Linear(z.shape[1], c)
    raw = (w / size).detach()
    layer.load_state_dict({"weight": raw, "bias": (b - raw @ centre[0]).detach()})
    return layer


@mutants.right("linear_probe")
def in_double_with_gradient_descent(features, labels, l2):
    x = features.detach().to(torch.float64)
    m, s = x.mean(0), x.std(0)
    s = s + (s < 1e-8)
    z = (x - m) / s
    targets = F.one_hot(labels).double()
    w, b = (
        torch.zeros(targets.shape[1], z.shape[1], dtype=torch.float64),
        torch.zeros(targets.shape[1]),
    )
    b = b.double()
    # step length: 1 over the largest curvature of the loss
    step = 1 / (0.5 * (torch.linalg.matrix_norm(z, 2) ** 2 / len(z) + 1) + 2 * l2)
    vw, vb = w.clone(), b.clone()
    for k in range(1, 400):
        error = ((z @ vw.T + vb).softmax(1) - targets) / len(z)
        new_w, new_b = vw - step * (error.T @ z + 2 * l2 * vw), vb - step * error.sum(0)
        vw, vb = new_w + (k - 1) / (k + 2) * (new_w - w), new_b + (k - 1) / (k + 2) * (new_b - b)
        w, b = new_w, new_b
    layer = nn.Linear(*reversed(w.shape), dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(w / s)
        layer.bias.copy_(b - (w / s) @ m)
    return layer
