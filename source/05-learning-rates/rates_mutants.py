"""Wrong and right implementations of lesson 05's exercises: they prove its checks.

Each stands alone with what the lesson's setup imports. A wrong one comes with the misconception that its card must
name.
"""

import copy
import math

import torch
from course.mutants import Mutants
from torch import nn
from torch.nn import functional as F

mutants = Mutants()

# -- layer_lr_groups -------------------------------------------------------------------------------------


@mutants.wrong("layer_lr_groups", "wrong-end")
def fastest_at_the_stem(model, base_lr, decay):
    groups = []
    layers = [child for child in model.children() if list(child.parameters())]
    for k, layer in enumerate(layers):
        groups.append({"params": list(layer.parameters()), "lr": base_lr * decay**k})
    return groups


@mutants.wrong("layer_lr_groups", "wrong-end")
def divides_instead(model, base_lr, decay):
    layers = [child for child in model.children() if list(child.parameters())]
    n = len(layers)
    return [
        {"params": list(layer.parameters()), "lr": base_lr / decay ** (n - 1 - k)}
        for k, layer in enumerate(layers)
    ]


@mutants.wrong("layer_lr_groups", "empty-layer-counted")
def every_child_is_a_layer(model, base_lr, decay):
    children = list(model.children())
    seen, groups = set(), []
    for k, child in enumerate(reversed(children)):
        ps = [p for p in child.parameters() if id(p) not in seen]
        seen |= {id(p) for p in ps}
        if ps:
            groups.append({"params": ps, "lr": base_lr * decay**k})
    rest = [p for p in model.parameters() if id(p) not in seen]
    return groups + [{"params": rest, "lr": base_lr}] * bool(rest)


@mutants.wrong("layer_lr_groups", "empty-layer-counted")
def empty_groups_in_between(model, base_lr, decay):
    lr, groups = base_lr, []
    for child in reversed(list(model.children())):
        groups.append({"params": list(child.parameters()), "lr": lr})
        lr = lr * decay
    return groups


@mutants.wrong("layer_lr_groups", "head-too-slow")
def decays_before_the_head(model, base_lr, decay):
    lr, groups = base_lr, []
    for child in reversed([c for c in model.children() if list(c.parameters())]):
        lr *= decay
        groups.append({"params": list(child.parameters()), "lr": lr})
    return groups


@mutants.wrong("layer_lr_groups", "finer-than-children")
def a_layer_for_each_parameter(model, base_lr, decay):
    ps = list(model.parameters())
    return [{"params": [p], "lr": base_lr * decay ** (len(ps) - 1 - k)} for k, p in enumerate(ps)]


@mutants.wrong("layer_lr_groups", "finer-than-children")
def innermost_modules(model, base_lr, decay):
    owners = [m for m in model.modules() if list(m.parameters(recurse=False))]
    n, seen, groups = len(owners), set(), []
    for k, module in enumerate(owners):
        ps = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen |= {id(p) for p in ps}
        groups.append({"params": ps, "lr": base_lr * decay ** (n - 1 - k)})
    return groups


@mutants.wrong("layer_lr_groups", "rates-alike")
def head_and_the_rest(model, base_lr, decay):
    *_, head = [c for c in model.children() if list(c.parameters())]
    ids = {id(p) for p in head.parameters()}
    rest = [p for p in model.parameters() if id(p) not in ids]
    return [
        {"params": rest, "lr": base_lr * decay},
        {"params": list(head.parameters()), "lr": base_lr},
    ]


@mutants.wrong("layer_lr_groups", "rates-alike")
def one_rate(model, base_lr, decay):
    return [{"params": list(model.parameters()), "lr": base_lr}]


@mutants.wrong("layer_lr_groups", "wrong-rate")
def falls_in_a_straight_line(model, base_lr, decay):
    layers = [child for child in model.children() if list(child.parameters())]
    n = len(layers)
    return [
        {"params": list(layer.parameters()), "lr": base_lr * (1 - (1 - decay) * (n - 1 - k))}
        for k, layer in enumerate(layers)
    ]


@mutants.wrong("layer_lr_groups", "wrong-rate")
def squares_the_decay(model, base_lr, decay):
    lr, groups = base_lr, []
    for layer in reversed([c for c in model.children() if list(c.parameters())]):
        groups.append({"params": list(layer.parameters()), "lr": lr})
        lr, decay = lr * decay, decay * decay
    return groups


@mutants.wrong("layer_lr_groups", "left-out")
def outermost_parameters_only(model, base_lr, decay):
    layers = [child for child in model.children() if list(child.parameters())]
    n = len(layers)
    return [
        {"params": list(layer.parameters(recurse=False)), "lr": base_lr * decay ** (n - 1 - k)}
        for k, layer in enumerate(layers)
    ]


@mutants.wrong("layer_lr_groups", "left-out")
def children_only(model, base_lr, decay):
    layers = [child for child in model.children() if list(child.parameters())]
    n, seen, groups = len(layers), set(), []
    for k, layer in enumerate(layers):
        ps = [p for p in layer.parameters() if id(p) not in seen]
        seen |= {id(p) for p in ps}
        groups.append({"params": ps, "lr": base_lr * decay ** (n - 1 - k)})
    return groups


@mutants.wrong("layer_lr_groups", "left-out")
def weights_alone(model, base_lr, decay):
    layers = [child for child in model.children() if list(child.parameters())]
    n = len(layers)
    return [
        {
            "params": [p for name, p in layer.named_parameters() if name.endswith("weight")],
            "lr": base_lr * decay ** (n - 1 - k),
        }
        for k, layer in enumerate(layers)
    ]


