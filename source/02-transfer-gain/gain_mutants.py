"""Wrong and right implementations of lesson 02's exercises: they prove its checks.

Each stands alone with ``torch`` and ``stats`` (scipy's). A wrong one comes with the misconception that its card must
name.
"""

import torch
from course.mutants import Mutants
from scipy import stats

mutants = Mutants()

# -- stratified_split ------------------------------------------------------------------------------------


@mutants.wrong("stratified_split", "not-a-split")
def returns_a_mask(labels, fractions, generator):
    chosen = torch.rand(len(labels), generator=generator)
    edges = torch.cumsum(torch.tensor([0.0, *fractions]), 0)
    return [(chosen >= edges[k]) & (chosen < edges[k + 1]) for k in range(len(fractions))]


@mutants.wrong("stratified_split", "not-a-split")
def one_flat_order(labels, fractions, generator):
    return torch.randperm(len(labels), generator=generator)


@mutants.wrong("stratified_split", "not-a-split")
def a_list_for_each_class(labels, fractions, generator):
    return [torch.where(labels == c)[0] for c in labels.unique()]


@mutants.wrong("stratified_split", "duplicates")
def draws_each_split_anew(labels, fractions, generator):
    splits = []
    for fraction in fractions:
        rows = []
        for c in labels.unique():
            places = torch.where(labels == c)[0]
            order = places[torch.randperm(len(places), generator=generator)]
            rows.append(order[: max(1, round(fraction * len(places)))])
        splits.append(torch.cat(rows))
    return splits


@mutants.wrong("stratified_split", "duplicates")
def pieces_overlap_by_one(labels, fractions, generator):
    splits = [[] for _ in fractions]
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        order = places[torch.randperm(len(places), generator=generator)].tolist()
        start = 0.0
        for split, fraction in zip(splits, fractions, strict=True):
            end = start + fraction * len(order)
            split += order[int(start) : int(end) + 1]
            start = end
    return splits


@mutants.wrong("stratified_split", "duplicates")
def resamples_small_classes(labels, fractions, generator):
    splits = [[] for _ in fractions]
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        order = places[torch.randperm(len(places), generator=generator)].tolist()
        start = 0
        for split, fraction in zip(splits, fractions, strict=True):
            count = max(1, round(fraction * len(order)))
            split += order[start : start + count] or order[:1]
            start += count
        splits[0] += order[start:]
    return splits


@mutants.wrong("stratified_split", "examples-lost")
def drops_the_remainder(labels, fractions, generator):
    splits = [[] for _ in fractions]
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        order = places[torch.randperm(len(places), generator=generator)].tolist()
        start = 0
        for split, fraction in zip(splits, fractions, strict=True):
            count = int(fraction * len(order))
            split += order[start : start + count]
            start += count
    return splits


@mutants.wrong("stratified_split", "examples-lost")
def knows_ten_classes(labels, fractions, generator):
    splits = [[] for _ in fractions]
    for c in range(10):
        places = torch.where(labels == c)[0]
        if len(places) == 0:
            continue
        order = places[torch.randperm(len(places), generator=generator)].tolist()
        counts = [1] * len(fractions) if len(order) >= len(fractions) else [0] * len(fractions)
        while sum(counts) < len(order):
            short = [f * len(order) - n for f, n in zip(fractions, counts, strict=True)]
            counts[short.index(max(short))] += 1
        for split, count in zip(splits, counts, strict=True):
            split += order[:count]
            order = order[count:]
    return splits


@mutants.wrong("stratified_split", "not-dataset-indices")
def places_within_the_class(labels, fractions, generator):
    splits = [[] for _ in fractions]
    for c in labels.unique():
        size = int((labels == c).sum())
        order = torch.randperm(size, generator=generator).tolist()
        start = 0
        for i, (split, fraction) in enumerate(zip(splits, fractions, strict=True)):
            end = size if i == len(fractions) - 1 else start + round(fraction * size)
            split += order[start:end]
            start = end
    return splits


@mutants.wrong("stratified_split", "not-dataset-indices")
def counts_from_one(labels, fractions, generator):
    splits = [[] for _ in fractions]
    for c in labels.unique():
        places = torch.where(labels == c)[0] + 1
        order = places[torch.randperm(len(places), generator=generator)].tolist()
        start = 0
        for i, (split, fraction) in enumerate(zip(splits, fractions, strict=True)):
            end = len(order) if i == len(fractions) - 1 else start + round(fraction * len(order))
            split += order[start:end]
            start = end
    return splits


