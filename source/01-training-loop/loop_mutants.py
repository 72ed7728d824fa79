"""Wrong and right implementations of lesson 01's exercises: they prove its checks.

Each stands alone with what the lesson imports (``torch``, ``nn``, ``F``). A wrong one comes with the misconception that
its card must name.
"""

# ruff: noqa: B905, RET503
# Written as learners write: they zip without `strict`, and leave a function by its end.

import torch
from course.mutants import Mutants
from torch import nn
from torch.nn import functional as F

mutants = Mutants()

# -- cross_entropy ---------------------------------------------------------------------------------------


@mutants.wrong("cross_entropy", "softmax-first")
def softmax_before_the_loss(logits, targets):
    return F.cross_entropy(logits.softmax(dim=1), targets)


@mutants.wrong("cross_entropy", "softmax-first")
def softmax_twice_by_hand(logits, targets):
    p = torch.softmax(logits, dim=1)
    return (torch.logsumexp(p, dim=1) - p[torch.arange(len(p)), targets]).mean()


@mutants.wrong("cross_entropy", "overflow")
def without_log_sum_exp(logits, targets):
    p = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    return -p[torch.arange(len(p)), targets].log().mean()


@mutants.wrong("cross_entropy", "overflow")
def log_of_the_sum_of_exp(logits, targets):
    target = logits.gather(1, targets[:, None]).squeeze(1)
    return (logits.exp().sum(dim=1).log() - target).mean()


@mutants.wrong("cross_entropy", "overflow")
def log_of_a_good_softmax(logits, targets):
    p = logits.softmax(dim=1)
    return -torch.log(p[torch.arange(len(p)), targets]).mean()


@mutants.wrong("cross_entropy", "batch-maximum")
def maximum_of_the_batch(logits, targets):
    z = logits - logits.max()
    return (z.exp().sum(dim=1).log() - z[torch.arange(len(z)), targets]).mean()


@mutants.wrong("cross_entropy", "batch-maximum")
def mean_of_the_batch(logits, targets):
    z = logits - logits.mean()
    return (z.exp().sum(dim=1).log() - z[torch.arange(len(z)), targets]).mean()


@mutants.wrong("cross_entropy", "wrong-loss")
def maximum_of_each_class(logits, targets):
    z = logits - logits.max(dim=0).values
    return (z.exp().sum(dim=1).log() - z[torch.arange(len(z)), targets]).mean()


@mutants.wrong("cross_entropy", "overflow")
def mean_of_the_row(logits, targets):
    z = logits - logits.mean(dim=1, keepdim=True)
    return (z.exp().sum(dim=1).log() - z[torch.arange(len(z)), targets]).mean()


@mutants.wrong("cross_entropy", "not-exact")
def a_little_added(logits, targets):
    p = logits.softmax(dim=1)
    return -torch.log(p[torch.arange(len(p)), targets] + 1e-9).mean()


@mutants.wrong("cross_entropy", "not-exact")
def clamped_probabilities(logits, targets):
    p = logits.softmax(dim=1).clamp(1e-12, 1.0)
    return -p.gather(1, targets.unsqueeze(1)).log().mean()


@mutants.wrong("cross_entropy", "not-exact")
def clamped_logits(logits, targets):
    return F.cross_entropy(logits.clamp(-80, 80), targets)


@mutants.wrong("cross_entropy", "not-exact")
def in_single_precision(logits, targets):
    return F.cross_entropy(logits.float(), targets).to(logits.dtype)


@mutants.wrong("cross_entropy", "not-exact")
def infinities_replaced(logits, targets):
    p = logits.softmax(dim=1)
    return -torch.nan_to_num(p.log(), neginf=-100.0)[torch.arange(len(p)), targets].mean()


@mutants.wrong("cross_entropy", "summed")
def sum_over_the_rows(logits, targets):
    return F.cross_entropy(logits, targets, reduction="sum")


@mutants.wrong("cross_entropy", "entries-averaged")
def mean_over_all_entries(logits, targets):
    hot = F.one_hot(targets, logits.shape[1])
    return -(hot * logits.log_softmax(dim=1)).mean()


@mutants.wrong("cross_entropy", "wrong-axis")
def softmax_over_the_rows(logits, targets):
    return F.nll_loss(logits.log_softmax(dim=0), targets)


@mutants.wrong("cross_entropy", "no-log")
def probability_without_log(logits, targets):
    return F.nll_loss(logits.softmax(dim=1), targets)


@mutants.wrong("cross_entropy", "not-negated")
def sign_forgotten(logits, targets):
    return logits.log_softmax(dim=1)[torch.arange(len(logits)), targets].mean()


@mutants.wrong("cross_entropy", "wrong-base")
def in_bits(logits, targets):
    z = logits - logits.max(dim=1, keepdim=True).values
    log_p = (
        z / torch.log(torch.tensor(2.0, dtype=z.dtype)) - z.exp().sum(dim=1, keepdim=True).log2()
    )
    return -log_p[torch.arange(len(z)), targets].mean()


@mutants.wrong("cross_entropy", "wrong-loss")
def all_targets_for_all_rows(logits, targets):
    return -logits.log_softmax(dim=1)[:, targets].mean()