@mutants.wrong("layer_lr_groups", "frozen-left-out")
def trainable_now(model, base_lr, decay):
    layers = [child for child in model.children() if list(child.parameters())]
    n, seen, groups = len(layers), set(), []
    for k, layer in enumerate(layers):
        ps = [p for p in layer.parameters() if p.requires_grad and id(p) not in seen]
        seen |= {id(p) for p in ps}
        groups.append({"params": ps, "lr": base_lr * decay ** (n - 1 - k)})
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in seen]
    return [*groups, {"params": rest, "lr": base_lr}]


@mutants.wrong("layer_lr_groups", "in-two-groups")
def shared_in_both(model, base_lr, decay):
    layers = [child for child in model.children() if list(child.parameters())]
    n = len(layers)
    groups = [
        {"params": list(layer.parameters()), "lr": base_lr * decay ** (n - 1 - k)}
        for k, layer in enumerate(layers)
    ]
    loose = list(model.parameters(recurse=False))
    return groups + [{"params": loose, "lr": base_lr}] * bool(loose)


@mutants.wrong("layer_lr_groups", "in-two-groups")
def compares_tensors_by_value(model, base_lr, decay):
    lr, groups, names = base_lr, [], set()
    for name, layer in reversed(list(model.named_children())):
        inside = list(layer.named_parameters(prefix=name))
        if inside:
            groups.append({"params": [p for n, p in inside if n not in names], "lr": lr})
            names |= {n for n, _ in inside}
            lr *= decay
    rest = [p for n, p in model.named_parameters() if n not in names]
    return [*groups, {"params": rest, "lr": base_lr}]


@mutants.wrong("layer_lr_groups", "no-rate")
def key_misspelt(model, base_lr, decay):
    layers = [child for child in model.children() if list(child.parameters())]
    n = len(layers)
    return [
        {"params": list(layer.parameters()), "learning_rate": base_lr * decay ** (n - 1 - k)}
        for k, layer in enumerate(layers)
    ]


@mutants.wrong("layer_lr_groups", "not-groups")
def names_to_rates(model, base_lr, decay):
    names = [name for name, child in model.named_children() if list(child.parameters())]
    return {name: base_lr * decay ** (len(names) - 1 - k) for k, name in enumerate(names)}


@mutants.wrong("layer_lr_groups", "not-a-parameter")
def groups_of_a_copy(model, base_lr, decay):
    layers = [c for c in copy.deepcopy(model).children() if list(c.parameters())]
    n = len(layers)
    return [
        {"params": list(layer.parameters()), "lr": base_lr * decay ** (n - 1 - k)}
        for k, layer in enumerate(layers)
    ]


@mutants.wrong("layer_lr_groups", "not-a-parameter")
def whole_state(model, base_lr, decay):
    layers = [child for child in model.children() if list(child.parameters())]
    n = len(layers)
    return [
        {"params": list(layer.state_dict().values()), "lr": base_lr * decay ** (n - 1 - k)}
        for k, layer in enumerate(layers)
    ]


@mutants.wrong("layer_lr_groups", "flags-changed")
def opens_everything(model, base_lr, decay):
    model.requires_grad_(True)
    lr, seen, groups = base_lr, set(), []
    for layer in reversed([c for c in model.children() if list(c.parameters())]):
        ps = [p for p in layer.parameters() if id(p) not in seen]
        seen |= {id(p) for p in ps}
        groups.append({"params": ps, "lr": lr})
        lr *= decay
    return [*groups, {"params": [p for p in model.parameters() if id(p) not in seen], "lr": lr}]


@mutants.right("layer_lr_groups")
def from_the_back(model, base_lr, decay):
    lr, seen, groups = base_lr, set(), []
    for layer in reversed([c for c in model.children() if any(True for _ in c.parameters())]):
        fresh = {p: None for p in layer.parameters() if p not in seen}
        seen.update(fresh)
        groups.insert(0, {"params": list(fresh), "lr": lr})
        lr *= decay
    loose = [p for p in model.parameters(recurse=False) if p not in seen]
    return [{"params": loose, "lr": lr}, *groups] if loose else groups


@mutants.right("layer_lr_groups")
def a_group_for_each(model, base_lr, decay):
    names = [name for name, child in model.named_children() if list(child.parameters())]
    depth = {name: len(names) - 1 - k for k, name in enumerate(names)}
    return [
        {"params": p, "lr": base_lr * decay ** depth.get(name.split(".")[0], 0), "name": name}
        for name, p in model.named_parameters()
    ]


@mutants.right("layer_lr_groups")
def lazily(model, base_lr, decay):
    layers = [m for m in model.children() if sum(p.numel() for p in m.parameters())]
    seen = set()

    def fresh(parameters):
        for p in parameters:
            if id(p) not in seen:
                seen.add(id(p))
                yield p

    for k, layer in enumerate(layers, start=1):
        yield {
            "params": fresh(layer.parameters()),
            "lr": base_lr * math.pow(decay, len(layers) - k),
        }
    yield {"params": fresh(model.parameters()), "lr": base_lr * decay ** len(layers)}


@mutants.right("layer_lr_groups")
def own_parameters_with_the_head(model, base_lr, decay):
    rate, order = {}, [c for c in model.children() if next(c.parameters(), None) is not None]
    for k, layer in enumerate(order[::-1]):
        for p in layer.parameters():
            rate.setdefault(p, base_lr * decay**k)
    for p in model.parameters():
        rate.setdefault(p, base_lr)
    return tuple(
        {"params": tuple(p for p in rate if rate[p] == lr), "lr": lr, "momentum": 0.9}
        for lr in sorted(set(rate.values()))
    )


