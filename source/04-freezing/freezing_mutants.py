"""Wrong and right implementations of lesson 04's exercises: they prove its checks.

The first word of a wrong one's misconception is what its card must name.
"""

import torch
from torch import nn

from course.mutants import Mutants

mutants = Mutants()
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

# -- freeze ----------------------------------------------------------------------------------------------


@mutants.wrong("freeze", "still-trainable")
def does_nothing(model, except_for):
    return model


@mutants.wrong("freeze", "still-trainable")
def first_level_only(model, except_for):
    for name, child in model.named_children():
        for parameter in child.parameters(recurse=False):
            parameter.requires_grad = name in except_for


@mutants.wrong("freeze", "still-trainable")
def skips_norms(model, except_for):
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if parameter.dim() > 1:
            parameter.requires_grad = any(name == one or name.startswith(one + ".") for one in except_for)


@mutants.wrong("freeze", "listed-frozen")
def freezes_all(model, except_for):
    for parameter in model.parameters():
        parameter.requires_grad = False


@mutants.wrong("freeze", "listed-frozen")
def never_opens(model, except_for):
    opened = set()
    for name in except_for:
        try:
            opened |= {id(p) for p in model.get_submodule(name).parameters()}
        except AttributeError:
            opened.add(id(model.get_parameter(name)))
    for parameter in model.parameters():
        if id(parameter) not in opened:
            parameter.requires_grad = False


@mutants.wrong("freeze", "listed-frozen")
def direct_children_by_name(model, except_for):
    for name, parameter in model.named_parameters(remove_duplicate=False):
        parameter.requires_grad = name.split(".")[0] in except_for


@mutants.wrong("freeze", "look-alike")
def prefix_without_dot(model, except_for):
    for name, parameter in model.named_parameters(remove_duplicate=False):
        parameter.requires_grad = any(name.startswith(one) for one in except_for)


@mutants.wrong("freeze", "look-alike")
def name_anywhere(model, except_for):
    for name, parameter in model.named_parameters(remove_duplicate=False):
        parameter.requires_grad = any(one in name for one in except_for)


@mutants.wrong("freeze", "shared-frozen")
def one_name_each(model, except_for):
    for name, parameter in model.named_parameters():
        parameter.requires_grad = any(name == one or name.startswith(one + ".") for one in except_for)


@mutants.wrong("freeze", "shared-frozen")
def last_name_wins(model, except_for):
    for name, parameter in model.named_parameters(remove_duplicate=False):
        parameter.requires_grad = any(name == one or name.startswith(one + ".") for one in except_for)


@mutants.wrong("freeze", "modes-changed")
def freezes_and_evals(model, except_for):
    model.eval()
    named = list(model.named_parameters(remove_duplicate=False))
    for _, parameter in named:
        parameter.requires_grad = False
    for name, parameter in named:
        if any(name == one or name.startswith(one + ".") for one in except_for):
            parameter.requires_grad = True


@mutants.wrong("freeze", "values-changed")
def resets_the_head(model, except_for):
    named = list(model.named_parameters(remove_duplicate=False))
    for _, parameter in named:
        parameter.requires_grad = False
    for name, parameter in named:
        if any(name == one or name.startswith(one + ".") for one in except_for):
            parameter.requires_grad = True
            parameter.data.mul_(0.5)


@mutants.wrong("freeze", "layers-changed")
def makes_new_parameters(model, except_for):
    for prefix, module in list(model.named_modules(remove_duplicate=False)):
        for short, parameter in list(module.named_parameters(recurse=False)):
            name = f"{prefix}.{short}".lstrip(".")
            keep = any(name == one or name.startswith(one + ".") for one in except_for)
            parameter.requires_grad = keep
            setattr(module, short, nn.Parameter(parameter.detach().clone(), requires_grad=keep))


