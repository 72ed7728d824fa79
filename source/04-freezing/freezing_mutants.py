"""Wrong and right implementations of lesson 04's exercises: they prove its checks.

Each stands alone with ``torch`` and ``nn``. A wrong one comes with the misconception that its card must name.
"""

import torch
from course.mutants import Mutants
from torch import nn

mutants = Mutants()

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
def innermost_layers_only(model, except_for):
    for module in model.modules():
        if not list(module.children()):
            module.requires_grad_(False)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if any(name == one or name.startswith(one + ".") for one in except_for):
            parameter.requires_grad = True


@mutants.wrong("freeze", "still-trainable")
def remembers_earlier_names(model, except_for):
    opened = model.__dict__.setdefault("opened", set())
    opened.update(except_for)
    model.requires_grad_(False)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if any(name == one or name.startswith(one + ".") for one in opened):
            parameter.requires_grad = True


@mutants.wrong("freeze", "listed-frozen")
def freezes_all(model, except_for):
    for parameter in model.parameters():
        parameter.requires_grad = False


@mutants.wrong("freeze", "listed-frozen")
def freezes_all_and_empties_the_list(model, except_for):
    model.requires_grad_(False)
    if isinstance(except_for, list):
        except_for.clear()


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
def names_of_layers_only(model, except_for):
    model.requires_grad_(False)
    for name, module in model.named_modules(remove_duplicate=False):
        if name in except_for:
            module.requires_grad_(True)


@mutants.wrong("freeze", "look-alike")
def prefix_without_dot(model, except_for):
    model.requires_grad_(False)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name.startswith(tuple(except_for)):
            parameter.requires_grad = True


@mutants.wrong("freeze", "look-alike")
def any_word_of_the_path(model, except_for):
    model.requires_grad_(False)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        covered = any(name == one or name.startswith(one + ".") for one in except_for)
        if covered or set(name.split(".")) & set(except_for):
            parameter.requires_grad = True


@mutants.wrong("freeze", "look-alike")
def dots_match_anything(model, except_for):
    import re

    model.requires_grad_(False)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if any(re.match(rf"{one}(\.|$)", name) for one in except_for):
            parameter.requires_grad = True


@mutants.wrong("freeze", "shared-frozen")
def one_name_each(model, except_for):
    for name, parameter in model.named_parameters():
        parameter.requires_grad = any(
            name == one or name.startswith(one + ".") for one in except_for
        )


@mutants.wrong("freeze", "shared-frozen")
def last_name_wins(model, except_for):
    for name, parameter in model.named_parameters(remove_duplicate=False):
        parameter.requires_grad = any(
            name == one or name.startswith(one + ".") for one in except_for
        )


@mutants.wrong("freeze", "modes-changed")
def freezes_and_evals(model, except_for):
    model.eval()
    model.requires_grad_(False)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if any(name == one or name.startswith(one + ".") for one in except_for):
            parameter.requires_grad = True


@mutants.wrong("freeze", "values-changed")
def clears_the_statistics(model, except_for):
    model.requires_grad_(False)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if any(name == one or name.startswith(one + ".") for one in except_for):
            parameter.requires_grad = True
    for module in model.modules():
        if hasattr(module, "reset_running_stats"):
            module.reset_running_stats()


@mutants.wrong("freeze", "buffer-asks-gradient")
def buffers_too(model, except_for):
    named = list(model.state_dict(keep_vars=True).items())
    for _, tensor in named:
        tensor.requires_grad_(False)
    for name, tensor in named:
        if tensor.is_floating_point() and any(
            name.startswith(one + ".") or name == one for one in except_for
        ):
            tensor.requires_grad_(True)


@mutants.wrong("freeze", "settings-changed")
def stops_the_statistics(model, except_for):
    model.requires_grad_(False)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if any(name == one or name.startswith(one + ".") for one in except_for):
            parameter.requires_grad = True
    for module in model.modules():
        if hasattr(module, "running_mean") and not module.weight.requires_grad:
            module.momentum = 0.0


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
        opened |= (
            {id(thing)} if isinstance(thing, torch.Tensor) else {id(p) for p in thing.parameters()}
        )
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
        for name, parameter in module.named_parameters(recurse=False):
            if ".".join([*path, name]) in except_for:
                parameter.requires_grad = True
        for name, child in module._modules.items():
            if ".".join([*path, name]) in except_for:
                child.requires_grad_(True)
            else:
                walk(child, [*path, name])

    for parameter in model.parameters():
        parameter.requires_grad = False
    walk(model, [])