# -- decay_groups ----------------------------------------------------------------------------------------


@mutants.wrong("decay_groups", "bias-decays")
def all_decay(model, weight_decay):
    return [{"params": list(model.parameters()), "weight_decay": weight_decay}]


@mutants.wrong("decay_groups", "bias-decays")
def spares_only_norms(model, weight_decay):
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)
    ids = {id(p) for m in model.modules() if isinstance(m, kinds) for p in m.parameters()}
    return [
        {
            "params": [p for p in model.parameters() if id(p) not in ids],
            "weight_decay": weight_decay,
        },
        {"params": [p for p in model.parameters() if id(p) in ids], "weight_decay": 0.0},
    ]


@mutants.wrong("decay_groups", "bias-decays")
def ends_with_dot_bias(model, weight_decay):
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)
    ids = {id(p) for m in model.modules() if isinstance(m, kinds) for p in m.parameters()}
    spared = [p for n, p in model.named_parameters() if n.endswith(".bias") or id(p) in ids]
    kept = [p for n, p in model.named_parameters() if not (n.endswith(".bias") or id(p) in ids)]
    return [
        {"params": kept, "weight_decay": weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]


@mutants.wrong("decay_groups", "norm-decays")
def spares_only_biases(model, weight_decay):
    spared, kept = [], []
    for name, p in model.named_parameters():
        (spared if "bias" in name.split(".")[-1] else kept).append(p)
    return [
        {"params": kept, "weight_decay": weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]


@mutants.wrong("decay_groups", "norm-decays")
def knows_batchnorm_only(model, weight_decay):
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    spared = {id(p) for m in model.modules() if isinstance(m, kinds) for p in m.parameters()}
    spared |= {id(p) for n, p in model.named_parameters() if "bias" in n.split(".")[-1]}
    return [
        {
            "params": [p for p in model.parameters() if id(p) not in spared],
            "weight_decay": weight_decay,
        },
        {"params": [p for p in model.parameters() if id(p) in spared], "weight_decay": 0.0},
    ]


@mutants.wrong("decay_groups", "norm-decays")
def forgets_groupnorm(model, weight_decay):
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)
    spared = {id(p) for m in model.modules() if isinstance(m, kinds) for p in m.parameters()}
    spared |= {id(p) for n, p in model.named_parameters() if "bias" in n.split(".")[-1]}
    return [
        {"params": [p], "weight_decay": 0.0 if id(p) in spared else weight_decay}
        for p in model.parameters()
    ]


@mutants.wrong("decay_groups", "norm-decays")
def norms_by_name(model, weight_decay):
    def spared(name):
        return name.endswith("bias") or "norm" in name or "bn" in name

    return [
        {
            "params": [p for n, p in model.named_parameters() if not spared(n)],
            "weight_decay": weight_decay,
        },
        {"params": [p for n, p in model.named_parameters() if spared(n)], "weight_decay": 0.0},
    ]


@mutants.wrong("decay_groups", "weight-spared")
def bias_anywhere_in_the_name(model, weight_decay):
    groups = []
    for name, p in model.named_parameters():
        spared = "bias" in name or p.ndim < 2
        groups.append({"params": [p], "weight_decay": 0.0 if spared else weight_decay})
    return groups


@mutants.wrong("decay_groups", "weight-spared")
def norm_anywhere_in_the_name(model, weight_decay):
    groups = []
    for name, p in model.named_parameters():
        spared = "norm" in name or "bn" in name or p.ndim < 2
        groups.append({"params": [p], "weight_decay": 0.0 if spared else weight_decay})
    return groups


@mutants.wrong("decay_groups", "weight-spared")
def linear_and_conv_only(model, weight_decay):
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    ids = {id(m.weight) for m in model.modules() if isinstance(m, kinds)}
    return [
        {"params": [p for p in model.parameters() if id(p) in ids], "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if id(p) not in ids], "weight_decay": 0.0},
    ]


@mutants.wrong("decay_groups", "weight-spared")
def four_dimensions_only(model, weight_decay):
    return [
        {"params": [p for p in model.parameters() if p.ndim > 2], "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if p.ndim <= 2], "weight_decay": 0.0},
    ]


@mutants.wrong("decay_groups", "weight-spared")
def lists_swapped(model, weight_decay):
    return [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.0},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": weight_decay},
    ]


@mutants.wrong("decay_groups", "left-out")
def no_group_for_the_spared(model, weight_decay):
    return [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": weight_decay}
    ]


@mutants.wrong("decay_groups", "left-out")
def inside_known_layers(model, weight_decay):
    decay, spared = [], []
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)
    for module in model.modules():
        if isinstance(module, kinds):
            spared += [p for p in (module.weight, module.bias) if p is not None]
        elif isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Embedding):
            decay.append(module.weight)
            if getattr(module, "bias", None) is not None:
                spared.append(module.bias)
    return [
        {"params": decay, "weight_decay": weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]


@mutants.wrong("decay_groups", "frozen-left-out")
def trainable_only(model, weight_decay):
    ps = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in ps if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in ps if p.ndim < 2], "weight_decay": 0.0},
    ]


@mutants.wrong("decay_groups", "in-two-groups")
def shared_under_each_name(model, weight_decay):
    named = list(model.named_parameters(remove_duplicate=False))
    return [
        {"params": [p for _, p in named if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for _, p in named if p.ndim < 2], "weight_decay": 0.0},
    ]