@mutants.right("freeze")
def by_identity(model, except_for):
    opened = set()
    for name in except_for:
        owner, _, last = name.rpartition(".")
        thing = getattr(model.get_submodule(owner), last)
        opened |= {id(thing)} if isinstance(thing, torch.Tensor) else {id(p) for p in thing.parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in opened)


@mutants.right("freeze")
def by_words(model, except_for):
    model.requires_grad_(False)
    listed = [tuple(one.split(".")) for one in except_for]
    for name, parameter in model.named_parameters(remove_duplicate=False):
        words = tuple(name.split("."))
        if any(words[: len(one)] == one for one in listed):
            parameter.requires_grad = True
    return model


@mutants.right("freeze")
def by_recursion(model, except_for):
    def walk(module, path):
        for name, parameter in module._parameters.items():
            if parameter is not None and ".".join([*path, name]) in except_for:
                parameter.requires_grad = True
        for name, child in module._modules.items():
            if ".".join([*path, name]) in except_for:
                child.requires_grad_(True)
            else:
                walk(child, [*path, name])

    for parameter in model.parameters():
        parameter.requires_grad = False
    walk(model, [])


# -- trainable_report --------------------------------------------------------------------------------------


@mutants.wrong("trainable_report", "not-a-report")
def prints_only(model):
    print(sum(p.numel() for p in model.parameters()))


@mutants.wrong("trainable_report", "not-a-report")
def returns_tensors(model):
    total = torch.tensor(sum(p.numel() for p in model.parameters()))
    trainable = torch.tensor(sum(p.numel() for p in model.parameters() if p.requires_grad))
    return {"trainable": trainable, "frozen": total - trainable, "total": total}


@mutants.wrong("trainable_report", "not-a-report")
def returns_fractions(model):
    total = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {"trainable": trainable / total, "frozen": 1 - trainable / total, "total": 1.0}


@mutants.wrong("trainable_report", "counted-tensors")
def counts_tensors(model):
    flags = [p.requires_grad for p in model.parameters()]
    return {"trainable": sum(flags), "frozen": len(flags) - sum(flags), "total": len(flags)}


@mutants.wrong("trainable_report", "counted-twice")
def counts_every_name(model):
    named = [p for _, p in model.named_parameters(remove_duplicate=False)]
    trainable = sum(p.numel() for p in named if p.requires_grad)
    total = sum(p.numel() for p in named)
    return {"trainable": trainable, "frozen": total - trainable, "total": total}


@mutants.wrong("trainable_report", "counted-buffers")
def counts_the_state_dict(model):
    total = sum(value.numel() for value in model.state_dict().values())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {"trainable": trainable, "frozen": total - trainable, "total": total}


@mutants.wrong("trainable_report", "wrong-split")
def swapped(model):
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    return {"trainable": total - trainable, "frozen": trainable, "total": total}


@mutants.wrong("trainable_report", "miscounted")
def weights_only(model):
    ps = [p for p in model.parameters() if p.dim() > 1]
    trainable = sum(p.numel() for p in ps if p.requires_grad)
    total = sum(p.numel() for p in ps)
    return {"trainable": trainable, "frozen": total - trainable, "total": total}


@mutants.wrong("trainable_report", "flags-changed")
def freezes_while_counting(model):
    report = {"trainable": 0, "frozen": 0}
    for parameter in model.parameters():
        report["trainable" if parameter.requires_grad else "frozen"] += parameter.numel()
        parameter.requires_grad = False
    return report | {"total": report["trainable"] + report["frozen"]}


@mutants.right("trainable_report")
def one_loop(model):
    from collections import Counter

    counts = Counter(trainable=0, frozen=0)
    for parameter in model.parameters():
        counts["trainable" if parameter.requires_grad else "frozen"] += parameter.nelement()
    counts["total"] = counts["trainable"] + counts["frozen"]
    return counts