@mutants.right("freeze")
def uses_up_the_list(model, except_for):
    left = except_for if isinstance(except_for, list) else list(except_for)
    for tensor in model.state_dict(keep_vars=True).values():
        tensor.requires_grad_(False)
    while left:
        name = left.pop()
        try:
            model.get_parameter(name).requires_grad_()
        except AttributeError:
            module = model.get_submodule(name)
            module.requires_grad_()
            module.opened = True  # noted for later


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
def returns_floats(model):
    total = float(sum(p.numel() for p in model.parameters()))
    trainable = float(sum(p.numel() for p in model.parameters() if p.requires_grad))
    return {"trainable": trainable, "frozen": total - trainable, "total": total}


@mutants.wrong("trainable_report", "not-a-report")
def leaves_out_the_total(model):
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {
        "trainable": trainable,
        "frozen": sum(p.numel() for p in model.parameters()) - trainable,
    }


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


@mutants.wrong("trainable_report", "wrong-split")
def asks_for_gradients(model):
    trainable = sum(p.numel() for p in model.parameters() if p.grad is not None)
    total = sum(p.numel() for p in model.parameters())
    return {"trainable": trainable, "frozen": total - trainable, "total": total}


@mutants.wrong("trainable_report", "wrong-split")
def whole_layers(model):
    seen, report = set(), {"trainable": 0, "frozen": 0, "total": 0}
    for module in model.modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(id(p) for p in own)
        report["trainable" if any(p.requires_grad for p in own) else "frozen"] += sum(
            p.numel() for p in own
        )
    return report | {"total": report["trainable"] + report["frozen"]}


@mutants.wrong("trainable_report", "wrong-split")
def remembers_the_model(model):
    cache = remembers_the_model.__dict__
    if id(model) not in cache:
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
        total = sum(p.numel() for p in model.parameters())
        cache[id(model)] = (
            model,
            {"trainable": trainable, "frozen": total - trainable, "total": total},
        )
    return cache[id(model)][1]


@mutants.wrong("trainable_report", "miscounted")
def weights_only(model):
    ps = [p for p in model.parameters() if p.dim() > 1]
    trainable = sum(p.numel() for p in ps if p.requires_grad)
    total = sum(p.numel() for p in ps)
    return {"trainable": trainable, "frozen": total - trainable, "total": total}


@mutants.wrong("trainable_report", "miscounted")
def again_at_every_level(model):
    ps = [p for module in model.modules() for p in module.parameters()]
    trainable = sum(p.numel() for p in ps if p.requires_grad)
    total = sum(p.numel() for p in ps)
    return {"trainable": trainable, "frozen": total - trainable, "total": total}


@mutants.wrong("trainable_report", "miscounted")
def equal_values_count_once(model):
    ps = []
    for p in model.parameters():
        if not any(torch.equal(p, other) for other in ps):
            ps.append(p)
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


@mutants.wrong("trainable_report", "gradients-changed")
def tidies_up(model):
    model.zero_grad()
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    return {"trainable": trainable, "frozen": total - trainable, "total": total}


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


@mutants.right("trainable_report")
def with_a_mask(model):
    sizes = torch.tensor([p.numel() for p in model.parameters()])
    mask = torch.tensor([p.requires_grad for p in model.parameters()])
    return {
        "total": int(sizes.sum()),
        "trainable": sizes[mask].sum().item(),
        "frozen": sizes[~mask].sum().item(),
    }


# -- train_mode_keep_frozen_bn -------------------------------------------------------------------------------


@mutants.wrong("train_mode_keep_frozen_bn", "bn-statistics-moved")
def plain_train(model):
    model.train()


@mutants.wrong("train_mode_keep_frozen_bn", "bn-statistics-moved")
def train_comes_last(model):
    for module in model.modules():
        is_norm = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
        if is_norm and not any(p.requires_grad for p in module.parameters()):
            module.eval()
    model.train()


