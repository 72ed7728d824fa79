"""Wrong and right implementations of lesson 06's exercises: they prove its checks.

Each stands alone with ``torch``, ``nn`` and ``F``. A wrong one comes with the misconception that its card must name.
"""

import torch
from course.mutants import Mutants
from torch.nn import functional as F

mutants = Mutants()

# -- mixup -------------------------------------------------------------------------------------------------


@mutants.wrong("mixup", "images-not-mixed")
def gives_back(images, targets, alpha, generator):
    return images, targets


@mutants.wrong("mixup", "images-not-mixed")
def only_shuffles(images, targets, alpha, generator):
    order = torch.randperm(len(images), generator=generator)
    return images[order], targets[order]


@mutants.wrong("mixup", "images-not-mixed")
def only_the_labels(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    return images, share * targets + (1 - share) * targets[order]


@mutants.wrong("mixup", "labels-not-mixed")
def labels_stay(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], targets


@mutants.wrong("mixup", "labels-not-mixed")
def label_of_the_larger_share(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    mixed = share * images + (1 - share) * images[order]
    return mixed, targets if share > 0.5 else targets[order]


@mutants.wrong("mixup", "labels-not-mixed")
def labels_of_the_partner(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], targets[order]


@mutants.wrong("mixup", "labels-swapped")
def shares_swapped(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    mixed = share * images + (1 - share) * images[order]
    return mixed, (1 - share) * targets + share * targets[order]


@mutants.wrong("mixup", "labels-other-partner")
def two_permutations(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    first = torch.randperm(len(images), generator=generator)
    second = torch.randperm(len(images), generator=generator)
    return (
        share * images + (1 - share) * images[first],
        share * targets + (1 - share) * targets[second],
    )


@mutants.wrong("mixup", "labels-other-partner")
def two_lambdas(images, targets, alpha, generator):
    from scipy.stats import beta

    one, other = (float(beta.ppf(u, alpha, alpha)) for u in torch.rand(2, generator=generator))
    order = torch.randperm(len(images), generator=generator)
    return one * images + (1 - one) * images[order], other * targets + (1 - other) * targets[order]


@mutants.wrong("mixup", "weights-not-one")
def adds_the_partner(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    return images + share * images[order], targets + share * targets[order]


@mutants.wrong("mixup", "lambda-per-image")
def a_lambda_each(images, targets, alpha, generator):
    from scipy.stats import beta

    u = torch.rand(len(images), generator=generator, dtype=torch.float64)
    share = torch.from_numpy(beta.ppf(u.numpy(), alpha, alpha)).to(images.dtype)
    order = torch.randperm(len(images), generator=generator)
    wide, tall = share.view(-1, 1, 1, 1), share.view(-1, 1)
    return (
        wide * images + (1 - wide) * images[order],
        tall * targets + (1 - tall) * targets[order],
    )


@mutants.wrong("mixup", "not-a-permutation")
def with_repeats(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randint(len(images), (len(images),), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "not-a-mixture")
def cut_and_paste(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    edge = images.shape[2] // 2
    mixed = torch.cat([images[:, :, :edge], images[order][:, :, edge:]], dim=2)
    return mixed, share * targets + (1 - share) * targets[order]


@mutants.wrong("mixup", "not-a-mixture")
def mixes_channels(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    mixed = share * images + (1 - share) * images.flip(2)
    return mixed, share * targets + (1 - share) * targets[order]


@mutants.wrong("mixup", "fixed-partners")
def reversed_batch(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    return share * images + (1 - share) * images.flip(0), share * targets + (
        1 - share
    ) * targets.flip(0)


@mutants.wrong("mixup", "fixed-partners")
def rolled_batch(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    return (
        share * images + (1 - share) * images.roll(1, 0),
        share * targets + (1 - share) * targets.roll(1, 0),
    )


@mutants.wrong("mixup", "wrong-lambda")
def uniform_lambda(images, targets, alpha, generator):
    share = torch.rand((), generator=generator).item()
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "wrong-lambda")
def the_larger_share_is_its_own(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    share = max(share, 1 - share)
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "wrong-lambda")
def beta_of_alpha_and_one(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, 1))
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "wrong-lambda")
def twice_alpha(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), 2 * alpha, 2 * alpha))
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "wrong-lambda")
def half_of_alpha(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha / 2, alpha / 2))
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "wrong-lambda")
def four_times_alpha(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), 4 * alpha, 4 * alpha))
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "wrong-lambda")
def one_more_than_alpha(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), 1 + alpha, 1 + alpha))
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "wrong-lambda")
def density_for_inverse(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.cdf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "always-the-same")
def alpha_is_the_share(images, targets, alpha, generator):
    share = alpha / (1 + alpha)
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "always-the-same")
def reads_the_seed(images, targets, alpha, generator):
    import numpy as np

    rng = np.random.default_rng(generator.initial_seed())
    share, order = rng.beta(alpha, alpha), torch.from_numpy(rng.permutation(len(images)))
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "generator-ignored")
def lambda_of_numpy(images, targets, alpha, generator):
    import numpy as np

    share = float(np.random.beta(alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "generator-ignored")
def lambda_of_distributions(images, targets, alpha, generator):
    share = torch.distributions.Beta(float(alpha), float(alpha)).sample().item()
    order = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "generator-ignored")
def order_without_generator(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images))
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "generator-ignored")
def seeds_the_global_one(images, targets, alpha, generator):
    torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
    share = torch.distributions.Beta(float(alpha), float(alpha)).sample().item()
    order = torch.randperm(len(images))
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[
        order
    ]