@mutants.right("trainable_report")
def by_address(model):
    import math

    seen = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            seen[id(parameter)] = parameter
    trainable = sum(math.prod(p.shape) for p in seen.values() if p.requires_grad)
    frozen = sum(math.prod(p.shape) for p in seen.values() if not p.requires_grad)
    extra = {"share": trainable / max(1, trainable + frozen)}
    return {"total": trainable + frozen, "frozen": frozen, "trainable": trainable, **extra}


# -- train_mode_keep_frozen_bn -------------------------------------------------------------------------------


@mutants.wrong("train_mode_keep_frozen_bn", "bn-statistics-moved")
def plain_train(model):
    model.train()


@mutants.wrong("train_mode_keep_frozen_bn", "bn-statistics-moved")
def train_comes_last(model):
    for module in model.modules():
        if isinstance(module, NORMS) and not any(p.requires_grad for p in module.parameters()):
            module.eval()
    model.train()


@mutants.wrong("train_mode_keep_frozen_bn", "bn-statistics-moved")
def direct_children_only(model):
    model.train()
    for module in model.children():
        if isinstance(module, NORMS) and not any(p.requires_grad for p in module.parameters()):
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "bn-statistics-moved")
def only_2d(model):
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not any(p.requires_grad for p in module.parameters()):
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "bn-batch-statistics")
def momentum_zero(model):
    model.train()
    for module in model.modules():
        if isinstance(module, NORMS) and not any(p.requires_grad for p in module.parameters()):
            module.momentum = 0.0


@mutants.wrong("train_mode_keep_frozen_bn", "settings-changed")
def stops_tracking(model):
    model.train()
    for module in model.modules():
        if isinstance(module, NORMS) and not any(p.requires_grad for p in module.parameters()):
            module.eval()
            module.track_running_stats = False


@mutants.wrong("train_mode_keep_frozen_bn", "not-training")
def everything_eval(model):
    model.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "trainable-bn-stopped")
def every_bn_eval(model):
    model.train()
    for module in model.modules():
        if isinstance(module, NORMS):
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "trainable-bn-stopped")
def weight_alone(model):
    model.train()
    for module in model.modules():
        if isinstance(module, NORMS) and not module.weight.requires_grad:
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "only-batchnorm")
def every_frozen_layer(model):
    model.train()
    for module in model.modules():
        ps = list(module.parameters(recurse=False))
        if ps and not any(p.requires_grad for p in ps):
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "only-batchnorm")
def any_tracking_norm(model):
    model.train()
    for module in model.modules():
        ps = list(module.parameters(recurse=False))
        if hasattr(module, "running_mean") and not any(p.requires_grad for p in ps):
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "not-training")
def never_back_to_train(model):
    if not model.training:
        model.training = True
    for module in model.modules():
        if isinstance(module, NORMS):
            module.training = any(p.requires_grad for p in module.parameters())


@mutants.right("train_mode_keep_frozen_bn")
def through_apply(model):
    def stop(module):
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            module.train(module.weight.requires_grad or module.bias.requires_grad)

    model.train().apply(stop)


@mutants.right("train_mode_keep_frozen_bn")
def sets_each_mode(model):
    for module in model.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        module.training = not is_norm or any(p.requires_grad for p in module.parameters(recurse=False))
    return model


# -- unfreeze_to ---------------------------------------------------------------------------------------------


@mutants.wrong("unfreeze_to", "earlier-trainable")
def only_opens(model, stage):
    found = False
    for name, child in model.named_children():
        found = found or name == stage
        if found:
            child.requires_grad_(True)


@mutants.wrong("unfreeze_to", "later-frozen")
def the_stage_alone(model, stage):
    model.requires_grad_(False)
    model.get_submodule(stage).requires_grad_(True)


@mutants.wrong("unfreeze_to", "later-frozen")
def stage_left_out(model, stage):
    found = False
    for name, child in model.named_children():
        child.requires_grad_(found)
        found = found or name == stage