@mutants.wrong("cross_entropy", "wrong-loss")
def smoothed(logits, targets):
    return F.cross_entropy(logits, targets, label_smoothing=0.1)


@mutants.wrong("cross_entropy", "not-a-scalar")
def one_loss_for_each_row(logits, targets):
    return F.cross_entropy(logits, targets, reduction="none")


@mutants.wrong("cross_entropy", "not-a-scalar")
def a_python_number(logits, targets):
    return F.cross_entropy(logits, targets).item()


@mutants.wrong("cross_entropy", "not-a-scalar")
def one_dimension_left(logits, targets):
    return F.cross_entropy(logits, targets).reshape(1)


@mutants.wrong("cross_entropy", "no-gradient")
def a_new_tensor(logits, targets):
    return torch.tensor(F.cross_entropy(logits, targets).item(), dtype=logits.dtype)


@mutants.wrong("cross_entropy", "no-gradient")
def detached(logits, targets):
    return F.cross_entropy(logits.detach(), targets)


@mutants.wrong("cross_entropy", "no-gradient")
def a_leaf_of_its_own(logits, targets):
    return F.cross_entropy(logits.detach().requires_grad_(), targets)


@mutants.wrong("cross_entropy", "wrong-gradient")
def normaliser_detached(logits, targets):
    target = logits[torch.arange(len(logits)), targets]
    m = logits.max(dim=1, keepdim=True).values
    normaliser = ((logits - m).exp().sum(dim=1).log() + m.squeeze(1)).detach()
    return (normaliser - target).mean()


@mutants.wrong("cross_entropy", "wrong-gradient")
def maximum_detached_once(logits, targets):
    m = logits.max(dim=1, keepdim=True).values
    log_sum = (logits - m).exp().sum(dim=1).log() + m.squeeze(1).detach()
    return (log_sum - logits[torch.arange(len(logits)), targets]).mean()


@mutants.wrong("cross_entropy", "wrong-dtype")
def always_double(logits, targets):
    return F.cross_entropy(logits.double(), targets)


@mutants.wrong("cross_entropy", "inputs-changed")
def subtracts_in_place(logits, targets):
    logits -= logits.max(dim=1, keepdim=True).values
    return F.nll_loss(logits.log_softmax(dim=1), targets)


@mutants.right("cross_entropy")
def librarys_own(logits, targets):
    return F.cross_entropy(logits, targets)


@mutants.right("cross_entropy")
def by_logsumexp(logits, targets):
    return (torch.logsumexp(logits, dim=1) - logits.gather(1, targets[:, None]).squeeze(1)).mean()


@mutants.right("cross_entropy")
def a_loop_over_rows(logits, targets):
    total = 0
    for row, target in zip(logits, targets):
        z = row - row.max().detach()
        total = total + torch.log(torch.exp(z).sum()) - z[target]
    return total / len(targets)


@mutants.right("cross_entropy")
def with_one_hot(logits, targets):
    hot = torch.zeros_like(logits).scatter_(1, targets.view(-1, 1), 1)
    log_p = torch.log_softmax(logits, -1)
    return -(log_p * hot).sum() / logits.size(0)


@mutants.right("cross_entropy")
def from_the_module(logits, targets):
    return nn.NLLLoss()(nn.LogSoftmax(dim=1)(logits), targets)


@mutants.right("cross_entropy")
def log_softmax_before_the_loss(logits, targets):
    return nn.CrossEntropyLoss()(F.log_softmax(logits, dim=1), targets)


@mutants.right("cross_entropy")
def by_logaddexp(logits, targets):
    total = logits[:, 0]
    for k in range(1, logits.shape[1]):
        total = torch.logaddexp(total, logits[:, k])
    return torch.mean(total - logits[range(len(logits)), targets.tolist()])


@mutants.right("cross_entropy")
def with_a_mask(logits, targets):
    classes = torch.arange(logits.shape[1])
    m, _ = torch.max(logits, 1, keepdim=True)
    z = logits - m
    return torch.log(z.exp().sum(1)).mean() - z[classes[None] == targets[:, None]].mean()


# -- gradient_check --------------------------------------------------------------------------------------