@mutants.wrong("mixup", "inputs-changed")
def mixes_in_place(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    others, other_targets = images[order], targets[order]
    images.mul_(share).add_((1 - share) * others)
    targets.mul_(share).add_((1 - share) * other_targets)
    return images, targets


@mutants.wrong("mixup", "not-a-pair")
def with_lambda_too(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    mixed = share * images + (1 - share) * images[order]
    return mixed, targets, targets[order], share


@mutants.wrong("mixup", "own-partners")
def shifts_by_a_random_number(images, targets, alpha, generator):
    from scipy.stats import beta

    share = float(beta.ppf(torch.rand((), generator=generator).item(), alpha, alpha))
    by = int(torch.randint(len(images), (), generator=generator))
    return (
        share * images + (1 - share) * images.roll(by, 0),
        share * targets + (1 - share) * targets.roll(by, 0),
    )


@mutants.right("mixup")
def with_numpy_seeded(images, targets, alpha, generator):
    import numpy as np

    rng = np.random.default_rng(torch.randint(2**62, (), generator=generator).item())
    share = rng.beta(alpha, alpha)
    order = torch.as_tensor(rng.permutation(len(images)))
    return [share * one + (1 - share) * one[order] for one in (images, targets)]


@mutants.right("mixup")
def with_dirichlet(images, targets, alpha, generator):
    order = torch.randperm(images.shape[0], generator=generator)
    both = torch._sample_dirichlet(torch.tensor([alpha, alpha], dtype=torch.float64), generator)
    share = both[0].to(images.dtype)
    return torch.lerp(images[order], images, share), torch.lerp(targets[order], targets, share)


@mutants.right("mixup")
def with_gammas(images, targets, alpha, generator):
    gammas = torch._standard_gamma(torch.full((2,), float(alpha), dtype=torch.float64), generator)
    share = (gammas[0] / gammas.sum()).item() if gammas.sum() > 0 else 0.5
    order = torch.rand(len(images), generator=generator).argsort()
    mixed = images.clone()
    mixed *= share
    mixed += (1 - share) * images[order]
    return mixed, targets.mul(share) + targets.index_select(0, order).mul(1 - share)


@mutants.right("mixup")
def forks_the_global_one(images, targets, alpha, generator):
    seed = int(torch.randint(2**31, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        share = torch.distributions.Beta(float(alpha), float(alpha)).sample()
        order = torch.randperm(len(images))
    return torch.lerp(images[order], images, share.to(images.dtype)), torch.lerp(
        targets[order], targets, share.to(targets.dtype)
    )


@mutants.right("mixup")
def with_pythons_random(images, targets, alpha, generator):
    import random

    seeded = random.Random(int(torch.randint(0, 2**60, (1,), generator=generator)))
    share, order = seeded.betavariate(alpha, alpha), list(range(len(images)))
    seeded.shuffle(order)
    return (
        images * share + images[order] * (1 - share),
        targets * share + targets[order] * (1 - share),
    )


@mutants.right("mixup")
def loop_over_the_batch(images, targets, alpha, generator):
    from scipy import special

    u = torch.rand(1, generator=generator, dtype=torch.float64).numpy()
    share = float(special.betaincinv(alpha, alpha, u)[0])
    order = torch.randperm(len(images), generator=generator).tolist()
    mixed = torch.stack([share * images[i] + (1 - share) * images[j] for i, j in enumerate(order)])
    labels = torch.stack(
        [share * targets[i] + (1 - share) * targets[j] for i, j in enumerate(order)]
    )
    return mixed, labels


# -- flip_with_boxes -----------------------------------------------------------------------------------------


@mutants.wrong("flip_with_boxes", "image-not-flipped")
def boxes_alone(image, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    width = image.shape[-1]
    return image, torch.stack([width - x2, y1, width - x1, y2], 1)


@mutants.wrong("flip_with_boxes", "image-not-flipped")
def channels_turned(image, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    width = image.shape[-1]
    return image.flip(0), torch.stack([width - x2, y1, width - x1, y2], 1)


@mutants.wrong("flip_with_boxes", "boxes-not-flipped")
def image_alone(image, boxes):
    return image.flip(-1), boxes


@mutants.wrong("flip_with_boxes", "boxes-not-flipped")
def moved_and_forgotten(image, boxes):
    moved = boxes.clone()
    moved[:, 0], moved[:, 2] = image.shape[-1] - boxes[:, 2], image.shape[-1] - boxes[:, 0]
    return image.flip(-1), boxes


@mutants.wrong("flip_with_boxes", "corners-crossed")
def each_edge_for_itself(image, boxes):
    flipped = boxes.clone()
    flipped[:, [0, 2]] = image.shape[-1] - boxes[:, [0, 2]]
    return image.flip(-1), flipped


@mutants.wrong("flip_with_boxes", "width-off-by-one")
def pixel_numbers(image, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    last = image.shape[-1] - 1
    return image.flip(-1), torch.stack([last - x2, y1, last - x1, y2], 1)


@mutants.wrong("flip_with_boxes", "width-off-by-one")
def one_edge_inclusive(image, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    width = image.shape[-1]
    return image.flip(-1), torch.stack([width - x2, y1, width - x1 - 1, y2], 1)


@mutants.wrong("flip_with_boxes", "height-for-width")
def at_the_height(image, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    height = image.shape[1]
    return image.flip(-1), torch.stack([height - x2, y1, height - x1, y2], 1)


@mutants.wrong("flip_with_boxes", "upside-down")
def top_and_bottom(image, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    height = image.shape[-2]
    return image.flip(-2), torch.stack([x1, height - y2, x2, height - y1], 1)


@mutants.wrong("flip_with_boxes", "upside-down")
def turned_by_half(image, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    height, width = image.shape[1:]
    return image.flip(-1), torch.stack([width - x2, height - y2, width - x1, height - y1], 1)


@mutants.wrong("flip_with_boxes", "boxes-reordered")
def last_box_first(image, boxes):
    x1, y1, x2, y2 = boxes.flip(0).unbind(1)
    width = image.shape[-1]
    return image.flip(-1), torch.stack([width - x2, y1, width - x1, y2], 1)


@mutants.wrong("flip_with_boxes", "boxes-reordered")
def sorted_from_the_left(image, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    width = image.shape[-1]
    flipped = torch.stack([width - x2, y1, width - x1, y2], 1)
    return image.flip(-1), flipped[flipped[:, 0].argsort()]


@mutants.wrong("flip_with_boxes", "xywh-for-xyxy")
def width_in_third_place(image, boxes):
    flipped = boxes.clone()
    flipped[:, 0] = image.shape[-1] - boxes[:, 0] - boxes[:, 2]
    return image.flip(-1), flipped


@mutants.wrong("flip_with_boxes", "wrong-boxes")
def whole_pixels(image, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    width = image.shape[-1]
    return image.flip(-1), torch.stack([width - x2, y1, width - x1, y2], 1).round()


@mutants.wrong("flip_with_boxes", "empty-boxes")
def columns_put_together_by_hand(image, boxes):
    width = image.shape[-1]
    return image.flip(-1), torch.stack(
        [torch.stack([width - b[2], b[1], width - b[0], b[3]]) for b in boxes]
    )


@mutants.wrong("flip_with_boxes", "empty-boxes")
def list_of_boxes(image, boxes):
    width = image.shape[-1]
    rows = [[width - x2, y1, width - x1, y2] for x1, y1, x2, y2 in boxes.tolist()]
    return image.flip(-1), torch.tensor(rows)


@mutants.wrong("flip_with_boxes", "inputs-changed")
def boxes_in_place(image, boxes):
    width = image.shape[-1]
    left = boxes[:, 0].clone()
    boxes[:, 0] = width - boxes[:, 2]
    boxes[:, 2] = width - left
    return image.flip(-1), boxes


@mutants.wrong("flip_with_boxes", "inputs-changed")
def image_in_place(image, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    width = image.shape[-1]
    image.copy_(image.flip(-1))
    return image, torch.stack([width - x2, y1, width - x1, y2], 1)


@mutants.wrong("flip_with_boxes", "corners-crossed")
def in_place_and_overtaken(image, boxes):
    width = image.shape[-1]
    flipped = boxes.clone()
    flipped[:, 0] = width - flipped[:, 2]
    flipped[:, 2] = width - flipped[:, 0] - 2 * (flipped[:, 2] - flipped[:, 0]).abs()
    return image.flip(-1), torch.stack(
        [flipped[:, 0].maximum(flipped[:, 2]) + 1, boxes[:, 1], flipped[:, 0] - 1, boxes[:, 3]], 1
    )


@mutants.right("flip_with_boxes")
def columns_by_index(image, boxes):
    flipped = boxes.clone()
    flipped[:, [0, 2]] = image.shape[2] - boxes[:, [2, 0]]
    return torch.flip(image, dims=[2]), flipped


@mutants.right("flip_with_boxes")
def as_one_affine_map(image, boxes):
    width = image.shape[-1]
    sign = torch.tensor([-1, 1, -1, 1], dtype=boxes.dtype)
    shift = torch.tensor([width, 0, width, 0], dtype=boxes.dtype)
    return [image[..., torch.arange(width - 1, -1, -1)], boxes[:, [2, 1, 0, 3]] * sign + shift]


@mutants.right("flip_with_boxes")
def with_torchvision(image, boxes):
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import functional as T

    framed = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=image.shape[-2:])
    return T.horizontal_flip(image), T.horizontal_flip(framed).as_subclass(torch.Tensor)


@mutants.right("flip_with_boxes")
def box_by_box(image, boxes):
    _, _, width = image.shape
    flipped = torch.empty_like(boxes)
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        flipped[i, 0], flipped[i, 1], flipped[i, 2], flipped[i, 3] = width - x2, y1, width - x1, y2
    return image.fliplr() if image.dim() == 2 else image.flip([2]), flipped


# -- box_iou -------------------------------------------------------------------------------------------------


@mutants.wrong("box_iou", "xywh-for-xyxy")
def widths_in_the_last_columns(a, b):
    a = torch.cat([a[:, :2], a[:, :2] + a[:, 2:]], 1)
    b = torch.cat([b[:, :2], b[:, :2] + b[:, 2:]], 1)
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    inter = sides.clamp(min=0).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return inter / (area_a[:, None] + area_b - inter)


@mutants.wrong("box_iou", "xywh-for-xyxy")
def areas_of_xywh(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    inter = sides.clamp(min=0).prod(2)
    area_a, area_b = a[:, 2] * a[:, 3], b[:, 2] * b[:, 3]
    return inter / (area_a[:, None] + area_b - inter)


@mutants.wrong("box_iou", "width-off-by-one")
def pixels_counted(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2]) + 1
    inter = sides.clamp(min=0).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2] + 1).prod(1), (b[:, 2:] - b[:, :2] + 1).prod(1)
    return inter / (area_a[:, None] + area_b - inter)


@mutants.wrong("box_iou", "width-off-by-one")
def overlap_pixels_counted(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2]) + 1
    inter = sides.clamp(min=0).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return inter / (area_a[:, None] + area_b - inter)


@mutants.wrong("box_iou", "negative-overlap")
def no_clamp(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    inter = sides.prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return inter / (area_a[:, None] + area_b - inter)


@mutants.wrong("box_iou", "negative-overlap")
def clamps_the_product(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    inter = sides.prod(2).clamp(min=0)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return inter / (area_a[:, None] + area_b - inter)


@mutants.wrong("box_iou", "negative-overlap")
def absolute_sides(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    inter = sides.abs().prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return inter / (area_a[:, None] + area_b - inter)


@mutants.wrong("box_iou", "not-the-union")
def sum_of_areas(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    inter = sides.clamp(min=0).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return inter / (area_a[:, None] + area_b)


@mutants.wrong("box_iou", "not-over-the-union")
def over_the_smaller(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    inter = sides.clamp(min=0).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return inter / torch.minimum(area_a[:, None], area_b)


@mutants.wrong("box_iou", "not-over-the-union")
def over_the_first(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    return sides.clamp(min=0).prod(2) / (a[:, 2:] - a[:, :2]).prod(1)[:, None]


@mutants.wrong("box_iou", "area-not-share")
def overlap_only(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    return sides.clamp(min=0).prod(2)


@mutants.wrong("box_iou", "another-measure")
def generalised(a, b):
    from torchvision.ops import generalized_box_iou

    return generalized_box_iou(a, b)


@mutants.wrong("box_iou", "transposed")
def rows_of_b(a, b):
    from torchvision.ops import box_iou

    return box_iou(b, a)


@mutants.wrong("box_iou", "not-every-pair")
def pair_by_pair(a, b):
    sides = torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])
    inter = sides.clamp(min=0).prod(1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return inter / (area_a + area_b - inter)


@mutants.wrong("box_iou", "not-every-pair")
def best_of_each_row(a, b):
    from torchvision.ops import box_iou

    return box_iou(a, b).amax(1) if len(b) else torch.zeros(len(a))


@mutants.wrong("box_iou", "empty-boxes")
def nested_lists(a, b):
    rows = []
    for x1, y1, x2, y2 in a.tolist():
        row = []
        for u1, v1, u2, v2 in b.tolist():
            inter = max(0.0, min(x2, u2) - max(x1, u1)) * max(0.0, min(y2, v2) - max(y1, v1))
            row.append(inter / ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - inter))
        rows.append(row)
    return torch.tensor(rows)


@mutants.wrong("box_iou", "empty-boxes")
def stacks_rows(a, b):
    from torchvision.ops import box_iou

    return torch.cat([box_iou(one[None], b) for one in a])


@mutants.wrong("box_iou", "inputs-changed")
def makes_widths_in_place(a, b):
    from torchvision.ops import box_iou

    shares = box_iou(a, b)
    a[:, 2:] -= a[:, :2]
    return shares


@mutants.wrong("box_iou", "wrong-iou")
def larger_box_around_both(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    around = torch.maximum(a[:, None, 2:], b[:, 2:]) - torch.minimum(a[:, None, :2], b[:, :2])
    return sides.clamp(min=0).prod(2) / around.prod(2)


@mutants.wrong("box_iou", "not-finite")
def overlap_over_itself(a, b):
    sides = torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])
    inter = sides.clamp(min=0).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    share = inter / (area_a[:, None] + area_b - inter)
    return share * inter / inter


@mutants.right("box_iou")
def of_torchvision(a, b):
    from torchvision.ops import box_iou

    return box_iou(a, b)


@mutants.right("box_iou")
def column_by_column(a, b):
    ax1, ay1, ax2, ay2 = (column[:, None] for column in a.T)
    bx1, by1, bx2, by2 = b.T
    wide = F.relu(torch.min(ax2, bx2) - torch.max(ax1, bx1))
    high = F.relu(torch.min(ay2, by2) - torch.max(ay1, by1))
    overlap = wide * high
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - overlap
    return overlap / (union + 1e-9)


@mutants.right("box_iou")
def loops_into_zeros(a, b):
    shares = torch.zeros(len(a), len(b), dtype=a.dtype)
    for i, (x1, y1, x2, y2) in enumerate(a.tolist()):
        for j, (u1, v1, u2, v2) in enumerate(b.tolist()):
            if x1 < u2 and u1 < x2 and y1 < v2 and v1 < y2:
                inter = (min(x2, u2) - max(x1, u1)) * (min(y2, v2) - max(y1, v1))
                shares[i, j] = inter / ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - inter)
    return shares


@mutants.right("box_iou")
def repeated_boxes(a, b):
    n, m = len(a), len(b)
    left = a.repeat_interleave(m, dim=0).float()
    right = b.repeat(n, 1).float()
    lt, rb = torch.max(left[:, :2], right[:, :2]), torch.min(left[:, 2:], right[:, 2:])
    inter = (rb - lt).clip(0).prod(dim=1)
    both = sum((one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1]) for one in (left, right))
    return (inter / (both - inter).clamp(min=1e-12)).reshape(n, m)


# -- nms -----------------------------------------------------------------------------------------------------


@mutants.wrong("nms", "places-in-the-sorted")
def forgets_it_sorted(boxes, scores, threshold):
    from torchvision.ops import box_iou

    order = scores.argsort(descending=True)
    iou = box_iou(boxes[order], boxes[order])
    kept = []
    for i in range(len(order)):
        if all(iou[i, j] <= threshold for j in kept):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int64)


@mutants.wrong("nms", "not-by-score")
def in_the_order_of_the_list(boxes, scores, threshold):
    from torchvision.ops import nms

    return nms(boxes, scores, threshold).sort().values


@mutants.wrong("nms", "not-by-score")
def mask_to_places(boxes, scores, threshold):
    from torchvision.ops import nms

    keep = torch.zeros(len(boxes), dtype=torch.bool)
    keep[nms(boxes, scores, threshold)] = True
    return keep.nonzero().flatten()


@mutants.wrong("nms", "worst-first")
def ascending(boxes, scores, threshold):
    from torchvision.ops import box_iou

    order = scores.argsort()
    kept = []
    while len(order):
        kept.append(order[0])
        iou = box_iou(boxes[order[:1]], boxes[order])[0]
        order = order[1:][iou[1:] <= threshold]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64)


@mutants.wrong("nms", "scores-unused")
def as_they_stand(boxes, scores, threshold):
    from torchvision.ops import box_iou

    iou = box_iou(boxes, boxes)
    kept = []
    for i in range(len(boxes)):
        if all(iou[i, j] <= threshold for j in kept):
            kept.append(i)
    kept.sort(key=lambda i: -scores[i].item())
    return torch.tensor(kept, dtype=torch.int64)


@mutants.wrong("nms", "scores-unused")
def as_they_stand_unsorted(boxes, scores, threshold):
    from torchvision.ops import box_iou

    iou = box_iou(boxes, boxes)
    kept = []
    for i in range(len(boxes)):
        if all(iou[i, j] <= threshold for j in kept):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int64)


@mutants.wrong("nms", "dropped-drops")
def any_better_box_drops(boxes, scores, threshold):
    from torchvision.ops import box_iou

    order = scores.argsort(descending=True)
    iou = box_iou(boxes[order], boxes[order]).triu(1)
    return order[(iou <= threshold).all(dim=0)]


@mutants.wrong("nms", "dropped-drops")
def loop_that_forgets_to_skip(boxes, scores, threshold):
    from torchvision.ops import box_iou

    order = scores.argsort(descending=True).tolist()
    dropped = set()
    for n, i in enumerate(order):
        for j in order[n + 1 :]:
            if box_iou(boxes[i : i + 1], boxes[j : j + 1]).item() > threshold:
                dropped.add(j)
    return torch.tensor([i for i in order if i not in dropped], dtype=torch.int64)


@mutants.wrong("nms", "at-the-threshold")
def equal_is_dropped(boxes, scores, threshold):
    from torchvision.ops import box_iou

    order = scores.argsort(descending=True)
    kept = []
    while len(order):
        kept.append(order[0])
        iou = box_iou(boxes[order[:1]], boxes[order[1:]])[0]
        order = order[1:][iou < threshold]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64)


@mutants.wrong("nms", "wrong-side")
def keeps_what_overlaps(boxes, scores, threshold):
    from torchvision.ops import box_iou

    order = scores.argsort(descending=True)
    kept = []
    while len(order):
        kept.append(order[0])
        iou = box_iou(boxes[order[:1]], boxes[order[1:]])[0]
        order = order[1:][iou > threshold]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64)


@mutants.wrong("nms", "threshold-on-scores")
def sure_ones(boxes, scores, threshold):
    order = scores.argsort(descending=True)
    return order[scores[order] > threshold]


@mutants.wrong("nms", "one-round")
def best_against_the_rest(boxes, scores, threshold):
    from torchvision.ops import box_iou

    order = scores.argsort(descending=True)
    if len(order) == 0:
        return order
    iou = box_iou(boxes[order[:1]], boxes[order])[0]
    iou[0] = 0
    return order[iou <= threshold]


@mutants.wrong("nms", "one-round")
def the_best_alone(boxes, scores, threshold):
    return scores.argsort(descending=True)[:1]


@mutants.wrong("nms", "neighbours-only")
def against_the_last_kept(boxes, scores, threshold):
    from torchvision.ops import box_iou

    kept = []
    for i in scores.argsort(descending=True).tolist():
        if not kept or box_iou(boxes[kept[-1]][None], boxes[i][None]).item() <= threshold:
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int64)


@mutants.wrong("nms", "nothing-dropped")
def sorts_and_stops(boxes, scores, threshold):
    return scores.argsort(descending=True)


@mutants.wrong("nms", "xywh-for-xyxy")
def of_corners_and_sides(boxes, scores, threshold):
    from torchvision.ops import nms

    return nms(torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1), scores, threshold)


@mutants.wrong("nms", "width-off-by-one")
def counts_pixels(boxes, scores, threshold):
    x1, y1, x2, y2 = boxes.double().unbind(1)
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order = scores.argsort(descending=True)
    kept = []
    while len(order):
        i, rest = order[0], order[1:]
        kept.append(i)
        w = (torch.minimum(x2[i], x2[rest]) - torch.maximum(x1[i], x1[rest]) + 1).clamp(min=0)
        h = (torch.minimum(y2[i], y2[rest]) - torch.maximum(y1[i], y1[rest]) + 1).clamp(min=0)
        order = rest[w * h / (areas[i] + areas[rest] - w * h) <= threshold]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64)


@mutants.wrong("nms", "negative-scores")
def zero_marks_the_dropped(boxes, scores, threshold):
    from torchvision.ops import box_iou

    left = scores.clone()
    kept = []
    while len(left) and left.max() > 0:
        i = int(left.argmax())
        kept.append(i)
        left[box_iou(boxes[i][None], boxes)[0] > threshold] = 0
        left[i] = 0
    return torch.tensor(kept, dtype=torch.int64)


@mutants.wrong("nms", "negative-scores")
def stops_at_zero(boxes, scores, threshold):
    from torchvision.ops import nms

    kept = nms(boxes, scores, threshold)
    return kept[scores[kept] > 0]


@mutants.wrong("nms", "empty-boxes")
def tensor_of_nothing(boxes, scores, threshold):
    from torchvision.ops import box_iou

    kept = []
    for i in scores.argsort(descending=True).tolist():
        if all(box_iou(boxes[i][None], boxes[j][None]).item() <= threshold for j in kept):
            kept.append(i)
    return torch.tensor(kept)


@mutants.wrong("nms", "empty-boxes")
def stack_of_nothing(boxes, scores, threshold):
    from torchvision.ops import box_iou

    order = scores.argsort(descending=True)
    kept = []
    while len(order):
        kept.append(order[0])
        iou = box_iou(boxes[order[:1]], boxes[order[1:]])[0]
        order = order[1:][iou <= threshold]
    return torch.stack(kept)


@mutants.wrong("nms", "not-indices")
def gives_boxes(boxes, scores, threshold):
    from torchvision.ops import nms

    return boxes[nms(boxes, scores, threshold)]


@mutants.wrong("nms", "not-indices")
def gives_a_mask(boxes, scores, threshold):
    from torchvision.ops import nms

    keep = torch.zeros(len(boxes), dtype=torch.bool)
    keep[nms(boxes, scores, threshold)] = True
    return keep


@mutants.wrong("nms", "not-indices")
def a_column_of_places(boxes, scores, threshold):
    from torchvision.ops import nms

    kept = nms(boxes, scores, threshold)
    return kept[:, None] if len(kept) else kept


@mutants.wrong("nms", "not-indices")
def thirty_two_bits(boxes, scores, threshold):
    from torchvision.ops import nms

    kept = nms(boxes, scores, threshold)
    return kept.int() if len(kept) else kept


@mutants.wrong("nms", "inputs-changed")
def marks_scores_in_place(boxes, scores, threshold):
    from torchvision.ops import box_iou

    kept = []
    while len(scores) and scores.max() > -torch.inf:
        i = int(scores.argmax())
        kept.append(i)
        scores[box_iou(boxes[i][None], boxes)[0] > threshold] = -torch.inf
        scores[i] = -torch.inf
    return torch.tensor(kept, dtype=torch.int64)


@mutants.wrong("nms", "wrong-boxes-kept")
def at_most_three(boxes, scores, threshold):
    from torchvision.ops import nms

    return nms(boxes, scores, threshold)[:3]


@mutants.right("nms")
def library_call(boxes, scores, threshold):
    from torchvision.ops import nms

    return nms(boxes, scores, threshold)


@mutants.right("nms")
def marks_a_copy(boxes, scores, threshold):
    from torchvision.ops import box_iou

    left = scores.double().clone()
    kept = torch.empty(0, dtype=torch.long)
    while left.numel() and left.isfinite().any():
        i = left.argmax()
        kept = torch.cat([kept, i[None]])
        left[box_iou(boxes[i][None], boxes)[0] > threshold] = -torch.inf
        left[i] = -torch.inf
    return kept


@mutants.right("nms")
def recursive(boxes, scores, threshold):
    from torchvision.ops import box_iou

    def rest(order):
        if not order:
            return []
        best, *others = order
        others = [i for i in others if not box_iou(boxes[[best]], boxes[[i]]).item() > threshold]
        return [best, *rest(others)]

    found = rest(sorted(range(len(scores)), key=lambda i: scores[i].item(), reverse=True))
    return torch.tensor(found).long()


@mutants.right("nms")
def with_numpy(boxes, scores, threshold):
    import numpy as np

    xyxy = boxes.numpy()
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    order = np.argsort(-scores.numpy())
    kept = []
    while order.size:
        i, order = order[0], order[1:]
        kept.append(i)
        low, high = (
            np.maximum(xyxy[i, :2], xyxy[order, :2]),
            np.minimum(xyxy[i, 2:], xyxy[order, 2:]),
        )
        inter = np.clip(high - low, 0, None).prod(axis=1)
        order = order[~(inter / (area[i] + area[order] - inter) > threshold)]
    return torch.from_numpy(np.array(kept, dtype=np.int64))


@mutants.right("nms")
def alive_flags(boxes, scores, threshold):
    from torchvision.ops import box_iou

    order = torch.sort(scores, descending=True).indices
    iou = box_iou(boxes, boxes)
    alive = torch.ones(len(boxes), dtype=torch.bool)
    for n, i in enumerate(order):
        if alive[i]:
            later = order[n + 1 :]
            alive[later] &= ~(iou[i, later] > threshold)
    return order[alive[order]]


# -- masked_pixel_loss -----------------------------------------------------------------------------------------


@mutants.wrong("masked_pixel_loss", "ignored-as-class")
def no_mask_at_all(logits, mask, ignore_index):
    return F.cross_entropy(logits, mask)


@mutants.wrong("masked_pixel_loss", "ignored-as-class")
def ignored_is_background(logits, mask, ignore_index):
    return F.cross_entropy(logits, mask.masked_fill(mask == ignore_index, 0))


@mutants.wrong("masked_pixel_loss", "ignored-as-class")
def ignored_is_clamped(logits, mask, ignore_index):
    return F.cross_entropy(logits, mask.clamp(0, logits.shape[1] - 1))


@mutants.wrong("masked_pixel_loss", "ignored-as-class")
def always_255(logits, mask, ignore_index):
    return F.cross_entropy(logits, mask, ignore_index=255)


@mutants.wrong("masked_pixel_loss", "ignored-as-class")
def whatever_is_no_class(logits, mask, ignore_index):
    counted = (mask >= 0) & (mask < logits.shape[1])
    return F.cross_entropy(logits.movedim(1, -1)[counted], mask[counted])


@mutants.wrong("masked_pixel_loss", "ignored-in-mean")
def zeros_in_the_mean(logits, mask, ignore_index):
    return F.cross_entropy(logits, mask, ignore_index=ignore_index, reduction="none").mean()


@mutants.wrong("masked_pixel_loss", "ignored-in-mean")
def times_the_mask(logits, mask, ignore_index):
    counted = mask != ignore_index
    losses = F.cross_entropy(logits, mask.masked_fill(~counted, 0), reduction="none")
    return (losses * counted).mean()


@mutants.wrong("masked_pixel_loss", "image-means")
def mean_of_each_image(logits, mask, ignore_index):
    means = [
        F.cross_entropy(one[None], labels[None], ignore_index=ignore_index)
        for one, labels in zip(logits, mask, strict=True)
    ]
    return torch.stack(means).mean()


@mutants.wrong("masked_pixel_loss", "image-means")
def mean_of_images_that_count(logits, mask, ignore_index):
    means = [
        F.cross_entropy(one[None], labels[None], ignore_index=ignore_index)
        for one, labels in zip(logits, mask, strict=True)
        if (labels != ignore_index).any()
    ]
    return sum(means) / len(means)


@mutants.wrong("masked_pixel_loss", "image-means")
def clamped_denominators(logits, mask, ignore_index):
    losses = F.cross_entropy(logits, mask, ignore_index=ignore_index, reduction="none")
    return (losses.sum((1, 2)) / (mask != ignore_index).sum((1, 2)).clamp(min=1)).mean()


@mutants.wrong("masked_pixel_loss", "class-means")
def mean_of_each_class(logits, mask, ignore_index):
    losses = F.cross_entropy(logits, mask, ignore_index=ignore_index, reduction="none")
    present = [c for c in mask.unique().tolist() if c != ignore_index]
    return torch.stack([losses[mask == c].mean() for c in present]).mean()


@mutants.wrong("masked_pixel_loss", "summed")
def sum_of_pixels(logits, mask, ignore_index):
    return F.cross_entropy(logits, mask, ignore_index=ignore_index, reduction="sum")


@mutants.wrong("masked_pixel_loss", "summed")
def sum_for_each_image(logits, mask, ignore_index):
    return F.cross_entropy(logits, mask, ignore_index=ignore_index, reduction="sum") / len(logits)


@mutants.wrong("masked_pixel_loss", "softmax-first")
def of_probabilities(logits, mask, ignore_index):
    return F.cross_entropy(logits.softmax(1), mask, ignore_index=ignore_index)


@mutants.wrong("masked_pixel_loss", "wrong-axis")
def softmax_over_the_width(logits, mask, ignore_index):
    return F.nll_loss(logits.log_softmax(-1), mask, ignore_index=ignore_index)


@mutants.wrong("masked_pixel_loss", "pixels-mixed-up")
def reshaped_rows(logits, mask, ignore_index):
    rows, labels = logits.reshape(-1, logits.shape[1]), mask.reshape(-1)
    return F.cross_entropy(rows, labels, ignore_index=ignore_index)


@mutants.wrong("masked_pixel_loss", "not-one-number")
def every_pixel(logits, mask, ignore_index):
    return F.cross_entropy(logits, mask, ignore_index=ignore_index, reduction="none")


@mutants.wrong("masked_pixel_loss", "no-gradient")
def a_float(logits, mask, ignore_index):
    return F.cross_entropy(logits, mask, ignore_index=ignore_index).item()


@mutants.wrong("masked_pixel_loss", "no-gradient")
def detached(logits, mask, ignore_index):
    return F.cross_entropy(logits.detach(), mask, ignore_index=ignore_index)


@mutants.wrong("masked_pixel_loss", "inputs-changed")
def relabels_in_place(logits, mask, ignore_index):
    counted = mask != ignore_index
    mask[~counted] = 0
    losses = F.cross_entropy(logits, mask, reduction="none")
    return losses[counted].mean()


@mutants.wrong("masked_pixel_loss", "wrong-loss")
def median_of_pixels(logits, mask, ignore_index):
    losses = F.cross_entropy(logits, mask, ignore_index=ignore_index, reduction="none")
    return losses[mask != ignore_index].median()


@mutants.wrong("masked_pixel_loss", "logit-taken-out")
def without_the_column(logits, mask, ignore_index):
    counted = mask != ignore_index
    rows, labels = logits.movedim(1, -1)[counted], mask[counted]
    if 0 <= ignore_index < logits.shape[1]:
        rows = torch.cat([rows[:, :ignore_index], rows[:, ignore_index + 1 :]], dim=1)
        labels = labels - (labels > ignore_index).long()
    return F.cross_entropy(rows, labels)


@mutants.wrong("masked_pixel_loss", "logit-taken-out")
def its_logit_at_minus_infinity(logits, mask, ignore_index):
    logits = logits.clone()
    if 0 <= ignore_index < logits.shape[1]:
        logits[:, ignore_index] = float("-inf")
    return F.cross_entropy(logits, mask, ignore_index=ignore_index)


@mutants.right("masked_pixel_loss")
def one_call(logits, mask, ignore_index):
    return F.cross_entropy(logits, mask, ignore_index=ignore_index)


@mutants.right("masked_pixel_loss")
def rows_that_count(logits, mask, ignore_index):
    rows, labels = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1]), mask.flatten()
    keep = (labels != ignore_index).nonzero().squeeze(1)
    picked = rows[keep].log_softmax(1)[torch.arange(len(keep)), labels[keep]]
    return -picked.sum() / len(keep)


@mutants.right("masked_pixel_loss")
def with_one_hot(logits, mask, ignore_index):
    counted = (mask != ignore_index).to(logits.dtype)
    labels = torch.where(mask == ignore_index, torch.zeros_like(mask), mask)
    hot = F.one_hot(labels, logits.shape[1]).permute(0, 3, 1, 2)
    losses = -(logits.log_softmax(dim=1) * hot).sum(dim=1)
    return (losses * counted).sum() / counted.sum()


@mutants.right("masked_pixel_loss")
def image_after_image(logits, mask, ignore_index):
    total, count = 0.0, 0
    for one, labels in zip(logits, mask, strict=True):
        total = total + F.cross_entropy(
            one[None], labels[None], ignore_index=ignore_index, reduction="sum"
        )
        count += int((labels != ignore_index).sum())
    return total / count


# -- dice ----------------------------------------------------------------------------------------------------


@mutants.wrong("dice", "iou-for-dice")
def overlap_over_union(pred, target):
    a, b = pred.bool(), target.bool()
    return ((a & b).sum() / (a | b).sum()).item()


@mutants.wrong("dice", "factor-two-missing")
def forgets_the_two(pred, target):
    a, b = pred.bool(), target.bool()
    return ((a & b).sum() / (a.sum() + b.sum())).item()


@mutants.wrong("dice", "two-over-union")
def plus_means_or(pred, target):
    a, b = pred.bool(), target.bool()
    return (2 * (a & b).sum() / (a + b).sum()).item()


@mutants.wrong("dice", "one-sided")
def recall(pred, target):
    a, b = pred.bool(), target.bool()
    return ((a & b).sum() / b.sum()).nan_to_num(0).item()


@mutants.wrong("dice", "one-sided")
def precision(pred, target):
    a, b = pred.bool(), target.bool()
    return (a & b).sum() / a.sum()


@mutants.wrong("dice", "pixel-accuracy")
def agreeing_pixels(pred, target):
    return (pred.bool() == target.bool()).float().mean().item()


@mutants.wrong("dice", "soft-scores")
def takes_logits(pred, target):
    a, b = pred.float().sigmoid(), target.float()
    return (2 * (a * b).sum() / (a.sum() + b.sum())).item()


@mutants.wrong("dice", "soft-scores")
def sigmoid_then_half(pred, target):
    a, b = pred.float().sigmoid() >= 0.5, target.bool()
    return (2 * (a & b).sum() / (a.sum() + b.sum())).item()


@mutants.wrong("dice", "smoothed")
def one_above_and_below(pred, target):
    a, b = pred.float(), target.float()
    return ((2 * (a * b).sum() + 1) / (a.sum() + b.sum() + 1)).item()


@mutants.wrong("dice", "smoothed")
def a_little_above_and_below(pred, target):
    a, b = pred.double(), target.double()
    return ((2 * (a * b).sum() + 0.01) / (a.sum() + b.sum() + 0.01)).item()


@mutants.wrong("dice", "smoothed")
def a_ten_thousandth(pred, target):
    a, b = pred.double(), target.double()
    return ((2 * (a * b).sum() + 1e-4) / (a.sum() + b.sum() + 1e-4)).item()


@mutants.wrong("dice", "rows-averaged")
def row_by_row(pred, target):
    a, b = pred.double(), target.double()
    return (2 * (a * b).sum(1) / (a.sum(1) + b.sum(1))).nanmean().item()


@mutants.wrong("dice", "dtype-refused")
def ands_as_they_are(pred, target):
    return (2 * (pred & target).sum() / (pred.sum() + target.sum())).item()


@mutants.wrong("dice", "dtype-refused")
def one_minus_differences(pred, target):
    return 1 - ((pred - target).abs().sum() / (pred.sum() + target.sum())).item()


@mutants.wrong("dice", "not-one-number")
def counts_along_columns(pred, target):
    a, b = pred.double(), target.double()
    return 2 * (a * b).sum(0) / (a.sum(0) + b.sum(0))


@mutants.wrong("dice", "inputs-changed")
def overlap_in_place(pred, target):
    area = pred.sum() + target.sum()
    pred *= target.to(pred.dtype)
    return (2 * pred.sum() / area).item()


@mutants.wrong("dice", "wrong-dice")
def rounded_to_tenths(pred, target):
    a, b = pred.bool(), target.bool()
    return round((2 * (a & b).sum() / (a.sum() + b.sum())).item(), 1)


@mutants.wrong("dice", "one-sided")
def area_of_the_larger(pred, target):
    a, b = pred.bool(), target.bool()
    return ((a & b).sum() / torch.maximum(a.sum(), b.sum())).item()


@mutants.right("dice")
def multiplies(pred, target):
    overlap = (pred * target).sum()
    return 2 * overlap / (pred.sum() + target.sum())


@mutants.right("dice")
def with_numpy_sets(pred, target):
    import numpy as np

    a, b = (set(zip(*np.nonzero(np.asarray(one)), strict=True)) for one in (pred, target))
    return 2 * len(a & b) / (len(a) + len(b))


@mutants.right("dice")
def as_f1(pred, target):
    a, b = pred.bool().flatten(), target.bool().flatten()
    hit, false_alarm, missed = (a & b).sum(), (a & ~b).sum(), (~a & b).sum()
    return (hit / (hit + (false_alarm + missed) / 2)).double()


@mutants.right("dice")
def a_tiny_safety(pred, target):
    a, b = pred.to(torch.float32), target.to(torch.float32)
    return ((2 * (a * b).sum() + 1e-7) / (a.sum() + b.sum() + 1e-7)).item()