@mutants.wrong("unfreeze_to", "earlier-trainable")
def the_other_way_round(model, stage):
    found = True
    for name, child in model.named_children():
        child.requires_grad_(found)
        found = found and name != stage


@mutants.wrong("unfreeze_to", "wrong-order")
def alphabetical(model, stage):
    for name, child in model.named_children():
        child.requires_grad_(name >= stage)


@mutants.wrong("unfreeze_to", "another-layer")
def prefix_of_parameter(model, stage):
    found = False
    for name, parameter in model.named_parameters():
        found = found or stage in name
        parameter.requires_grad = found


@mutants.wrong("unfreeze_to", "later-frozen")
def never_freezes_back_open(model, stage):
    found = False
    for name, child in model.named_children():
        found = found or name == stage
        for parameter in child.parameters():
            parameter.requires_grad = found and parameter.requires_grad


@mutants.wrong("unfreeze_to", "modes-changed")
def modes_too(model, stage):
    found = False
    for name, child in model.named_children():
        found = found or name == stage
        child.requires_grad_(found)
        child.train(found)


@mutants.right("unfreeze_to")
def with_an_index(model, stage):
    names = [name for name, _ in model.named_children()]
    for i, child in enumerate(model.children()):
        for parameter in child.parameters():
            parameter.requires_grad = i >= names.index(stage)


@mutants.right("unfreeze_to")
def from_the_back(model, stage):
    model.requires_grad_(False)
    for name, child in reversed(list(model.named_children())):
        child.requires_grad_(True)
        if name == stage:
            break


# -- build_optimizer -----------------------------------------------------------------------------------------


@mutants.wrong("build_optimizer", "frozen-moved")
def takes_everything(model, lr, weight_decay, momentum):
    return torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay, momentum=momentum)


@mutants.wrong("build_optimizer", "not-trained")
def only_the_last_layer(model, lr, weight_decay, momentum):
    *_, last = [m for m in model.modules() if list(m.parameters(recurse=False))]
    return torch.optim.SGD(last.parameters(), lr=lr, weight_decay=weight_decay, momentum=momentum)


@mutants.wrong("build_optimizer", "wrong-step")
def momentum_forgotten(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(ps, lr=lr, weight_decay=weight_decay)


@mutants.wrong("build_optimizer", "wrong-step")
def decay_forgotten(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(ps, lr=lr, momentum=momentum)


@mutants.wrong("build_optimizer", "wrong-step")
def swapped_arguments(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(ps, lr, weight_decay, momentum)


@mutants.wrong("build_optimizer", "wrong-step")
def nesterov(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(ps, lr, momentum, weight_decay=weight_decay, nesterov=momentum > 0)


@mutants.wrong("build_optimizer", "wrong-step")
def no_decay_on_biases(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in ps if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in ps if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=lr, momentum=momentum)


@mutants.wrong("build_optimizer", "not-sgd")
def adam(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(ps, lr=lr, weight_decay=weight_decay, betas=(momentum, 0.999))


@mutants.wrong("build_optimizer", "flags-changed")
def opens_everything(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    model.requires_grad_(True)
    return torch.optim.SGD(ps, lr=lr, weight_decay=weight_decay, momentum=momentum)


@mutants.right("build_optimizer")
def with_filter(model, lr, weight_decay, momentum):
    return torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr, momentum, 0, weight_decay)


@mutants.right("build_optimizer")
def a_group_for_each_layer(model, lr, weight_decay, momentum):
    optimizer, seen = None, set()
    for module in model.modules():
        ps = [p for p in module.parameters(recurse=False) if p.requires_grad and id(p) not in seen]
        seen |= {id(p) for p in ps}
        if ps and optimizer is None:
            optimizer = torch.optim.SGD(ps, lr=lr, weight_decay=weight_decay, momentum=momentum)
        elif ps:
            optimizer.add_param_group({"params": ps})
    return optimizer