@mutants.wrong("train_mode_keep_frozen_bn", "bn-statistics-moved")
def direct_children_only(model):
    model.train()
    for module in model.children():
        is_norm = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
        if is_norm and not any(p.requires_grad for p in module.parameters()):
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "bn-statistics-moved")
def only_2d(model):
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not any(
            p.requires_grad for p in module.parameters()
        ):
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "bn-statistics-moved")
def exact_types(model):
    model.train()
    for module in model.modules():
        is_norm = type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        if is_norm and not any(p.requires_grad for p in module.parameters()):
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "bn-statistics-moved")
def asks_the_parent(model):
    model.train()
    for parent in model.modules():
        for module in parent.children():
            is_norm = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
            if is_norm and not any(p.requires_grad for p in parent.parameters()):
                module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "bn-statistics-moved")
def stops_them_later(model):
    def stop(module, inputs):
        module.eval()

    model.train()
    for module in model.modules():
        is_norm = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
        if is_norm and not any(p.requires_grad for p in module.parameters()):
            module.register_forward_pre_hook(stop)


@mutants.wrong("train_mode_keep_frozen_bn", "bn-batch-statistics")
def momentum_zero(model):
    model.train()
    for module in model.modules():
        is_norm = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
        if is_norm and not any(p.requires_grad for p in module.parameters()):
            module.momentum = 0.0


@mutants.wrong("train_mode_keep_frozen_bn", "settings-changed")
def stops_tracking(model):
    model.train()
    for module in model.modules():
        is_norm = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
        if is_norm and not any(p.requires_grad for p in module.parameters()):
            module.eval()
            module.track_running_stats = False


@mutants.wrong("train_mode_keep_frozen_bn", "not-training")
def everything_eval(model):
    model.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "not-training")
def norms_alone(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.train(any(p.requires_grad for p in module.parameters()))


@mutants.wrong("train_mode_keep_frozen_bn", "trainable-bn-stopped")
def every_bn_eval(model):
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "trainable-bn-stopped")
def weight_alone(model):
    model.train()
    for module in model.modules():
        is_norm = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
        if is_norm and not module.weight.requires_grad:
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "trainable-bn-stopped")
def stopped_for_good(model):
    stopped = model.__dict__.setdefault("stopped", set())
    for module in model.modules():
        is_norm = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
        if is_norm and not any(p.requires_grad for p in module.parameters()):
            stopped.add(module)
    model.train()
    for module in stopped:
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


@mutants.wrong("train_mode_keep_frozen_bn", "flags-changed")
def freezes_every_bn(model):
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.requires_grad_(False)
            module.eval()


@mutants.wrong("train_mode_keep_frozen_bn", "values-changed")
def starts_statistics_anew(model):
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            if any(p.requires_grad for p in module.parameters()):
                module.reset_running_stats()
            else:
                module.eval()


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
        module.training = not is_norm or any(
            p.requires_grad for p in module.parameters(recurse=False)
        )
    return model


@mutants.right("train_mode_keep_frozen_bn")
def from_the_top_down(model):
    learnt = {id(p) for p in model.parameters() if p.requires_grad}

    def walk(module):
        module.training = True
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.training = not learnt.isdisjoint(id(p) for p in (module.weight, module.bias))
        for child in module.children():
            walk(child)

    walk(model)


# -- unfreeze_to ---------------------------------------------------------------------------------------------


@mutants.wrong("unfreeze_to", "earlier-trainable")
def only_opens(model, stage):
    found = False
    for name, child in model.named_children():
        found = found or name == stage
        if found:
            child.requires_grad_(True)


@mutants.wrong("unfreeze_to", "earlier-trainable")
def the_other_way_round(model, stage):
    found = True
    for name, child in model.named_children():
        child.requires_grad_(found)
        found = found and name != stage


@mutants.wrong("unfreeze_to", "earlier-trainable")
def one_too_early(model, stage):
    names = [name for name, _ in model.named_children()]
    for i, child in enumerate(model.children(), start=1):
        child.requires_grad_(i >= names.index(stage))