@mutants.wrong("decay_groups", "in-two-groups")
def module_by_module(model, weight_decay):
    decay, spared = [], []
    for module in model.modules():
        for p in module.parameters(recurse=False):
            (decay if p.ndim >= 2 else spared).append(p)
    return [
        {"params": decay, "weight_decay": weight_decay},
        {"params": spared, "weight_decay": 0},
    ]


@mutants.wrong("decay_groups", "in-two-groups")
def biases_of_norms_listed_twice(model, weight_decay):
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)
    biases = [p for name, p in model.named_parameters() if "bias" in name.split(".")[-1]]
    in_norms = [p for m in model.modules() if isinstance(m, norms) for p in m.parameters()]
    ids = {id(p) for p in biases + in_norms}
    return [
        {
            "params": [p for p in model.parameters() if id(p) not in ids],
            "weight_decay": weight_decay,
        },
        {"params": biases, "weight_decay": 0.0},
        {"params": in_norms, "weight_decay": 0.0},
    ]


@mutants.wrong("decay_groups", "no-decay-key")
def spared_without_a_word(model, weight_decay):
    return [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2]},
    ]


@mutants.wrong("decay_groups", "wrong-decay")
def a_tenth_for_biases(model, weight_decay):
    return [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": weight_decay},
        {
            "params": [p for p in model.parameters() if p.ndim < 2],
            "weight_decay": weight_decay / 10,
        },
    ]


@mutants.wrong("decay_groups", "not-groups")
def two_lists(model, weight_decay):
    return (
        [p for p in model.parameters() if p.ndim >= 2],
        [p for p in model.parameters() if p.ndim < 2],
    )


@mutants.wrong("decay_groups", "not-a-parameter")
def names_in_place_of_parameters(model, weight_decay):
    return [
        {
            "params": [n for n, p in model.named_parameters() if p.ndim >= 2],
            "weight_decay": weight_decay,
        },
        {"params": [n for n, p in model.named_parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]


@mutants.right("decay_groups")
def by_module_type(model, weight_decay):
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)
    spared, decayed = {}, {}
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            if isinstance(module, norms) or "bias" in name:
                spared[p] = None
            else:
                decayed[p] = None
    return [
        {"params": decayed.keys(), "weight_decay": weight_decay},
        {"params": spared.keys(), "weight_decay": 0.0},
    ]


@mutants.right("decay_groups")
def one_group_each(model, weight_decay):
    return [{"params": p, "weight_decay": weight_decay * (p.dim() > 1)} for p in model.parameters()]


@mutants.right("decay_groups")
def what_is_called_weight(model, weight_decay):
    decayed, spared = [], []
    for name, p in model.named_parameters():
        (decayed if p.ndim > 1 and "weight" in name.split(".")[-1] else spared).append(p)
    return [
        {"params": spared, "weight_decay": 0.0},
        {"params": decayed, "weight_decay": weight_decay},
    ]


@mutants.right("decay_groups")
def with_filters(model, weight_decay):
    return (
        {"params": filter(lambda p: p.ndim <= 1, model.parameters()), "weight_decay": 0},
        {"params": filter(lambda p: p.ndim > 1, model.parameters()), "weight_decay": weight_decay},
    )


@mutants.right("decay_groups")
def with_names_beside(model, weight_decay):
    groups = {
        weight_decay: {"params": [], "names": [], "weight_decay": weight_decay},
        0.0: {"params": [], "names": [], "weight_decay": 0.0},
    }
    for name, p in model.named_parameters():
        group = groups[0.0 if len(p.shape) < 2 else weight_decay]
        group["params"].append(p)
        group["names"].append(name)
    return list(groups.values())


# -- warmup_cosine ---------------------------------------------------------------------------------------


@mutants.wrong("warmup_cosine", "one-step-early")
def counts_steps_from_one(step, warmup, total):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@mutants.wrong("warmup_cosine", "one-step-early")
def never_zero(step, warmup, total):
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@mutants.wrong("warmup_cosine", "one-step-early")
def divides_by_one_less(step, warmup, total):
    if step < warmup:
        return step / max(1, warmup - 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@mutants.wrong("warmup_cosine", "one-step-late")
def cosine_a_step_ahead(step, warmup, total):
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup + 1) / (total - warmup + 1)))


@mutants.wrong("warmup_cosine", "one-step-late")
def warms_up_a_step_longer(step, warmup, total):
    if step <= warmup and warmup:
        return step / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@mutants.wrong("warmup_cosine", "one-step-late")
def nearly_one(step, warmup, total):
    if step <= warmup:
        return (step + 1e-8 * (warmup == 0)) / (warmup + 1e-8)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@mutants.wrong("warmup_cosine", "warmup-of-zero")
def divides_by_zero(step, warmup, total):
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@mutants.wrong("warmup_cosine", "warmup-of-zero")
def first_step_given_away(step, warmup, total):
    if step <= warmup:
        return step / max(1, warmup)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@mutants.wrong("warmup_cosine", "warmup-of-zero")
def always_one_step_of_warmup(step, warmup, total):
    warmup = max(warmup, 1)
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


@mutants.wrong("warmup_cosine", "cosine-from-zero")
def cosine_over_everything(step, warmup, total):
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * step / total))


@mutants.wrong("warmup_cosine", "cosine-from-zero")
def product_of_both(step, warmup, total):
    ramp = min(1.0, step / warmup) if warmup else 1.0
    return ramp * 0.5 * (1 + math.cos(math.pi * step / total))


@mutants.wrong("warmup_cosine", "cosine-from-zero")
def one_then_the_old_cosine(step, warmup, total):
    if step <= warmup:
        return step / warmup if warmup else 1.0
    return 0.5 * (1 + math.cos(math.pi * step / total))