@mutants.wrong("stratified_split", "not-stratified")
def ignores_the_classes(labels, fractions, generator):
    order = torch.randperm(len(labels), generator=generator)
    ends = (torch.cumsum(torch.tensor(fractions), 0) * len(labels)).round().long().tolist()
    ends[-1] = len(labels)
    return [order[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


@mutants.wrong("stratified_split", "not-stratified")
def the_same_of_each_class(labels, fractions, generator):
    classes = labels.unique()
    smallest = min(int((labels == c).sum()) for c in classes)
    splits = [[] for _ in fractions]
    for c in classes:
        places = torch.where(labels == c)[0]
        order = places[torch.randperm(len(places), generator=generator)].tolist()
        start = 0
        for split, fraction in list(zip(splits, fractions, strict=True))[1:]:
            count = max(1, round(fraction * smallest))
            split += order[start : start + count]
            start += count
        splits[0] += order[start:]
    return splits


@mutants.wrong("stratified_split", "not-stratified")
def sorted_then_cut(labels, fractions, generator):
    shuffled = torch.randperm(len(labels), generator=generator)
    order = shuffled[labels[shuffled].argsort(stable=True)]
    ends = (torch.cumsum(torch.tensor(fractions), 0) * len(labels)).round().long().tolist()
    ends[-1] = len(labels)
    return [order[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


@mutants.wrong("stratified_split", "not-stratified")
def fractions_in_another_order(labels, fractions, generator):
    splits = [[] for _ in fractions]
    ranked = sorted(fractions, reverse=True)
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        order = places[torch.randperm(len(places), generator=generator)].tolist()
        ends = [round(sum(ranked[: i + 1]) * len(order)) for i in range(len(ranked))]
        for split, a, b in zip(splits, [0, *ends[:-1]], ends, strict=True):
            split += order[a:b]
    return splits


@mutants.wrong("stratified_split", "class-lost")
def rounds_down_and_gives_the_rest_to_the_first(labels, fractions, generator):
    splits = [[] for _ in fractions]
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        order = places[torch.randperm(len(places), generator=generator)].tolist()
        start = 0
        for split, fraction in list(zip(splits, fractions, strict=True))[1:]:
            count = int(fraction * len(order))
            split += order[start : start + count]
            start += count
        splits[0] += order[start:]
    return splits


@mutants.wrong("stratified_split", "class-lost")
def rounds_the_cumulated_fractions(labels, fractions, generator):
    splits = [[] for _ in fractions]
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        order = places[torch.randperm(len(places), generator=generator)].tolist()
        ends = [round(sum(fractions[: i + 1]) * len(order)) for i in range(len(fractions))]
        for split, a, b in zip(splits, [0, *ends[:-1]], ends, strict=True):
            split += order[a:b]
    return splits


@mutants.wrong("stratified_split", "generator-ignored")
def draws_from_the_global_generator(labels, fractions, generator):
    splits = [[] for _ in fractions]
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        order = places[torch.randperm(len(places))].tolist()
        counts = [1] * len(fractions) if len(order) >= len(fractions) else [0] * len(fractions)
        while sum(counts) < len(order):
            short = [f * len(order) - n for f, n in zip(fractions, counts, strict=True)]
            counts[short.index(max(short))] += 1
        for split, count in zip(splits, counts, strict=True):
            split += order[:count]
            order = order[count:]
    return splits


@mutants.wrong("stratified_split", "generator-ignored")
def seeds_the_global_generator(labels, fractions, generator):
    torch.manual_seed(generator.initial_seed())
    splits = [[] for _ in fractions]
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        order = places[torch.randperm(len(places))].tolist()
        counts = [1] * len(fractions) if len(order) >= len(fractions) else [0] * len(fractions)
        while sum(counts) < len(order):
            short = [f * len(order) - n for f, n in zip(fractions, counts, strict=True)]
            counts[short.index(max(short))] += 1
        for split, count in zip(splits, counts, strict=True):
            split += order[:count]
            order = order[count:]
    return splits


@mutants.wrong("stratified_split", "generator-ignored")
def shuffles_with_pythons_random(labels, fractions, generator):
    import random

    random.seed(int(torch.randint(2**31, (), generator=generator)))
    splits = [[] for _ in fractions]
    for c in labels.unique():
        order = torch.where(labels == c)[0].tolist()
        random.shuffle(order)
        counts = [1] * len(fractions) if len(order) >= len(fractions) else [0] * len(fractions)
        while sum(counts) < len(order):
            short = [f * len(order) - n for f, n in zip(fractions, counts, strict=True)]
            counts[short.index(max(short))] += 1
        for split, count in zip(splits, counts, strict=True):
            split += order[:count]
            order = order[count:]
    return splits


@mutants.wrong("stratified_split", "always-the-same")
def seeds_the_generator_anew(labels, fractions, generator):
    generator.manual_seed(0)
    splits = [[] for _ in fractions]
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        order = places[torch.randperm(len(places), generator=generator)].tolist()
        counts = [1] * len(fractions) if len(order) >= len(fractions) else [0] * len(fractions)
        while sum(counts) < len(order):
            short = [f * len(order) - n for f, n in zip(fractions, counts, strict=True)]
            counts[short.index(max(short))] += 1
        for split, count in zip(splits, counts, strict=True):
            split += order[:count]
            order = order[count:]
    return splits


@mutants.wrong("stratified_split", "always-the-same")
def shuffles_after_the_cut(labels, fractions, generator):
    splits = [[] for _ in fractions]
    for c in labels.unique():
        order = torch.where(labels == c)[0].tolist()
        counts = [1] * len(fractions) if len(order) >= len(fractions) else [0] * len(fractions)
        while sum(counts) < len(order):
            short = [f * len(order) - n for f, n in zip(fractions, counts, strict=True)]
            counts[short.index(max(short))] += 1
        for split, count in zip(splits, counts, strict=True):
            split += order[:count]
            order = order[count:]
    return [
        torch.tensor(split, dtype=torch.long)[torch.randperm(len(split), generator=generator)]
        for split in splits
    ]


@mutants.right("stratified_split")
def by_largest_remainder(labels, fractions, generator):
    splits = [[] for _ in fractions]
    for c in set(labels.tolist()):
        places = [i for i, label in enumerate(labels.tolist()) if label == c]
        n, k = len(places), len(fractions)
        exact = [f * n for f in fractions]
        counts = [int(e) for e in exact]
        for i in sorted(range(k), key=lambda i: counts[i] - exact[i])[: n - sum(counts)]:
            counts[i] += 1
        while n >= k and 0 in counts:
            counts[counts.index(max(counts))] -= 1
            counts[counts.index(0)] += 1
        order = torch.randperm(n, generator=generator).tolist()
        for split, count in zip(splits, counts, strict=True):
            split.extend(places[order.pop()] for _ in range(count))
    return tuple(splits)


@mutants.right("stratified_split")
def deals_one_by_one(labels, fractions, generator):
    shuffled = torch.randperm(len(labels), generator=generator)
    splits = [set() for _ in fractions]
    for c in labels.unique():
        size, given = int((labels == c).sum()), [0] * len(fractions)
        for number, row in enumerate(shuffled[labels[shuffled] == c].tolist()):
            empty = [i for i, count in enumerate(given) if count == 0]
            if number < len(fractions) <= size:
                to = empty[0]
            else:
                to = max(range(len(given)), key=lambda i: fractions[i] * size - given[i])
            splits[to].add(row)
            given[to] += 1
    return splits


@mutants.right("stratified_split")
def with_numpy_seeded_by_the_generator(labels, fractions, generator):
    import numpy as np

    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    parts = [[] for _ in fractions]
    for c in np.unique(labels.numpy()):
        places = rng.permutation(np.flatnonzero(labels.numpy() == c))
        n, k = len(places), len(fractions)
        ends = np.rint(np.cumsum(fractions) * n).astype(int)
        ends[-1] = n
        if n >= k:
            for i in range(k - 1):
                ends[i] = max(ends[i], ends[i - 1] + 1 if i else 1)
            for i in reversed(range(k - 1)):
                ends[i] = min(ends[i], ends[i + 1] - 1)
        for part, piece in zip(parts, np.split(places, ends[:-1]), strict=True):
            part.append(piece)
    return [np.sort(np.concatenate(part)) for part in parts]


@mutants.right("stratified_split")
def a_label_for_each_split(labels, fractions, generator):
    home = torch.zeros_like(labels)
    for c in labels.unique():
        n, k = int((labels == c).sum()), len(fractions)
        counts = [max(1, int(f * n)) for f in fractions] if n >= k else [n] + [0] * (k - 1)
        counts[counts.index(max(counts))] += n - sum(counts)
        names = torch.repeat_interleave(torch.arange(k), torch.tensor(counts))
        home[labels == c] = names[torch.rand(n, generator=generator).argsort()]
    return [torch.where(home == i)[0] for i in range(len(fractions))]


@mutants.right("stratified_split")
def gives_them_one_at_a_time(labels, fractions, generator):
    homes = [[] for _ in fractions]
    for c in labels.unique():
        order = torch.where(labels == c)[0]
        order = order[torch.randperm(len(order), generator=generator)]
        n, k = len(order), len(fractions)
        counts = [1 if n >= k else 0] * k
        for _ in range(n - sum(counts)):
            lack = [f * n - count for f, count in zip(fractions, counts, strict=True)]
            counts[lack.index(max(lack))] += 1
        for home, piece in zip(homes, order.split(counts), strict=True):
            home.append(piece)
    yield from (torch.cat(home) for home in homes)


# -- n_per_class -----------------------------------------------------------------------------------------


@mutants.wrong("n_per_class", "not-indices")
def gives_a_mask(labels, n, generator):
    mask = torch.zeros(len(labels), dtype=torch.bool)
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        mask[places[torch.randperm(len(places), generator=generator)[:n]]] = True
    return mask


@mutants.wrong("n_per_class", "not-indices")
def prints_them(labels, n, generator):
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        print(places[torch.randperm(len(places), generator=generator)[:n]])


@mutants.wrong("n_per_class", "drawn-twice")
def with_replacement(labels, n, generator):
    rows = []
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        rows.append(places[torch.randint(len(places), (n,), generator=generator)])
    return torch.cat(rows)


@mutants.wrong("n_per_class", "drawn-twice")
def multinomial_with_replacement(labels, n, generator):
    return torch.cat(
        [
            torch.multinomial((labels == c).double(), n, replacement=True, generator=generator)
            for c in labels.unique()
        ]
    )


@mutants.wrong("n_per_class", "wrong-number")
def n_of_all_together(labels, n, generator):
    return torch.randperm(len(labels), generator=generator)[: n * len(labels.unique())]


@mutants.wrong("n_per_class", "wrong-number")
def one_too_many(labels, n, generator):
    rows = []
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        rows.append(places[torch.randperm(len(places), generator=generator)[: n + 1]])
    return torch.cat(rows)


@mutants.wrong("n_per_class", "class-missing")
def classes_from_zero(labels, n, generator):
    rows = []
    for c in range(len(labels.unique())):
        places = torch.where(labels == c)[0]
        rows.append(places[torch.randperm(len(places), generator=generator)[:n]])
    return torch.cat(rows)


@mutants.wrong("n_per_class", "class-missing")
def forgets_the_last_class(labels, n, generator):
    rows = []
    for c in range(int(labels.max())):
        places = torch.where(labels == c)[0]
        rows.append(places[torch.randperm(len(places), generator=generator)[:n]])
    return torch.cat(rows)


@mutants.wrong("n_per_class", "class-missing")
def leaves_out_classes_of_n(labels, n, generator):
    rows = []
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        if len(places) > n:
            rows.append(places[torch.randperm(len(places), generator=generator)[:n]])
    return torch.cat(rows)


@mutants.wrong("n_per_class", "not-dataset-indices")
def places_in_the_class(labels, n, generator):
    sizes = [int((labels == c).sum()) for c in labels.unique()]
    return torch.cat([torch.randperm(size, generator=generator)[:n] for size in sizes])


@mutants.wrong("n_per_class", "not-dataset-indices")
def from_one_on(labels, n, generator):
    rows = []
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        rows.append(places[torch.randperm(len(places), generator=generator)[:n]] + 1)
    return torch.cat([*rows, torch.tensor([len(labels)])])


@mutants.wrong("n_per_class", "generator-ignored")
def the_global_generator(labels, n, generator):
    rows = []
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        rows.append(places[torch.randperm(len(places))[:n]])
    return torch.cat(rows)


@mutants.wrong("n_per_class", "generator-ignored")
def the_global_generator_seeded(labels, n, generator):
    torch.manual_seed(generator.initial_seed())
    rows = []
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        rows.append(places[torch.randperm(len(places))[:n]])
    return torch.cat(rows)


@mutants.wrong("n_per_class", "generator-ignored")
def a_global_draw_beside_it(labels, n, generator):
    rows = []
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        rows.append(places[torch.randperm(len(places), generator=generator)[:n]])
    rows = torch.cat(rows)
    return rows[torch.randperm(len(rows))]


@mutants.wrong("n_per_class", "always-the-same")
def the_first_n(labels, n, generator):
    return torch.cat([torch.where(labels == c)[0][:n] for c in labels.unique()])


@mutants.wrong("n_per_class", "always-the-same")
def a_generator_of_its_own(labels, n, generator):
    own, rows = torch.Generator().manual_seed(0), []
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        rows.append(places[torch.randperm(len(places), generator=own)[:n]])
    return torch.cat(rows)


@mutants.wrong("n_per_class", "always-the-same")
def shuffles_the_first_n(labels, n, generator):
    rows = []
    for c in labels.unique():
        places = torch.where(labels == c)[0][:n]
        rows.append(places[torch.randperm(len(places), generator=generator)])
    return torch.cat(rows)


@mutants.wrong("n_per_class", "labels-changed")
def crosses_them_out(labels, n, generator):
    rows = []
    for c in labels.unique():
        places = torch.where(labels == c)[0]
        chosen = places[torch.randperm(len(places), generator=generator)[:n]]
        labels[chosen] = -(10**6)
        rows.append(chosen)
    return torch.cat(rows)


@mutants.wrong("n_per_class", "labels-changed")
def shuffles_the_labels_too(labels, n, generator):
    order = torch.randperm(len(labels), generator=generator)
    labels.copy_(labels[order].clone())
    return torch.cat([order[torch.where(labels == c)[0][:n]] for c in labels.unique()])


@mutants.right("n_per_class")
def multinomial(labels, n, generator):
    return [
        row
        for c in labels.unique()
        for row in torch.multinomial((labels == c).double(), n, generator=generator).tolist()
    ]


@mutants.right("n_per_class")
def walks_through_a_shuffle(labels, n, generator):
    taken, rows = {}, set()
    for row in torch.randperm(len(labels), generator=generator).tolist():
        label = labels[row].item()
        if taken.get(label, 0) < n:
            taken[label] = taken.get(label, 0) + 1
            rows.add(row)
    return rows


@mutants.right("n_per_class")
def a_row_for_each_class(labels, n, generator):
    luck = torch.rand(len(labels), generator=generator)
    classes = labels.unique()
    return torch.stack([luck.masked_fill(labels != c, -1).topk(n).indices for c in classes])


@mutants.right("n_per_class")
def with_numpy(labels, n, generator):
    import numpy as np

    seed = int(torch.randint(2**31, (1,), generator=generator))
    rng = np.random.RandomState(seed)
    array = labels.numpy()
    rows = [rng.choice(np.flatnonzero(array == c), n, replace=False) for c in np.unique(array)]
    return np.concatenate(rows)


# -- normalisation_stats ---------------------------------------------------------------------------------


@mutants.wrong("normalisation_stats", "wrong-axes")
def over_the_images_only(train_images):
    return train_images.mean(dim=0), train_images.std(dim=0)


@mutants.wrong("normalisation_stats", "wrong-axes")
def over_everything(train_images):
    return train_images.mean(), train_images.std()


@mutants.wrong("normalisation_stats", "wrong-axes")
def one_number_for_all_channels(train_images):
    channels = train_images.shape[1]
    return train_images.mean().repeat(channels), train_images.std().repeat(channels)


@mutants.wrong("normalisation_stats", "wrong-axes")
def channels_last(train_images):
    return train_images.mean(dim=(0, 1, 2)), train_images.std(dim=(0, 1, 2))


@mutants.wrong("normalisation_stats", "wrong-axes")
def for_each_image(train_images):
    return train_images.mean(dim=(1, 2, 3)), train_images.std(dim=(1, 2, 3))


@mutants.wrong("normalisation_stats", "wrong-axes")
def keeps_the_axes(train_images):
    mean = train_images.mean(dim=(0, 2, 3), keepdim=True)
    return mean, train_images.std(dim=(0, 2, 3), keepdim=True)


@mutants.wrong("normalisation_stats", "wrong-axes")
def reshapes_without_transposing(train_images):
    flat = train_images.reshape(train_images.shape[1], -1)
    return flat.mean(dim=1), flat.std(dim=1)


@mutants.wrong("normalisation_stats", "wrong-axes")
def squeezes_one_channel(train_images):
    mean, std = train_images.mean(dim=(0, 2, 3)), train_images.std(dim=(0, 2, 3))
    return mean.squeeze(), std.squeeze()


@mutants.wrong("normalisation_stats", "mean-of-stds")
def averages_the_images_stds(train_images):
    return train_images.mean(dim=(0, 2, 3)), train_images.std(dim=(2, 3)).mean(dim=0)


@mutants.wrong("normalisation_stats", "mean-of-stds")
def std_of_the_images_means(train_images):
    means = train_images.mean(dim=(2, 3))
    return means.mean(dim=0), means.std(dim=0)


@mutants.wrong("normalisation_stats", "mean-of-stds")
def averages_the_pixels_stds(train_images):
    return train_images.mean(dim=(0, 2, 3)), train_images.std(dim=0).mean(dim=(1, 2))


@mutants.wrong("normalisation_stats", "mean-of-stds")
def averages_the_images_variances(train_images):
    return train_images.mean(dim=(0, 2, 3)), train_images.var(dim=(2, 3)).mean(dim=0).sqrt()


@mutants.wrong("normalisation_stats", "variance")
def forgets_the_root(train_images):
    return train_images.mean(dim=(0, 2, 3)), train_images.var(dim=(0, 2, 3))


@mutants.wrong("normalisation_stats", "swapped")
def std_first(train_images):
    return train_images.std(dim=(0, 2, 3)), train_images.mean(dim=(0, 2, 3))


@mutants.wrong("normalisation_stats", "not-a-pair")
def the_mean_alone(train_images):
    return train_images.mean(dim=(0, 2, 3))


@mutants.wrong("normalisation_stats", "images-changed")
def centres_in_place(train_images):
    mean = train_images.mean(dim=(0, 2, 3))
    train_images -= mean.view(1, -1, 1, 1)
    return mean, train_images.std(dim=(0, 2, 3))


@mutants.wrong("normalisation_stats", "images-changed")
def normalises_in_place(train_images):
    mean, std = train_images.mean(dim=(0, 2, 3)), train_images.std(dim=(0, 2, 3))
    train_images.sub_(mean[:, None, None]).div_(std[:, None, None])
    return mean, std


@mutants.wrong("normalisation_stats", "wrong-statistics")
def root_mean_square(train_images):
    return train_images.mean(dim=(0, 2, 3)), train_images.square().mean(dim=(0, 2, 3)).sqrt()


@mutants.wrong("normalisation_stats", "wrong-statistics")
def the_median(train_images):
    values = train_images.transpose(0, 1).flatten(1)
    return values.median(dim=1).values, values.std(dim=1)


@mutants.right("normalisation_stats")
def with_the_channels_first(train_images):
    values = train_images.transpose(0, 1).flatten(start_dim=1)
    return values.mean(dim=1), values.std(dim=1, unbiased=False)


@mutants.right("normalisation_stats")
def with_std_mean(train_images):
    std, mean = torch.std_mean(train_images, dim=(0, -2, -1))
    return [mean, std]


@mutants.right("normalisation_stats")
def by_moments(train_images):
    mean = train_images.mean(dim=(0, 2, 3))
    square = train_images.square().mean(dim=(0, 2, 3))
    return mean, (square - mean**2).sqrt()


@mutants.right("normalisation_stats")
def with_numpy_arrays(train_images):
    array = train_images.numpy()
    return array.mean(axis=(0, 2, 3)), array.std(axis=(0, 2, 3))


@mutants.right("normalisation_stats")
def channel_by_channel(train_images):
    means, stds = [], []
    for channel in range(train_images.shape[1]):
        means.append(train_images[:, channel].mean().item())
        stds.append(train_images[:, channel].std().item())
    return torch.tensor(means), torch.tensor(stds)


# -- learning_curve --------------------------------------------------------------------------------------


@mutants.wrong("learning_curve", "test-in-training")
def trains_on_everything(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    x, y = torch.cat([train_x, test_x]), torch.cat([train_y, test_y])
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:size]
            model = make_model(seed)
            model.fit(x[rows], y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "test-in-training")
def unpacks_the_wrong_way_round(make_model, data, sizes, seeds):
    (test_x, test_y), (train_x, train_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "unknown-examples")
def normalises_on_the_way(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    train_x = (train_x - train_x.mean()) / train_x.std()
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "unpaired")
def shuffles_the_examples_alone(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[:size])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "repeated")
def draws_with_replacement(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randint(len(train_x), (size,), generator=draw)
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "wrong-size")
def always_all_of_them(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, _ in enumerate(sizes):
        for j, seed in enumerate(seeds):
            rows = torch.randperm(len(train_x), generator=torch.Generator().manual_seed(seed))
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "wrong-size")
def so_many_of_each_class(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            order = torch.randperm(len(train_x), generator=draw)
            rows = torch.cat([order[train_y[order] == c][:size] for c in train_y.unique()])
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "not-fresh")
def one_model_a_seed(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for j, seed in enumerate(seeds):
        model = make_model(seed)
        for i, size in enumerate(sizes):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "not-fresh")
def fits_three_times(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            for _ in range(3):
                model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "not-fitted")
def scores_before_the_fit(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            table[i, j] = model.score(test_x, test_y)
            model.fit(train_x[rows], train_y[rows])
    return table


@mutants.wrong("learning_curve", "not-fitted")
def makes_the_table_up(make_model, data, sizes, seeds):
    return torch.rand(len(sizes), len(seeds))


@mutants.wrong("learning_curve", "not-fitted")
def pairs_sizes_with_seeds(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, (size, seed) in enumerate(zip(sizes, seeds, strict=False)):
        rows = torch.randperm(len(train_x), generator=torch.Generator().manual_seed(seed))[:size]
        model = make_model(seed)
        model.fit(train_x[rows], train_y[rows])
        table[i] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "best-of-several")
def the_best_of_three_models(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            scores = []
            for _ in range(3):
                model = make_model(seed)
                model.fit(train_x[rows], train_y[rows])
                scores.append(model.score(test_x, test_y))
            table[i, j] = max(scores)
    return table


@mutants.wrong("learning_curve", "best-of-several")
def the_best_of_two_scores(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = max(model.score(test_x, test_y), model.score(test_x, test_y))
    return table


@mutants.wrong("learning_curve", "scored-on-training")
def scores_what_was_fitted(make_model, data, sizes, seeds):
    (train_x, train_y), _ = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(train_x[rows], train_y[rows])
    return table


@mutants.wrong("learning_curve", "part-of-test")
def as_many_test_examples(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x[:size], test_y[:size])
    return table


@mutants.wrong("learning_curve", "wrong-shape")
def averages_over_the_seeds(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table.mean(dim=1)


@mutants.wrong("learning_curve", "wrong-shape")
def a_row_for_each_seed(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(seeds), len(sizes))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[j, i] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "wrong-places")
def fills_column_by_column(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    scores = []
    for seed in seeds:
        for size in sizes:
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            scores.append(model.score(test_x, test_y))
    return torch.tensor(scores).reshape(len(sizes), len(seeds))


@mutants.wrong("learning_curve", "wrong-places")
def in_percent(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = 100 * model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "wrong-places")
def sorts_the_sizes(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sorted(sizes)):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "seed-not-passed")
def counts_the_seeds(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j in range(len(seeds)):
            draw = torch.Generator().manual_seed(j)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(j)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "seed-ignored")
def takes_the_first(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            model = make_model(seed)
            model.fit(train_x[:size], train_y[:size])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "seed-ignored")
def one_seed_for_every_draw(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            rows = torch.randperm(len(train_x), generator=torch.Generator().manual_seed(0))[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "draw-not-repeated")
def an_unseeded_draw(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            rows = torch.randperm(len(train_x))[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.wrong("learning_curve", "draw-not-repeated")
def one_generator_for_all(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    draw = torch.Generator().manual_seed(seeds[0])
    table = torch.zeros(len(sizes), len(seeds))
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            table[i, j] = model.score(test_x, test_y)
    return table


@mutants.right("learning_curve")
def one_order_a_seed(make_model, data, sizes, seeds):
    (train_x, train_y), test = data
    columns = []
    for seed in seeds:
        order = torch.randperm(len(train_x), generator=torch.Generator().manual_seed(seed))
        column = []
        for size in sizes:
            model = make_model(seed=seed)
            model.fit(x=train_x[order[:size]], y=train_y[order[:size]])
            column.append(model.score(*test))
        columns.append(column)
    return torch.tensor(columns, dtype=torch.float64).T


@mutants.right("learning_curve")
def nested_lists(make_model, data, sizes, seeds):
    import random

    def accuracy(size, seed):
        rows = random.Random(seed).sample(range(len(data[0][0])), size)
        model = make_model(seed)
        model.fit(*(tensor[rows] for tensor in data[0]))
        return model.score(*data[1])

    return [[accuracy(size, seed) for seed in seeds] for size in sizes]


@mutants.right("learning_curve")
def by_the_global_generator_seeded(make_model, data, sizes, seeds):
    import numpy as np

    (train_x, train_y), (test_x, test_y) = data
    table = np.empty((len(sizes), len(seeds)))
    for (i, j), _ in np.ndenumerate(table):
        model = make_model(int(seeds[j]))
        torch.manual_seed(int(seeds[j]))
        rows = torch.randperm(len(train_x))[: sizes[i]].sort().values
        model.fit(train_x[rows], train_y[rows])
        table[i, j] = model.score(test_x, test_y)
    return table


@mutants.right("learning_curve")
def makes_all_models_first(make_model, data, sizes, seeds):
    (train_x, train_y), (test_x, test_y) = data
    models = {(i, seed): make_model(seed) for i in range(len(sizes)) for seed in seeds}
    for (i, seed), model in models.items():
        weights = torch.rand(len(train_x), generator=torch.Generator().manual_seed(1000 + seed))
        rows = weights.topk(sizes[i]).indices
        model.fit(train_x[rows], train_y[rows])
    back = torch.arange(len(test_x)).flip(0)
    scores = [model.score(test_x[back], test_y[back]) for model in models.values()]
    return torch.tensor(scores).view(len(sizes), len(seeds))


# -- transfer_gain ---------------------------------------------------------------------------------------


@mutants.wrong("transfer_gain", "not-three")
def the_gain_alone(pretrained, scratch):
    return (torch.as_tensor(pretrained) - torch.as_tensor(scratch)).mean()


@mutants.wrong("transfer_gain", "not-three")
def gain_and_interval(pretrained, scratch):
    d = torch.as_tensor(pretrained) - torch.as_tensor(scratch)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
    return d.mean(), (d.mean() - half, d.mean() + half)


@mutants.wrong("transfer_gain", "ratio")
def ratio_of_the_means(pretrained, scratch):
    p, s = torch.as_tensor(pretrained), torch.as_tensor(scratch)
    ratio = p.mean() / s.mean()
    half = stats.t.ppf(0.975, len(p) - 1) * (p / s).std() / len(p) ** 0.5
    return ratio, ratio - half, ratio + half


@mutants.wrong("transfer_gain", "ratio")
def relative_improvement(pretrained, scratch):
    d = [(p - s) / s for p, s in zip(pretrained, scratch, strict=True)]
    d = torch.tensor(d, dtype=torch.float64)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half


@mutants.wrong("transfer_gain", "percent")
def in_points_of_percent(pretrained, scratch):
    d = 100 * (torch.as_tensor(pretrained) - torch.as_tensor(scratch))
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half


@mutants.wrong("transfer_gain", "wrong-sign")
def scratch_less_pretrained(pretrained, scratch):
    d = torch.as_tensor(scratch) - torch.as_tensor(pretrained)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half


@mutants.wrong("transfer_gain", "wrong-gain")
def the_best_of_each(pretrained, scratch):
    d = torch.as_tensor(pretrained) - torch.as_tensor(scratch)
    gain = max(pretrained) - max(scratch)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
    return gain, gain - half, gain + half


@mutants.wrong("transfer_gain", "wrong-gain")
def the_median_difference(pretrained, scratch):
    d = torch.as_tensor(pretrained) - torch.as_tensor(scratch)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
    return d.median(), d.median() - half, d.median() + half


@mutants.wrong("transfer_gain", "wrong-gain")
def rounded(pretrained, scratch):
    d = torch.as_tensor(pretrained) - torch.as_tensor(scratch)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
    return tuple(round(float(value), 2) for value in (d.mean(), d.mean() - half, d.mean() + half))


@mutants.wrong("transfer_gain", "unpaired-seeds")
def two_samples(pretrained, scratch):
    found = stats.ttest_ind(pretrained, scratch, equal_var=False).confidence_interval(0.95)
    gain = sum(pretrained) / len(pretrained) - sum(scratch) / len(scratch)
    return gain, found.low, found.high


@mutants.wrong("transfer_gain", "unpaired-seeds")
def adds_the_variances(pretrained, scratch):
    p, s = torch.as_tensor(pretrained), torch.as_tensor(scratch)
    n, gain = len(p), p.mean() - s.mean()
    half = stats.t.ppf(0.975, n - 1) * (p.var() / n + s.var() / n).sqrt()
    return gain, gain - half, gain + half


@mutants.wrong("transfer_gain", "unpaired-seeds")
def sorts_before_it_pairs(pretrained, scratch):
    d = torch.as_tensor(pretrained).sort().values - torch.as_tensor(scratch).sort().values
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half


@mutants.wrong("transfer_gain", "spread-not-error")
def no_root_of_n(pretrained, scratch):
    d = torch.as_tensor(pretrained) - torch.as_tensor(scratch)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std()
    return d.mean(), d.mean() - half, d.mean() + half


@mutants.wrong("transfer_gain", "normal-quantile")
def with_1_96(pretrained, scratch):
    d = torch.as_tensor(pretrained) - torch.as_tensor(scratch)
    half = 1.96 * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half


@mutants.wrong("transfer_gain", "wrong-degrees")
def n_degrees(pretrained, scratch):
    d = torch.as_tensor(pretrained) - torch.as_tensor(scratch)
    half = stats.t.ppf(0.975, len(d)) * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half


@mutants.wrong("transfer_gain", "one-sided")
def leaves_five_percent_each(pretrained, scratch):
    d = torch.as_tensor(pretrained) - torch.as_tensor(scratch)
    half = stats.t.ppf(0.95, len(d) - 1) * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half


@mutants.wrong("transfer_gain", "population-std")
def numpys_std(pretrained, scratch):
    import numpy as np

    d = np.asarray(pretrained) - np.asarray(scratch)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / np.sqrt(len(d))
    return d.mean(), d.mean() - half, d.mean() + half


@mutants.wrong("transfer_gain", "ends-swapped")
def high_before_low(pretrained, scratch):
    d = torch.as_tensor(pretrained) - torch.as_tensor(scratch)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() + half, d.mean() - half


@mutants.wrong("transfer_gain", "ends-swapped")
def around_zero(pretrained, scratch):
    d = torch.as_tensor(pretrained) - torch.as_tensor(scratch)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std() / len(d) ** 0.5
    return d.mean(), -half, half


@mutants.wrong("transfer_gain", "wrong-interval")
def at_ninety_nine(pretrained, scratch):
    d = torch.as_tensor(pretrained) - torch.as_tensor(scratch)
    half = stats.t.ppf(0.995, len(d) - 1) * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half


@mutants.right("transfer_gain")
def with_scipys_test(pretrained, scratch):
    import numpy as np

    d = np.asarray(pretrained, dtype=float) - np.asarray(scratch, dtype=float)
    found = stats.ttest_1samp(d, 0.0).confidence_interval(0.95)
    return np.array([d.mean(), found.low, found.high])


@mutants.right("transfer_gain")
def in_plain_python(pretrained, scratch):
    import math
    import statistics

    from scipy.special import stdtrit

    d = [float(p) - float(s) for p, s in zip(pretrained, scratch, strict=True)]
    gain = statistics.fmean(d)
    half = float(stdtrit(len(d) - 1, 0.975)) * statistics.stdev(d) / math.sqrt(len(d))
    return [gain, gain - half, gain + half]


@mutants.wrong("transfer_gain", "normal-quantile")
def a_normal_from_thirty_on(pretrained, scratch):
    d = torch.as_tensor(pretrained, dtype=torch.float64) - torch.as_tensor(
        scratch, dtype=torch.float64
    )
    t = 1.96 if len(d) >= 30 else float(stats.t.ppf(0.975, len(d) - 1))
    half = t * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half


@mutants.right("transfer_gain")
def as_one_tensor(pretrained, scratch):
    both = torch.stack([torch.as_tensor(pretrained), torch.as_tensor(scratch)])
    d = both[0] - both[1]
    t = float(stats.t.isf(0.025, df=len(d) - 1))
    half = t * torch.sqrt(d.var(correction=1) / len(d))
    return d.mean() + half * torch.tensor([0.0, -1.0, 1.0])


@mutants.right("transfer_gain")
def a_named_tuple(pretrained, scratch):
    from collections import namedtuple

    Gain = namedtuple("Gain", "gain low high")
    n = len(pretrained)
    d = [float(a - b) for a, b in zip(pretrained, scratch, strict=True)]
    mean = sum(d) / n
    s = (sum((x - mean) ** 2 for x in d) / (n - 1)) ** 0.5
    half = stats.t(n - 1).ppf(0.975) * s / n**0.5
    return Gain(gain=mean, low=mean - half, high=mean + half)


@mutants.right("transfer_gain")
def with_scipys_interval(pretrained, scratch):
    d = torch.as_tensor(pretrained).double() - torch.as_tensor(scratch).double()
    low, high = stats.t.interval(0.95, len(d) - 1, loc=d.mean(), scale=stats.sem(d))
    return d.mean(), low, high