@mutants.wrong("unfreeze_to", "earlier-trainable")
def outermost_parameters_only(model, stage):
    found = False
    for name, child in model.named_children():
        found = found or name == stage
        for parameter in child.parameters(recurse=False):
            parameter.requires_grad = found


@mutants.wrong("unfreeze_to", "earlier-trainable")
def never_back_towards_the_head(model, stage):
    names = [name for name, _ in model.named_children()]
    model.__dict__["first"] = min(model.__dict__.get("first", len(names)), names.index(stage))
    for i, child in enumerate(model.children()):
        child.requires_grad_(i >= model.__dict__["first"])


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


@mutants.wrong("unfreeze_to", "later-frozen")
def only_closes(model, stage):
    for name, child in model.named_children():
        if name == stage:
            break
        child.requires_grad_(False)


@mutants.wrong("unfreeze_to", "later-frozen")
def waits_for_a_parameter(model, stage):
    found = False
    for name, parameter in model.named_parameters():
        found = found or name.split(".")[0] == stage
        parameter.requires_grad = found


@mutants.wrong("unfreeze_to", "later-frozen")
def keeps_norms_frozen(model, stage):
    found = False
    for name, child in model.named_children():
        found = found or name == stage
        child.requires_grad_(found)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.requires_grad_(False)


@mutants.wrong("unfreeze_to", "wrong-order")
def alphabetical(model, stage):
    for name, child in model.named_children():
        child.requires_grad_(name >= stage)


@mutants.wrong("unfreeze_to", "another-layer")
def stage_in_a_name(model, stage):
    found = False
    for name, parameter in model.named_parameters():
        found = found or stage in name
        parameter.requires_grad = found


@mutants.wrong("unfreeze_to", "another-layer")
def begins_like_the_stage(model, stage):
    found = False
    for name, child in model.named_children():
        found = found or name.startswith(stage)
        child.requires_grad_(found)


@mutants.wrong("unfreeze_to", "another-layer")
def stage_begins_like_it(model, stage):
    found = False
    for name, child in model.named_children():
        found = found or stage.startswith(name)
        child.requires_grad_(found)


@mutants.wrong("unfreeze_to", "modes-changed")
def modes_too(model, stage):
    found = False
    for name, child in model.named_children():
        found = found or name == stage
        child.requires_grad_(found)
        child.train(found)


@mutants.wrong("unfreeze_to", "values-changed")
def starts_anew(model, stage):
    found = False
    for name, child in model.named_children():
        found = found or name == stage
        child.requires_grad_(found)
        for module in child.modules():
            if found and hasattr(module, "reset_parameters"):
                module.reset_parameters()


@mutants.wrong("unfreeze_to", "layers-changed")
def wraps_the_frozen(model, stage):
    found = False
    for name, child in list(model.named_children()):
        found = found or name == stage
        child.requires_grad_(found)
        if not found:
            setattr(model, name, nn.Sequential(child))


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


@mutants.right("unfreeze_to")
def by_first_words(model, stage):
    order = list(dict(model.named_children()))
    trainable = set(order[order.index(stage) :])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.partition(".")[0] in trainable)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


@mutants.right("unfreeze_to")
def with_one_iterator(model, stage):
    target, children = getattr(model, stage), iter(model.children())
    for child in children:
        child.requires_grad_(child is target)
        if child is target:
            break
    nn.ModuleList(children).requires_grad_(True)


# -- build_optimizer -----------------------------------------------------------------------------------------


@mutants.wrong("build_optimizer", "frozen-moved")
def takes_everything(model, lr, weight_decay, momentum):
    return torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay, momentum=momentum)


@mutants.wrong("build_optimizer", "frozen-moved")
def clears_frozen_gradients_once(model, lr, weight_decay, momentum):
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.grad = None
    return torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay, momentum=momentum)


@mutants.wrong("build_optimizer", "holds-frozen")
def rate_zero_for_the_frozen(model, lr, weight_decay, momentum):
    groups = [{"params": [p], "lr": lr if p.requires_grad else 0.0} for p in model.parameters()]
    return torch.optim.SGD(groups, weight_decay=weight_decay, momentum=momentum)