@mutants.wrong("gradient_check", "one-sided")
def forward_difference(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().clone().reshape(-1), 1e-6, 0.0
    base = f(flat.view(x.shape)).item()
    for i in range(flat.numel()):
        there = flat.clone()
        there[i] += h
        n = (f(there.view(x.shape)).item() - base) / h
        worst = max(worst, abs(n - g.reshape(-1)[i].item()))
    return worst


@mutants.wrong("gradient_check", "one-sided")
def forward_difference_with_a_tiny_step(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().clone().reshape(-1), 1e-8, 0.0
    base = f(flat.view(x.shape)).item()
    for i in range(flat.numel()):
        there = flat.clone()
        there[i] += h
        n = (f(there.view(x.shape)).item() - base) / h
        worst = max(worst, abs(n - g.reshape(-1)[i].item()))
    return worst


@mutants.wrong("gradient_check", "step-size")
def too_large_a_step(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().clone().reshape(-1), 0.01, 0.0
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        worst = max(worst, abs(n - g.reshape(-1)[i].item()))
    return worst


@mutants.wrong("gradient_check", "step-size")
def too_small_a_step(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().clone().reshape(-1), 1e-12, 0.0
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        worst = max(worst, abs(n - g.reshape(-1)[i].item()))
    return worst


@mutants.wrong("gradient_check", "step-size")
def a_step_of_one_billionth(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().clone().reshape(-1), 1e-9, 0.0
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        worst = max(worst, abs(n - g.reshape(-1)[i].item()))
    return worst


@mutants.wrong("gradient_check", "step-size")
def single_precision_difference(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().float().reshape(-1), 1e-3, 0.0
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        worst = max(worst, abs(n - g.reshape(-1)[i].item()))
    return worst


@mutants.wrong("gradient_check", "numeric-wrong")
def divided_by_one_step(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().clone().reshape(-1), 1e-5, 0.0
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / h
        worst = max(worst, abs(n - g.reshape(-1)[i].item()))
    return worst


@mutants.wrong("gradient_check", "numeric-wrong")
def all_entries_at_once(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    h = 1e-5
    n = (f(x.detach() + h) - f(x.detach() - h)) / (2 * h)
    return (g - n).abs().max().item()


@mutants.wrong("gradient_check", "not-put-back")
def entries_stay_moved(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().clone().reshape(-1), 1e-4, 0.0
    for i in range(flat.numel()):
        flat[i] += h
        up = f(flat.view(x.shape)).item()
        flat[i] -= 2 * h
        down = f(flat.view(x.shape)).item()
        worst = max(worst, abs((up - down) / (2 * h) - g.reshape(-1)[i].item()))
    return worst


@mutants.wrong("gradient_check", "entries-missed")
def the_first_row_only(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().clone().reshape(-1), 1e-5, 0.0
    for i in range(len(x) if x.dim() else 1):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        worst = max(worst, abs(n - g.reshape(-1)[i].item()))
    return worst


@mutants.wrong("gradient_check", "entries-missed")
def all_but_the_last(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().clone().reshape(-1), 1e-5, 0.0
    for i in range(max(1, flat.numel() - 1)):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        worst = max(worst, abs(n - g.reshape(-1)[i].item()))
    return worst


@mutants.wrong("gradient_check", "entries-missed")
def never_asks_autograd(f, x):
    return 0.0


@mutants.wrong("gradient_check", "sign-lost")
def no_absolute_value(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, differences = x.detach().clone().reshape(-1), 1e-5, []
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        differences.append(g.reshape(-1)[i].item() - n)
    return max(max(differences), 0.0)


@mutants.wrong("gradient_check", "sign-lost")
def absolute_value_of_the_largest(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, differences = x.detach().clone().reshape(-1), 1e-5, []
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        differences.append(n - g.reshape(-1)[i].item())
    return abs(min(differences))


@mutants.wrong("gradient_check", "not-the-largest")
def mean_difference(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, differences = x.detach().clone().reshape(-1), 1e-5, []
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        differences.append(abs(n - g.reshape(-1)[i].item()))
    return sum(differences) / len(differences)


@mutants.wrong("gradient_check", "not-the-largest")
def length_of_the_difference(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, squares = x.detach().clone().reshape(-1), 1e-5, 0.0
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        squares += (n - g.reshape(-1)[i].item()) ** 2
    return squares**0.5


@mutants.wrong("gradient_check", "rounded-away")
def small_ones_do_not_count(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().clone().reshape(-1), 1e-5, 0.0
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        worst = max(worst, abs(n - g.reshape(-1)[i].item()))
    return worst if worst > 1e-3 else 0.0


@mutants.wrong("gradient_check", "relative")
def relative_difference(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().clone().reshape(-1), 1e-5, 0.0
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        a = g.reshape(-1)[i].item()
        worst = max(worst, abs(n - a) / (abs(n) + abs(a) + 1e-12))
    return worst


@mutants.wrong("gradient_check", "not-a-float")
def gives_a_tensor(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    n, h = torch.zeros_like(g).reshape(-1), 1e-5
    flat = x.detach().clone().reshape(-1)
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n[i] = (f(up.view(x.shape)).detach() - f(down.view(x.shape)).detach()) / (2 * h)
    return (g.reshape(-1) - n).abs().max()


@mutants.wrong("gradient_check", "not-a-float")
def librarys_verdict(f, x):
    return torch.autograd.gradcheck(f, x.detach().clone().requires_grad_(), raise_exception=False)


@mutants.wrong("gradient_check", "x-changed")
def moves_x_itself(f, x):
    own = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(own), own)
    flat, h, worst = x.detach().view(-1), 1e-5, 0.0
    for i in range(flat.numel()):
        flat[i] += h
        up = f(flat.view(x.shape)).item()
        flat[i] -= 2 * h
        down = f(flat.view(x.shape)).item()
        flat[i] += h
        worst = max(worst, abs((up - down) / (2 * h) - g.reshape(-1)[i].item()))
    return worst


@mutants.wrong("gradient_check", "x-changed")
def asks_gradients_of_x_itself(f, x):
    x.requires_grad_()
    x.grad = None
    f(x).backward()
    g, h, worst = x.grad.reshape(-1), 1e-5, 0.0
    flat = x.detach().clone().reshape(-1)
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        worst = max(worst, abs(n - g[i].item()))
    return worst


@mutants.wrong("gradient_check", "x-changed")
def backward_into_x(f, x):
    asked = x.requires_grad
    f(x.requires_grad_()).backward()
    g, h, worst = x.grad.clone().reshape(-1), 1e-5, 0.0
    x.grad = None
    x.requires_grad_(asked)
    flat = x.detach().clone().reshape(-1)
    for i in range(flat.numel()):
        up, down = flat.clone(), flat.clone()
        up[i] += h
        down[i] -= h
        n = (f(up.view(x.shape)).item() - f(down.view(x.shape)).item()) / (2 * h)
        worst = max(worst, abs(n - g[i].item()))
    return worst


@mutants.right("gradient_check")
def restores_each_entry(f, x):
    own = x.detach().clone().requires_grad_(True)
    f(own).backward()
    moved, h, worst = x.detach().clone().contiguous(), 1e-5, 0.0
    flat = moved.view(-1)
    with torch.no_grad():
        for i in range(flat.numel()):
            value = flat[i].item()
            flat[i] = value + h
            up = f(moved)
            flat[i] = value - h
            down = f(moved)
            flat[i] = value
            worst = max(worst, float(abs((up - down) / (2 * h) - own.grad.view(-1)[i])))
    return worst


@mutants.right("gradient_check")
def one_direction_at_a_time(f, x):
    own = x.clone().detach().requires_grad_()
    gradient = torch.autograd.grad(f(own), own)[0].flatten()
    directions = torch.eye(x.numel(), dtype=x.dtype)
    h = 1e-6
    quotients = [
        ((f(x.detach() + h * d.view_as(x)) - f(x.detach() - h * d.view_as(x))) / (2 * h)).item()
        for d in directions
    ]
    return (gradient - torch.tensor(quotients, dtype=x.dtype)).abs().max().item()


@mutants.right("gradient_check")
def functional_gradient(f, x):
    gradient = torch.func.grad(f)(x.detach())
    numeric, h = torch.zeros_like(gradient), 1e-4
    import itertools

    for place in itertools.product(*map(range, x.shape)):
        step = torch.zeros_like(gradient)
        step[place] = h
        numeric[place] = (f(x.detach() + step) - f(x.detach() - step)).detach() / (2 * h)
    return float((gradient - numeric).abs().max())


@mutants.right("gradient_check")
def with_numpy(f, x):
    import numpy as np

    own = x.detach().clone().requires_grad_()
    f(own).backward()
    start, gradient = x.detach().numpy().copy(), own.grad.numpy()
    differences = []
    for place in np.ndindex(*start.shape):
        up, down = start.copy(), start.copy()
        up[place] += 1e-5
        down[place] -= 1e-5
        n = (f(torch.from_numpy(up)).item() - f(torch.from_numpy(down)).item()) / (up - down)[place]
        differences.append(abs(n - gradient[place]))
    return np.max(differences)


@mutants.right("gradient_check")
def with_a_large_step(f, x):
    own = x.detach().clone().requires_grad_()
    f(own).backward()
    flat, worst = x.detach().reshape(-1).tolist(), 0.0

    def at(values):
        return f(torch.tensor(values, dtype=torch.float64).reshape(x.shape)).item()

    for i, slope in enumerate(own.grad.reshape(-1).tolist()):
        up, down = flat[:], flat[:]
        up[i] += 1e-3
        down[i] -= 1e-3
        worst = max(worst, abs((at(up) - at(down)) / 2e-3 - slope))
    return worst


@mutants.right("gradient_check")
def with_a_small_step(f, x):
    own = x.detach().clone().requires_grad_()
    f(own).backward()
    flat, worst = x.detach().reshape(-1).tolist(), 0.0

    def at(values):
        return f(torch.tensor(values, dtype=torch.float64).reshape(x.shape)).item()

    for i, slope in enumerate(own.grad.reshape(-1).tolist()):
        up, down = flat[:], flat[:]
        up[i] += 1e-7
        down[i] -= 1e-7
        worst = max(worst, abs((at(up) - at(down)) / 2e-7 - slope))
    return worst


@mutants.right("gradient_check")
def on_x_and_put_back(f, x):
    asked, old = x.requires_grad, x.grad
    (g,) = torch.autograd.grad(f(x.requires_grad_()), x)
    x.requires_grad_(asked)
    x.grad = old
    worst = 0.0
    flat = x.data.view(-1)
    for i in range(flat.numel()):
        value = flat[i].item()
        flat[i] = value + 1e-6
        up = f(x).item()
        flat[i] = value - 1e-6
        down = f(x).item()
        flat[i] = value
        worst = max(worst, abs((up - down) / 2e-6 - g.view(-1)[i].item()))
    return worst


# -- sgd_step --------------------------------------------------------------------------------------------


@mutants.wrong("sgd_step", "update-recorded")
def in_place_with_gradients_on(params, lr, momentum, buffers):
    for i, p in enumerate(params):
        if p.grad is not None:
            buffers[i] = momentum * buffers[i] + p.grad
            p -= lr * buffers[i]


@mutants.wrong("sgd_step", "update-recorded")
def a_new_tensor_in_the_list(params, lr, momentum, buffers):
    for i, p in enumerate(params):
        if p.grad is not None:
            buffers[i] = momentum * buffers[i] + p.grad
            params[i] = p - lr * buffers[i]


@mutants.wrong("sgd_step", "update-recorded")
def leaves_requires_grad_off(params, lr, momentum, buffers):
    for p, v in zip(params, buffers):
        if p.grad is not None:
            p.requires_grad_(False)
            v.mul_(momentum).add_(p.grad)
            p -= lr * v


@mutants.wrong("sgd_step", "replaced")
def a_new_leaf_in_the_list(params, lr, momentum, buffers):
    for i, p in enumerate(params):
        if p.grad is not None:
            buffers[i] = momentum * buffers[i] + p.grad
            new = (p - lr * buffers[i]).detach().requires_grad_()
            new.grad = p.grad
            params[i] = new


@mutants.wrong("sgd_step", "not-moved")
def a_new_tensor_under_the_name(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.mul_(momentum).add_(p.grad)
                p = p - lr * v


@mutants.wrong("sgd_step", "not-moved")
def moves_a_clone(params, lr, momentum, buffers):
    for p, v in zip(params, buffers):
        if p.grad is not None:
            v.mul_(momentum).add_(p.grad)
            p.detach().clone().sub_(lr * v)


@mutants.wrong("sgd_step", "gradient-as-velocity")
def begins_with_the_gradient_itself(params, lr, momentum, buffers):
    with torch.no_grad():
        for i, p in enumerate(params):
            if p.grad is None:
                continue
            if buffers[i].any():
                buffers[i].mul_(momentum).add_(p.grad)
            else:
                buffers[i] = p.grad
            p -= lr * buffers[i]


@mutants.wrong("sgd_step", "velocity-lost")
def velocity_in_a_name(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v = momentum * v + p.grad
                p -= lr * v


@mutants.wrong("sgd_step", "velocity-lost")
def no_momentum_at_all(params, lr, momentum, buffers):
    with torch.no_grad():
        for p in params:
            if p.grad is not None:
                p -= lr * p.grad


@mutants.wrong("sgd_step", "uphill")
def goes_uphill(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.mul_(momentum).add_(p.grad)
                p += lr * v


@mutants.wrong("sgd_step", "rate-in-velocity")
def rate_inside(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.mul_(momentum).add_(p.grad, alpha=lr)
                p -= v


@mutants.wrong("sgd_step", "rate-in-velocity")
def velocity_points_downhill(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.mul_(momentum).sub_(lr * p.grad)
                p += v


@mutants.wrong("sgd_step", "velocity-lost")
def keeps_none_without_momentum(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is None:
                continue
            if momentum:
                v.mul_(momentum).add_(p.grad)
                p -= lr * v
            else:
                p -= lr * p.grad


@mutants.wrong("sgd_step", "averaged")
def running_mean_of_gradients(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.mul_(momentum).add_((1 - momentum) * p.grad)
                p -= lr * v


@mutants.wrong("sgd_step", "old-velocity")
def moves_first(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                p -= lr * (v if momentum else p.grad)
                v.mul_(momentum).add_(p.grad)


@mutants.wrong("sgd_step", "nesterov")
def looks_ahead(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.mul_(momentum).add_(p.grad)
                p -= lr * (p.grad + momentum * v)


@mutants.wrong("sgd_step", "wrong-move")
def rate_forgotten(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.mul_(momentum).add_(p.grad)
                p -= v


@mutants.wrong("sgd_step", "wrong-move")
def decays_weights_too(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.mul_(momentum).add_(p.grad)
                p.mul_(1 - lr * 1e-2).sub_(lr * v)


@mutants.wrong("sgd_step", "wrong-velocity")
def one_velocity_for_all(params, lr, momentum, buffers):
    size = torch.stack(
        [p.grad.norm() for p in params if p.grad is not None] or [torch.zeros(())]
    ).mean()
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.mul_(momentum).add_(p.grad / size)
                p -= lr * v


@mutants.wrong("sgd_step", "none-not-skipped")
def never_looks_for_none(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            v.mul_(momentum).add_(p.grad)
            p -= lr * v


@mutants.wrong("sgd_step", "none-not-skipped")
def none_counts_as_zero(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            v.mul_(momentum)
            if p.grad is not None:
                v.add_(p.grad)
            p -= lr * v


@mutants.wrong("sgd_step", "none-not-skipped")
def stops_at_none(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is None:
                v.zero_()
                continue
            v.mul_(momentum).add_(p.grad)
            p -= lr * v


@mutants.wrong("sgd_step", "buffers-shifted")
def filters_one_list(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip([p for p in params if p.grad is not None], buffers):
            if p.shape != v.shape:
                continue
            v.mul_(momentum).add_(p.grad)
            p -= lr * v


@mutants.wrong("sgd_step", "stopped-at-none")
def breaks_at_none(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is None:
                break
            v.mul_(momentum).add_(p.grad)
            p -= lr * v


@mutants.wrong("sgd_step", "zero-skipped")
def zero_counts_as_none(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is None or not p.grad.any():
                continue
            v.mul_(momentum).add_(p.grad)
            p -= lr * v


@mutants.wrong("sgd_step", "gradient-changed")
def clears_afterwards(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.mul_(momentum).add_(p.grad)
                p -= lr * v
                p.grad = None


@mutants.wrong("sgd_step", "gradient-changed")
def zeroes_afterwards(params, lr, momentum, buffers):
    with torch.no_grad():
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.mul_(momentum).add_(p.grad)
                p -= lr * v
                p.grad.zero_()


@mutants.wrong("sgd_step", "gradient-changed")
def velocity_in_the_gradient(params, lr, momentum, buffers):
    for i, p in enumerate(params):
        if p.grad is not None:
            p.grad.add_(momentum * buffers[i])
            buffers[i] = p.grad.clone()
            p.data.sub_(lr * p.grad)


@mutants.right("sgd_step")
def by_way_of_data(params, lr, momentum, buffers):
    for i in range(len(params)):
        if params[i].grad is None:
            continue
        buffers[i] = momentum * buffers[i] + params[i].grad
        params[i].data = params[i].data - lr * buffers[i]


@mutants.right("sgd_step")
def many_at_once(params, lr, momentum, buffers):
    pairs = [(p, v) for p, v in zip(params, buffers) if p.grad is not None]
    if not pairs:
        return
    ps, vs = map(list, zip(*pairs))
    with torch.no_grad():
        torch._foreach_mul_(vs, momentum)
        torch._foreach_add_(vs, [p.grad for p in ps])
        torch._foreach_add_(ps, vs, alpha=-lr)


@mutants.right("sgd_step")
def through_detach(params, lr, momentum, buffers):
    for p, v in zip(params, buffers, strict=True):
        if p.grad is not None:
            v.copy_(momentum * v + p.grad)
            p.detach().add_(v, alpha=-lr)
    return params


@mutants.right("sgd_step")
def copies_back(params, lr, momentum, buffers):
    @torch.no_grad()
    def move(i, p):
        buffers[i] = buffers[i].mul(momentum) + p.grad
        p.copy_(p - lr * buffers[i])

    for i, p in enumerate(params):
        if p.grad is not None:
            move(i, p)


@mutants.right("sgd_step")
def gradients_off_and_on(params, lr, momentum, buffers):
    for p, v in zip(params, buffers):
        if p.grad is None:
            continue
        v *= momentum
        v += p.grad
        p.requires_grad_(False)
        p -= lr * v
        p.requires_grad_(True)


@mutants.right("sgd_step")
def with_the_librarys(params, lr, momentum, buffers):
    optimizer = torch.optim.SGD(params, lr=lr, momentum=momentum)
    if momentum:
        for p, v in zip(params, buffers):
            optimizer.state[p]["momentum_buffer"] = v
    else:
        for p, v in zip(params, buffers):
            if p.grad is not None:
                v.copy_(p.grad)
    optimizer.step()


# -- train_epoch -----------------------------------------------------------------------------------------


@mutants.wrong("train_epoch", "gradients-kept")
def never_clears(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "gradients-kept")
def clears_once(model, loader, optimizer, loss_fn):
    model.train()
    optimizer.zero_grad()
    total, count = 0.0, 0
    for inputs, targets in loader:
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "gradients-kept")
def clears_after_the_step(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "nothing-learnt")
def clears_before_the_step(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "nothing-learnt")
def never_steps(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "nothing-learnt")
def steps_before_backward(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        loss = loss_fn(model(inputs), targets)
        optimizer.zero_grad()
        optimizer.step()
        loss.backward()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "one-step")
def one_step_for_all(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    optimizer.zero_grad()
    for inputs, targets in loader:
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        total += loss.item() * len(inputs)
        count += len(inputs)
    optimizer.step()
    return total / count


@mutants.wrong("train_epoch", "one-step")
def steps_behind_the_loop(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        total += loss.item() * len(inputs)
        count += len(inputs)
    loss.backward()
    optimizer.step()
    return total / count


@mutants.wrong("train_epoch", "loss-ignored")
def a_loss_of_its_own(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        outputs = model(inputs)
        if targets.is_floating_point():
            targets = targets.argmax(dim=1)
        loss = F.cross_entropy(outputs, targets) * 1.5
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "softmax-first")
def softmax_in_the_loop(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs).softmax(dim=1), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "arguments-swapped")
def targets_first(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(targets, model(inputs))
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "batch-skipped")
def returns_in_the_loop(model, loader, optimizer, loss_fn):
    model.train()
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss.item()


@mutants.wrong("train_epoch", "batch-skipped")
def drops_the_short_batch(model, loader, optimizer, loss_fn):
    model.train()
    total, count, size = 0.0, 0, None
    for inputs, targets in loader:
        size = size or len(inputs)
        if len(inputs) < size:
            continue
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "wrong-steps")
def divides_by_the_batch_again(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets) / len(inputs)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs) ** 2
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "wrong-steps")
def an_optimizer_of_its_own(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    own = torch.optim.SGD(model.parameters(), lr=0.1)
    for inputs, targets in loader:
        own.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        own.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "wrong-steps")
def clips_too(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "wrong-steps")
def steps_twice(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "batch-means")
def mean_of_batch_losses(model, loader, optimizer, loss_fn):
    model.train()
    losses = []
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@mutants.wrong("train_epoch", "batch-means")
def every_batch_as_large_as_the_first(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * loader.batch_size
        count += loader.batch_size
    return total / count


@mutants.wrong("train_epoch", "losses-summed")
def sum_of_batch_losses(model, loader, optimizer, loss_fn):
    model.train()
    total = 0.0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total


@mutants.wrong("train_epoch", "losses-summed")
def means_over_examples(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item()
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "last-loss")
def loss_of_the_last_batch(model, loader, optimizer, loss_fn):
    model.train()
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
    return loss.item()


@mutants.wrong("train_epoch", "wrong-mean-loss")
def loss_after_the_step(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss_fn(model(inputs), targets).backward()
        optimizer.step()
        with torch.no_grad():
            total += loss_fn(model(inputs), targets).item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "not-a-float")
def a_tensor_of_losses(model, loader, optimizer, loss_fn):
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "not-a-float")
def gives_nothing(model, loader, optimizer, loss_fn):
    model.train()
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss_fn(model(inputs), targets).backward()
        optimizer.step()


@mutants.wrong("train_epoch", "not-training")
def mode_as_it_came(model, loader, optimizer, loss_fn):
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "not-training")
def trains_in_eval_mode(model, loader, optimizer, loss_fn):
    model.eval()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "not-training")
def the_outer_flag_alone(model, loader, optimizer, loss_fn):
    model.training = True
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    return total / count


@mutants.wrong("train_epoch", "not-training")
def training_mode_at_the_end(model, loader, optimizer, loss_fn):
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs)
        count += len(inputs)
    model.train()
    return total / count


@mutants.right("train_epoch")
def clears_before_backward(model, loader, optimizer, loss_fn):
    model.train()
    losses, sizes = [], []
    for batch in loader:
        loss = loss_fn(model(batch[0]), batch[1])
        losses.append(loss.item())
        sizes.append(len(batch[1]))
        model.zero_grad()
        loss.backward()
        optimizer.step()
    return sum(a * b for a, b in zip(losses, sizes)) / sum(sizes)


@mutants.right("train_epoch")
def clears_on_both_sides(model, loader, optimizer, loss_fn):
    model.train(True)
    optimizer.zero_grad(set_to_none=False)
    total = torch.zeros(())
    for x, y in loader:
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        total += loss.detach() * x.shape[0]
    return total.item() / len(loader.dataset)


@mutants.right("train_epoch")
def with_a_closure(model, loader, optimizer, loss_fn):
    for module in model.modules():
        module.training = True
    total, count = 0.0, 0
    for inputs, targets in loader:

        def closure(inputs=inputs, targets=targets):
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets)
            loss.backward()
            return loss

        total += optimizer.step(closure).item() * targets.size(0)
        count += targets.size(0)
    return total / count


@mutants.right("train_epoch")
def fills_in_gradients(model, loader, optimizer, loss_fn):
    import numpy as np

    model = model.train()
    params = [p for p in model.parameters() if p.requires_grad]
    losses, sizes = [], []
    for x, y in list(loader):
        loss = loss_fn(model(x), y)
        for p, g in zip(params, torch.autograd.grad(loss, params)):
            p.grad = g
        optimizer.step()
        losses.append(loss.detach().numpy())
        sizes.append(len(x))
    return float(np.average(losses, weights=sizes))


# -- evaluate --------------------------------------------------------------------------------------------


@mutants.wrong("evaluate", "training-mode")
def mode_as_it_was(model, loader):
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    return right / count


@mutants.wrong("evaluate", "training-mode")
def in_training_mode(model, loader):
    was = model.training
    model.train()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "training-mode")
def the_models_own_flag(model, loader):
    was = model.training
    model.training = False
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    model.training = was
    return right / count


@mutants.wrong("evaluate", "training-mode")
def eval_after_the_first_batch(model, loader):
    was = model.training
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            model.eval()
            count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "mode-not-restored")
def stays_in_eval_mode(model, loader):
    model.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    return right / count


@mutants.wrong("evaluate", "mode-not-restored")
def always_back_to_training(model, loader):
    model.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    model.train()
    return right / count


@mutants.wrong("evaluate", "mode-not-restored")
def restores_the_outer_flag(model, loader):
    was = model.training
    model.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    model.training = was
    return right / count


@mutants.wrong("evaluate", "mode-not-restored")
def asks_after_the_change(model, loader):
    model.eval()
    was = model.training
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "graph-built")
def with_a_graph(model, loader):
    was = model.training
    model.eval()
    right = count = 0
    for inputs, targets in loader:
        right += (model(inputs).argmax(dim=1) == targets).sum().item()
        count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "graph-built")
def detaches_too_late(model, loader):
    was = model.training
    model.eval()
    right = count = 0
    for inputs, targets in loader:
        logits = model(inputs).detach()
        with torch.no_grad():
            right += (logits.argmax(dim=1) == targets).sum().item()
        count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "graph-built")
def no_grad_left_at_once(model, loader):
    was = model.training
    model.eval()
    with torch.no_grad():
        pass
    right = count = 0
    for inputs, targets in loader:
        right += (model(inputs).argmax(dim=1) == targets).sum().item()
        count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "gradients-left-off")
def switches_off_for_good(model, loader):
    was = model.training
    model.eval()
    torch.set_grad_enabled(False)
    right = count = 0
    for inputs, targets in loader:
        right += (model(inputs).argmax(dim=1) == targets).sum().item()
        count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "training-mode")
def only_dropout_off(model, loader):
    was = model.training
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "training-mode")
def only_batchnorm_off(model, loader):
    was = model.training
    for module in model.modules():
        if hasattr(module, "running_mean"):
            module.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "batch-means")
def mean_of_batch_accuracies(model, loader):
    was = model.training
    model.eval()
    shares = []
    with torch.no_grad():
        for inputs, targets in loader:
            shares.append((model(inputs).argmax(dim=1) == targets).float().mean().item())
    model.train(was)
    return sum(shares) / len(shares)


@mutants.wrong("evaluate", "batch-means")
def counts_full_batches(model, loader):
    was = model.training
    model.eval()
    right = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
    model.train(was)
    return right / (len(loader) * loader.batch_size)


@mutants.wrong("evaluate", "batch-skipped")
def the_first_batch_alone(model, loader):
    was = model.training
    model.eval()
    with torch.no_grad():
        inputs, targets = next(iter(loader))
        share = (model(inputs).argmax(dim=1) == targets).float().mean().item()
    model.train(was)
    return share


@mutants.wrong("evaluate", "batch-skipped")
def counts_start_again(model, loader):
    was = model.training
    model.eval()
    with torch.no_grad():
        for inputs, targets in loader:
            right = count = 0
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "wrong-class")
def largest_of_each_column(model, loader):
    was = model.training
    model.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            best = model(inputs).argmax(dim=0)
            n = min(len(best), len(targets))
            right += (best[:n] == targets[:n]).sum().item()
            count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "wrong-class")
def among_the_best_two(model, loader):
    was = model.training
    model.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            best = model(inputs).topk(2, dim=1).indices
            right += (best == targets[:, None]).any(dim=1).sum().item()
            count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "wrong-class")
def share_of_errors(model, loader):
    was = model.training
    model.eval()
    wrong = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            wrong += (model(inputs).argmax(dim=1) != targets).sum().item()
            count += len(targets)
    model.train(was)
    return wrong / count


@mutants.wrong("evaluate", "not-a-share")
def in_percent(model, loader):
    was = model.training
    model.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    model.train(was)
    return 100 * right / count


@mutants.wrong("evaluate", "not-a-float")
def number_of_hits(model, loader):
    was = model.training
    model.eval()
    right = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
    model.train(was)
    return right


@mutants.wrong("evaluate", "not-a-float")
def accuracy_in_a_tensor(model, loader):
    was = model.training
    model.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right = right + (model(inputs).argmax(dim=1) == targets).sum()
            count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "model-changed")
def freezes_for_good(model, loader):
    was = model.training
    model.eval().requires_grad_(False)
    right = count = 0
    for inputs, targets in loader:
        right += (model(inputs).argmax(dim=1) == targets).sum().item()
        count += len(targets)
    model.train(was)
    return right / count


@mutants.wrong("evaluate", "model-changed")
def unfreezes_afterwards(model, loader):
    was = model.training
    model.eval().requires_grad_(False)
    right = count = 0
    for inputs, targets in loader:
        right += (model(inputs).argmax(dim=1) == targets).sum().item()
        count += len(targets)
    model.train(was).requires_grad_(True)
    return right / count


@mutants.wrong("evaluate", "model-changed")
def resets_statistics(model, loader):
    was = model.training
    model.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    for module in model.modules():
        if hasattr(module, "reset_running_stats"):
            module.reset_running_stats()
    model.train(was)
    return right / count


@mutants.right("evaluate")
def decorated(model, loader):
    @torch.inference_mode()
    def hits():
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in loader)

    was = model.training
    model.eval()
    try:
        return hits() / len(loader.dataset)
    finally:
        model.train(was)


@mutants.right("evaluate")
def all_at_once(model, loader):
    modes = [(m, m.training) for m in model.modules()]
    model.train(False)
    with torch.no_grad():
        logits, targets = zip(*[(model(x), y) for x, y in loader])
    for module, mode in modes:
        module.training = mode
    return (torch.cat(logits).argmax(dim=-1) == torch.cat(targets)).double().mean().item()


@mutants.right("evaluate")
def on_a_copy(model, loader):
    import copy

    twin = copy.deepcopy(model).eval()
    right = count = 0
    for x, y in loader:
        with torch.no_grad():
            _, answer = torch.max(twin(x), 1)
        right += answer.eq(y).sum()
        count += y.numel()
    return (right / count).item()


@mutants.right("evaluate")
def weighted_means(model, loader):
    training = model.training
    model.eval()
    with torch.set_grad_enabled(False):
        pairs = [((model(x).softmax(1).argmax(1) == y).float().mean(), len(y)) for x, y in loader]
    if training:
        model.train()
    return float(sum(share * n for share, n in pairs) / sum(n for _, n in pairs))


@mutants.right("evaluate")
def parameters_frozen_for_the_while(model, loader):
    was, flags = model.training, [p.requires_grad for p in model.parameters()]
    model.eval()
    for p in model.parameters():
        p.requires_grad_(False)
    right = count = 0
    for x, y in loader:
        right += int((model(x).max(dim=1).indices == y).sum())
        count += len(y)
    for p, flag in zip(model.parameters(), flags):
        p.requires_grad_(flag)
    model.train(was)
    return right / count