@mutants.wrong("warmup_cosine", "ends-early")
def last_step_is_total_minus_one(step, warmup, total):
    if step < warmup:
        return step / warmup
    share = (step - warmup) / max(1, total - 1 - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


@mutants.wrong("warmup_cosine", "wrong-ramp")
def warms_up_along_a_cosine(step, warmup, total):
    if step < warmup:
        return 0.5 * (1 - math.cos(math.pi * step / warmup))
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@mutants.wrong("warmup_cosine", "wrong-ramp")
def no_warmup_at_all(step, warmup, total):
    return (
        1.0 if step < warmup else 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
    )


@mutants.wrong("warmup_cosine", "wrong-ramp")
def whole_numbers(step, warmup, total):
    if step < warmup:
        return step // warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@mutants.wrong("warmup_cosine", "wrong-cosine")
def straight_down(step, warmup, total):
    if step < warmup:
        return step / warmup
    return (total - step) / (total - warmup)


@mutants.wrong("warmup_cosine", "wrong-cosine")
def quarter_cosine(step, warmup, total):
    if step < warmup:
        return step / warmup
    return math.cos(0.5 * math.pi * (step - warmup) / (total - warmup))


@mutants.wrong("warmup_cosine", "wrong-cosine")
def whole_cosine(step, warmup, total):
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(2 * math.pi * (step - warmup) / (total - warmup)))


@mutants.wrong("warmup_cosine", "wrong-cosine")
def down_to_minus_one(step, warmup, total):
    if step < warmup:
        return step / warmup
    return math.cos(math.pi * (step - warmup) / (total - warmup))


@mutants.wrong("warmup_cosine", "wrong-cosine")
def in_degrees(step, warmup, total):
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(180 * (step - warmup) / (total - warmup)))


@mutants.wrong("warmup_cosine", "not-a-float")
def a_tensor(step, warmup, total):
    if step < warmup:
        return torch.tensor(step / warmup)
    return 0.5 * (1 + torch.cos(torch.tensor(math.pi * (step - warmup) / (total - warmup))))


@mutants.wrong("warmup_cosine", "not-a-float")
def printed(step, warmup, total):
    factor = step / warmup if step < warmup else 0.5
    print(factor)


@mutants.right("warmup_cosine")
def through_numpy(step, warmup, total):
    import numpy as np

    if step < warmup:
        return np.float64(step) / warmup
    return (np.cos(np.pi * (step - warmup) / (total - warmup)) + 1) / 2


@mutants.right("warmup_cosine")
def through_the_square(step, warmup, total):
    if step >= warmup:
        return math.cos(math.pi / 2 * (step - warmup) / (total - warmup)) ** 2
    return step / warmup


@mutants.right("warmup_cosine")
def ends_said_apart(step, warmup, total):
    if step == warmup:
        return 1
    if step == total:
        return 0
    if step < warmup:
        return step * (1 / warmup)
    t = 1 - (total - step) / (total - warmup)
    return float(torch.tensor(math.pi * t).cos().add(1).div(2))


@mutants.right("warmup_cosine")
def the_smaller_of_two(step, warmup, total):
    ramp = step / warmup if warmup > 0 else 1.0
    t = max(0, step - warmup) / (total - warmup)
    return min(ramp, 1 - math.sin(math.pi * t / 2) ** 2)


# -- lr_range_test ---------------------------------------------------------------------------------------