@mutants.wrong("build_optimizer", "holds-frozen")
def asks_at_each_step(model, lr, weight_decay, momentum):
    def skip_frozen(optimizer, args, kwargs):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if not parameter.requires_grad:
                    parameter.grad = None

    optimizer = torch.optim.SGD(
        model.parameters(), lr=lr, weight_decay=weight_decay, momentum=momentum
    )
    optimizer.register_step_pre_hook(skip_frozen)
    return optimizer


@mutants.wrong("build_optimizer", "held-twice")
def every_name(model, lr, weight_decay, momentum):
    ps = [p for _, p in model.named_parameters(remove_duplicate=False) if p.requires_grad]
    return torch.optim.SGD(ps, lr=lr, weight_decay=weight_decay, momentum=momentum)


@mutants.wrong("build_optimizer", "not-trained")
def only_the_last_layer(model, lr, weight_decay, momentum):
    *_, last = [m for m in model.modules() if list(m.parameters(recurse=False))]
    return torch.optim.SGD(last.parameters(), lr=lr, weight_decay=weight_decay, momentum=momentum)


@mutants.wrong("build_optimizer", "not-trained")
def over_a_copy(model, lr, weight_decay, momentum):
    import copy

    ps = [p for p in copy.deepcopy(model).parameters() if p.requires_grad]
    return torch.optim.SGD(ps, lr=lr, weight_decay=weight_decay, momentum=momentum)


@mutants.wrong("build_optimizer", "wrong-step")
def momentum_forgotten(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(ps, lr=lr, weight_decay=weight_decay)


@mutants.wrong("build_optimizer", "wrong-step")
def swapped_arguments(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(ps, lr, weight_decay, momentum)


@mutants.wrong("build_optimizer", "wrong-step")
def momentum_into_dampening(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(ps, lr, momentum, momentum, weight_decay)


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


@mutants.wrong("build_optimizer", "wrong-step")
def a_faster_head(model, lr, weight_decay, momentum):
    *_, head = model.children()
    ps = {id(p) for p in head.parameters()}
    groups = [
        {"params": [p], "lr": 10 * lr if id(p) in ps else lr}
        for p in model.parameters()
        if p.requires_grad
    ]
    return torch.optim.SGD(groups, weight_decay=weight_decay, momentum=momentum)


@mutants.wrong("build_optimizer", "wrong-step")
def remembers_the_first(model, lr, weight_decay, momentum):
    if "optimizer" not in model.__dict__:
        ps = [p for p in model.parameters() if p.requires_grad]
        model.__dict__["optimizer"] = torch.optim.SGD(
            ps, lr=lr, weight_decay=weight_decay, momentum=momentum
        )
    return model.__dict__["optimizer"]


@mutants.wrong("build_optimizer", "not-sgd")
def adam(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(ps, lr=lr, weight_decay=weight_decay, betas=(momentum, 0.999))


@mutants.wrong("build_optimizer", "flags-changed")
def opens_everything(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    model.requires_grad_(True)
    return torch.optim.SGD(ps, lr=lr, weight_decay=weight_decay, momentum=momentum)


@mutants.wrong("build_optimizer", "gradients-changed")
def starts_without_gradients(model, lr, weight_decay, momentum):
    ps = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(ps, lr=lr, weight_decay=weight_decay, momentum=momentum)
    optimizer.zero_grad()
    return optimizer


@mutants.right("build_optimizer")
def with_filter(model, lr, weight_decay, momentum):
    return torch.optim.SGD(
        filter(lambda p: p.requires_grad, model.parameters()), lr, momentum, 0, weight_decay
    )


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


@mutants.right("build_optimizer")
def many_at_once(model, lr, weight_decay, momentum):
    named = {
        p: name for name, p in model.named_parameters(remove_duplicate=False) if p.requires_grad
    }
    return torch.optim.SGD(
        list(named), lr=lr, weight_decay=weight_decay, momentum=momentum, foreach=True
    )


@mutants.right("build_optimizer")
def settings_afterwards(model, lr, weight_decay, momentum):
    class Plain(torch.optim.SGD):
        pass

    optimizer = Plain([p for p in model.parameters() if p.requires_grad])
    optimizer.param_groups[0].update(lr=lr, weight_decay=weight_decay, momentum=momentum)
    return optimizer