@mutants.wrong("lr_range_test", "model-changed")
def puts_nothing_back(model, loader, lrs):
    import itertools

    modes = {m: m.training for m in model.modules()}
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(model(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    for m, mode in modes.items():
        m.training = mode
    return losses


@mutants.wrong("lr_range_test", "model-changed")
def remembers_without_copying(model, loader, lrs):
    import itertools

    before = model.state_dict()
    modes = {m: m.training for m in model.modules()}
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(model(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    model.load_state_dict(before)
    for m, mode in modes.items():
        m.training = mode
    return losses


@mutants.wrong("lr_range_test", "model-changed")
def copies_the_dict_alone(model, loader, lrs):
    import itertools

    before = dict(model.state_dict())
    modes = {m: m.training for m in model.modules()}
    model.train()
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(model(x), y)
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= lr * p.grad
    model.load_state_dict(before)
    for m, mode in modes.items():
        m.training = mode
    return losses


@mutants.wrong("lr_range_test", "model-changed")
def walks_the_steps_back(model, loader, lrs):
    import itertools

    buffers = {n: b.clone() for n, b in model.named_buffers()}
    modes = {m: m.training for m in model.modules()}
    model.train()
    losses, taken = [], []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(model(x), y)
        losses.append(loss.item())
        ps = [p for p in model.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(loss, ps)
        with torch.no_grad():
            for p, g in zip(ps, gradients, strict=True):
                p -= lr * g
        taken.append((lr, ps, gradients))
    with torch.no_grad():
        for lr, ps, gradients in reversed(taken):
            for p, g in zip(ps, gradients, strict=True):
                p += lr * g
        for n, b in model.named_buffers():
            b.copy_(buffers[n])
    for m, mode in modes.items():
        m.training = mode
    return losses


@mutants.wrong("lr_range_test", "buffers-changed")
def parameters_only(model, loader, lrs):
    import itertools

    before = [p.detach().clone() for p in model.parameters()]
    modes = {m: m.training for m in model.modules()}
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(model(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    with torch.no_grad():
        for p, value in zip(model.parameters(), before, strict=True):
            p.copy_(value)
    for m, mode in modes.items():
        m.training = mode
    return losses


@mutants.wrong("lr_range_test", "modes-changed")
def left_in_training_mode(model, loader, lrs):
    import itertools

    before = copy.deepcopy(model.state_dict())
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(model(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    model.load_state_dict(before)
    return losses


@mutants.wrong("lr_range_test", "modes-changed")
def one_mode_for_all(model, loader, lrs):
    import itertools

    before, training = copy.deepcopy(model.state_dict()), model.training
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(model(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    model.load_state_dict(before)
    model.train(training)
    return losses


@mutants.wrong("lr_range_test", "frozen-moved")
def trains_everything(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train().requires_grad_(True)
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "flags-changed")
def leaves_all_frozen(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    model.requires_grad_(False)
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "loss-after-step")
def asks_after_the_step(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        optimizer.zero_grad()
        F.cross_entropy(clone(x), y).backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        losses.append(F.cross_entropy(clone(x), y).item())
    return losses


@mutants.wrong("lr_range_test", "eval-mode")
def in_eval_mode(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).eval()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "eval-mode")
def in_whatever_mode_it_came(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model)
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "stands-still")
def each_rate_from_the_start(model, loader, lrs):
    import itertools

    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        clone = copy.deepcopy(model).train()
        optimizer = torch.optim.SGD(clone.parameters(), lr=lr)
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "stands-still")
def optimizer_of_the_original(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "same-batch")
def asks_for_the_first_batch_each_time(model, loader, lrs):
    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr in lrs:
        x, y = next(iter(loader))
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "too-few-losses")
def ends_with_the_loader(model, loader, lrs):
    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, loader, strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "too-few-losses")
def stops_when_it_diverges(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        if not math.isfinite(loss.item()):
            break
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "too-few-losses")
def an_epoch_for_each_rate(model, loader, lrs):
    clone = copy.deepcopy(model).train()
    losses = []
    for lr in lrs:
        optimizer = torch.optim.SGD(clone.parameters(), lr=lr)
        for x, y in loader:
            loss = F.cross_entropy(clone(x), y)
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "rate-of-before")
def rate_set_after_the_step(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=lrs[0])
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] = lr
    return losses


@mutants.wrong("lr_range_test", "wrong-losses")
def with_momentum(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "wrong-losses")
def gradients_pile_up(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "wrong-losses")
def a_sum_over_the_batch(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y, reduction="sum")
        losses.append(loss.item() / len(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "wrong-losses")
def rates_in_order_of_size(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(sorted(lrs), itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "wrong-losses")
def a_running_average(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        last = losses[-1] if losses else loss.item()
        losses.append(0.7 * last + 0.3 * loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "not-losses")
def losses_with_their_graphs(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return losses


@mutants.wrong("lr_range_test", "not-losses")
def the_best_rate_alone(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=0.1)
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(clone(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return lrs[losses.index(min(losses))]


@mutants.right("lr_range_test")
def on_a_copy(model, loader, lrs):
    clone = copy.deepcopy(model).train()
    ps = [p for p in clone.parameters() if p.requires_grad]
    losses, batches = [], iter(loader)
    for lr in lrs:
        try:
            inputs, targets = next(batches)
        except StopIteration:
            batches = iter(loader)
            inputs, targets = next(batches)
        loss = nn.CrossEntropyLoss()(clone(inputs), targets)
        losses.append(float(loss.detach()))
        gradients = torch.autograd.grad(loss, ps)
        with torch.no_grad():
            for p, g in zip(ps, gradients, strict=True):
                p.sub_(lr * g)
    return losses


@mutants.right("lr_range_test")
def state_of_each_module(model, loader, lrs):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    model.train()
    losses, k, batches = [], 0, list(loader)
    while k < len(lrs):
        x, y = batches[k % len(batches)]
        optimizer = torch.optim.SGD(
            filter(lambda p: p.requires_grad, model.parameters()), lr=lrs[k]
        )
        optimizer.zero_grad()
        loss = -F.log_softmax(model(x), dim=1)[range(len(y)), y].mean()
        loss.backward()
        losses.append(loss.detach().item())
        optimizer.step()
        k += 1
    model.zero_grad()
    model.load_state_dict(before)
    for module, mode in zip(model.modules(), modes, strict=True):
        module.training = mode
    return tuple(losses)


@mutants.right("lr_range_test")
def with_a_scheduler(model, loader, lrs):
    import numpy as np

    clone = copy.deepcopy(model)
    clone.train()
    optimizer = torch.optim.SGD(clone.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: lrs[min(k, len(lrs) - 1)])
    losses = np.empty(len(lrs))
    done = 0
    while done < len(lrs):
        for x, y in loader:
            if done == len(lrs):
                break
            loss = F.cross_entropy(clone(x), y)
            losses[done] = loss.item()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
            done += 1
    return losses


@mutants.right("lr_range_test")
def through_functional_call(model, loader, lrs):
    import itertools

    clone = copy.deepcopy(model).train()
    values = dict(clone.named_parameters())
    losses = []
    for lr, (x, y) in zip(lrs, itertools.cycle(loader), strict=False):
        loss = F.cross_entropy(torch.func.functional_call(clone, values, (x,)), y)
        losses += [loss.item()]
        open_names = [name for name in values if values[name].requires_grad]
        gradients = torch.autograd.grad(loss, [values[name] for name in open_names])
        for name, g in zip(open_names, gradients, strict=True):
            values[name] = (values[name] - lr * g).detach().requires_grad_(True)
    return losses


# -- unfreeze_schedule -----------------------------------------------------------------------------------


@mutants.wrong("unfreeze_schedule", "all-at-once")
def slice_from_minus_epoch(epoch, stages):
    return stages[-epoch:]


@mutants.wrong("unfreeze_schedule", "all-at-once")
def everything_always(epoch, stages):
    return list(stages)


@mutants.wrong("unfreeze_schedule", "shrinks-again")
def index_below_zero(epoch, stages):
    return stages[len(stages) - 1 - epoch :]


@mutants.wrong("unfreeze_schedule", "shrinks-again")
def begins_again(epoch, stages):
    return stages[-(epoch % len(stages) + 1) :]


@mutants.wrong("unfreeze_schedule", "shrinks-again")
def asks_for_more_than_there_is(epoch, stages):
    names = []
    for k in range(epoch + 1):
        names.insert(0, stages[len(stages) - 1 - k])
    return names


@mutants.wrong("unfreeze_schedule", "from-the-input")
def stem_first(epoch, stages):
    return stages[: epoch + 1]


@mutants.wrong("unfreeze_schedule", "only-the-newest")
def one_at_a_time(epoch, stages):
    return [stages[max(0, len(stages) - 1 - epoch)]]


@mutants.wrong("unfreeze_schedule", "off-by-one-epoch")
def epochs_from_one(epoch, stages):
    return stages[len(stages) - min(epoch, len(stages)) :]


@mutants.wrong("unfreeze_schedule", "off-by-one-epoch")
def two_to_begin_with(epoch, stages):
    return stages[-(epoch + 2) :]


@mutants.wrong("unfreeze_schedule", "order-lost")
def head_first(epoch, stages):
    return list(reversed(stages))[: epoch + 1]


@mutants.wrong("unfreeze_schedule", "order-lost")
def as_a_set(epoch, stages):
    return set(stages[-(epoch + 1) :])


@mutants.wrong("unfreeze_schedule", "order-lost")
def sorted_by_name(epoch, stages):
    return sorted(stages[-(epoch + 1) :])


@mutants.wrong("unfreeze_schedule", "off-by-one-epoch")
def never_fewer_than_one(epoch, stages):
    return stages[-max(1, min(epoch, len(stages))) :]


@mutants.wrong("unfreeze_schedule", "wrong-stages")
def two_each_epoch(epoch, stages):
    return stages[-(2 * epoch + 1) :]


@mutants.wrong("unfreeze_schedule", "wrong-stages")
def counts_its_calls(epoch, stages):
    opened = globals().setdefault("_opened", [])
    opened.append(None)
    return stages[-len(opened) :]


@mutants.wrong("unfreeze_schedule", "stages-changed")
def takes_names_out(epoch, stages):
    names = []
    while stages and len(names) <= epoch:
        names.insert(0, stages.pop())
    return names


@mutants.wrong("unfreeze_schedule", "stages-changed")
def turns_the_list(epoch, stages):
    stages.reverse()
    names = stages[: epoch + 1]
    names.reverse()
    return names


@mutants.wrong("unfreeze_schedule", "not-names")
def a_bare_name(epoch, stages):
    names = stages[-(epoch + 1) :]
    return names[0] if len(names) == 1 else names


@mutants.wrong("unfreeze_schedule", "not-names")
def a_number(epoch, stages):
    return min(epoch + 1, len(stages))


@mutants.right("unfreeze_schedule")
def from_an_index(epoch, stages):
    return stages[max(0, len(stages) - 1 - epoch) :]


@mutants.right("unfreeze_schedule")
def by_place(epoch, stages):
    return [name for k, name in enumerate(stages) if len(stages) - k <= epoch + 1]


@mutants.right("unfreeze_schedule")
def as_a_tuple(epoch, stages):
    return tuple(reversed(list(reversed(stages))[: epoch + 1]))


@mutants.right("unfreeze_schedule")
def lazily_named(epoch, stages):
    closed = len(stages) - min(len(stages), epoch + 1)
    for k in range(closed, len(stages)):
        yield stages[k]


# -- clip_gradients --------------------------------------------------------------------------------------


@mutants.wrong("clip_gradients", "per-tensor")
def each_by_its_own_norm(params, max_norm):
    for p in params:
        if p.grad is not None:
            norm = p.grad.norm()
            if norm > max_norm:
                p.grad.mul_(max_norm / norm)


@mutants.wrong("clip_gradients", "per-tensor")
def library_for_each(params, max_norm):
    for p in params:
        nn.utils.clip_grad_norm_([p], max_norm)


@mutants.wrong("clip_gradients", "per-element")
def each_entry(params, max_norm):
    for p in params:
        if p.grad is not None:
            p.grad.clamp_(-max_norm, max_norm)


@mutants.wrong("clip_gradients", "turned")
def scales_while_it_sums(params, max_norm):
    total = 0.0
    for p in params:
        if p.grad is not None:
            total += float(p.grad.square().sum())
            if total**0.5 > max_norm:
                p.grad.mul_(max_norm / total**0.5)


@mutants.wrong("clip_gradients", "turned")
def forgets_biases(params, max_norm):
    ps = [p for p in params if p.grad is not None]
    norm = sum(float(p.grad.square().sum()) for p in ps) ** 0.5
    for p in ps:
        if p.ndim > 1 and norm > max_norm:
            p.grad.mul_(max_norm / norm)


@mutants.wrong("clip_gradients", "turned")
def drops_what_is_too_long(params, max_norm):
    ps = [p for p in params if p.grad is not None]
    norm = sum(float(p.grad.square().sum()) for p in ps) ** 0.5
    if norm > max_norm:
        for p in ps:
            p.grad = None


@mutants.wrong("clip_gradients", "not-clipped")
def does_nothing(params, max_norm):
    return torch.tensor(0.0)


@mutants.wrong("clip_gradients", "not-clipped")
def longest_tensor_counts(params, max_norm):
    ps = [p for p in params if p.grad is not None]
    norm = max((float(p.grad.norm()) for p in ps), default=0.0)
    if norm > max_norm:
        for p in ps:
            p.grad.mul_(max_norm / norm)


@mutants.wrong("clip_gradients", "not-clipped")
def root_of_the_mean(params, max_norm):
    gradients = [p.grad for p in params if p.grad is not None]
    count = sum(g.numel() for g in gradients)
    norm = (sum(float(g.square().sum()) for g in gradients) / max(1, count)) ** 0.5
    for g in gradients:
        g.mul_(min(1.0, max_norm / (norm + 1e-12)))


@mutants.wrong("clip_gradients", "too-short")
def sum_of_norms(params, max_norm):
    gradients = [p.grad for p in params if p.grad is not None]
    norm = sum(float(g.norm()) for g in gradients)
    if norm > max_norm:
        for g in gradients:
            g.mul_(max_norm / norm)


@mutants.wrong("clip_gradients", "too-short")
def root_forgotten(params, max_norm):
    gradients = [p.grad for p in params if p.grad is not None]
    norm = sum(float(g.square().sum()) for g in gradients)
    if norm > max_norm:
        for g in gradients:
            g.mul_(max_norm / norm)


@mutants.wrong("clip_gradients", "too-short")
def to_length_one_when_long(params, max_norm):
    gradients = [p.grad for p in params if p.grad is not None]
    norm = sum(float(g.square().sum()) for g in gradients) ** 0.5
    if norm > max_norm:
        for g in gradients:
            g.mul_(min(1.0, max_norm) / norm / 2)


@mutants.wrong("clip_gradients", "short-ones-scaled")
def always_to_max_norm(params, max_norm):
    gradients = [p.grad for p in params if p.grad is not None]
    norm = sum(float(g.square().sum()) for g in gradients) ** 0.5
    if norm > 0:
        for g in gradients:
            g.mul_(max_norm / norm)


@mutants.wrong("clip_gradients", "short-ones-scaled")
def smooth_factor(params, max_norm):
    gradients = [p.grad for p in params if p.grad is not None]
    norm = sum(float(g.square().sum()) for g in gradients) ** 0.5
    for g in gradients:
        g.mul_(max_norm / max(norm, max_norm) * (1 - 1e-6))


@mutants.wrong("clip_gradients", "not-a-number")
def zero_over_zero(params, max_norm):
    gradients = [p.grad for p in params if p.grad is not None]
    if gradients:
        norm = torch.stack([g.norm() for g in gradients]).norm()
        for g in gradients:
            unit = g / norm
            g.copy_(torch.where(norm > max_norm, unit * max_norm, torch.where(norm > 0, g, unit)))


@mutants.wrong("clip_gradients", "iterable-used-up")
def goes_through_twice(params, max_norm):
    norm = sum(float(p.grad.square().sum()) for p in params if p.grad is not None) ** 0.5
    if norm > max_norm:
        for p in params:
            if p.grad is not None:
                p.grad.mul_(max_norm / norm)


@mutants.wrong("clip_gradients", "not-in-place")
def new_tensors(params, max_norm):
    ps = [p for p in params if p.grad is not None]
    norm = sum(float(p.grad.square().sum()) for p in ps) ** 0.5
    if norm > max_norm:
        for p in ps:
            p.grad = p.grad * (max_norm / norm)


@mutants.wrong("clip_gradients", "parameters-moved")
def scales_the_weights_too(params, max_norm):
    ps = list(params)
    gradients = [p.grad for p in ps if p.grad is not None]
    norm = sum(float(g.square().sum()) for g in gradients) ** 0.5
    if norm > max_norm:
        with torch.no_grad():
            for p in ps:
                if p.grad is not None:
                    p.grad.mul_(max_norm / norm)
                    p.mul_(max_norm / norm)


@mutants.wrong("clip_gradients", "none-filled")
def zeros_for_none(params, max_norm):
    ps = list(params)
    for p in ps:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    norm = sum(float(p.grad.square().sum()) for p in ps) ** 0.5
    if norm > max_norm:
        for p in ps:
            p.grad.mul_(max_norm / norm)


@mutants.right("clip_gradients")
def by_the_library(params, max_norm):
    return nn.utils.clip_grad_norm_(params, max_norm)


@mutants.right("clip_gradients")
def as_one_vector(params, max_norm):
    gradients = [p.grad for p in params if p.grad is not None]
    if not gradients:
        return
    norm = torch.cat([g.reshape(-1) for g in gradients]).norm().item()
    factor = min(1.0, max_norm / norm) if norm else 1.0
    if factor < 1:
        for g in gradients:
            g *= factor


@mutants.right("clip_gradients")
def through_data(params, max_norm):
    kept = tuple(p for p in params if p.grad is not None)
    squares = torch.tensor([p.grad.double().pow(2).sum() for p in kept], dtype=torch.float64)
    if (norm := squares.sum().sqrt()) > max_norm:
        for p in kept:
            p.grad.data.div_(float(norm) / max_norm)


@mutants.right("clip_gradients")
def with_norms_of_norms(params, max_norm):
    gradients = [p.grad for p in params if p.grad is not None]
    norm = math.hypot(*(torch.linalg.vector_norm(g).item() for g in gradients))
    scale = 1.0 if norm <= max_norm else max_norm / norm
    torch._foreach_mul_(gradients, scale) if gradients else None
    return norm
