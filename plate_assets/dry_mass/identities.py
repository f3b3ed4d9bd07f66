"""Which links between cells are the same cell: pieces that were torn off, cells that merge and part, divisions.

Belongs here: what links mean, as numbers of cells. Not here: making links, and the table of tracks (`tracking`).
"""

from typing import NamedTuple

import numpy as np
import polars as pl
from scipy import sparse
from scipy.sparse import csgraph

from plate_assets.dry_mass.link_settings import LinkSettings

SOON = 1e-9  # hours: times are compared with this to spare


class Nodes(NamedTuple):
    """Cells that can be linked, in the order of frames.

    place: (n, 3) of `_places`. follows: the cell that follows each in its chain, or -1. chain: number of the chain.
    """

    hour: np.ndarray
    mass: np.ndarray
    place: np.ndarray
    follows: np.ndarray
    chain: np.ndarray

    @property
    def before(self) -> np.ndarray:
        """The cell before each in its chain, or -1."""
        before, at = np.full(len(self.follows), -1), np.flatnonzero(self.follows >= 0)
        before[self.follows[at]] = at
        return before


def resolve(
    nodes: Nodes, splits: np.ndarray, merges: np.ndarray, settings: LinkSettings
) -> tuple[np.ndarray, np.ndarray, pl.Series]:
    """Track of each cell (n,), mother of each track or -1, and what happens to each cell (`tracking.link_cells`).

    splits, merges: (links, 2) of `chains`.
    """
    for crossed in (_torn_across, _parted_across):
        kept = _conserved(nodes, splits, merges, settings)
        nodes, splits = _swapped(nodes, splits, crossed(nodes, *kept, settings))
    parted, merged = _conserved(nodes, splits, merges, settings)
    owner, piece, met = _same_cells(nodes, parted, merged, settings)
    track = owner[nodes.chain]
    own = piece[nodes.chain[splits[:, 1]]] | np.isin(splits[:, 1], met[:, 1])
    divided = _divisions(nodes, track, splits[~own], settings) if settings.divisions else splits[:0]
    track, parent = _cut(nodes.hour, track, divided)
    return track, parent, _events(nodes, track, piece[nodes.chain], merged[~piece[nodes.chain[merged[:, 0]]]], met)


def chains(place: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cell that follows each in its chain or -1 (n,); splits and merges, (links, 2) each.

    A link is the chain's where it is the cheapest of both its cells. Of the others, one that leads to the beginning of a chain
    is a split, one from the end of a chain is a merge.
    """
    cost = ((place[pairs[:, 0]] - place[pairs[:, 1]]) ** 2).sum(axis=1)
    kept, rest = pairs[:0], pairs[np.argsort(cost, kind="stable")]
    while len(rest):
        free = ~(np.isin(rest[:, 0], kept[:, 0]) | np.isin(rest[:, 1], kept[:, 1]))
        if not free.any():
            break
        candidates = np.flatnonzero(free)
        cheapest = [candidates[np.unique(rest[candidates, end], return_index=True)[1]] for end in (0, 1)]
        chosen = np.intersect1d(cheapest[0], cheapest[1])
        kept, rest = np.concatenate([kept, rest[chosen]]), np.delete(rest, chosen, axis=0)
    follows = np.full(len(place), -1)
    follows[kept[:, 0]] = kept[:, 1]
    begins, ends = ~np.isin(rest[:, 1], kept[:, 1]), ~np.isin(rest[:, 0], kept[:, 0])
    splits, merges = rest[begins], rest[ends]
    splits = splits[np.unique(splits[:, 1], return_index=True)[1]]  # the cheapest first
    return follows, splits, merges[np.unique(merges[:, 0], return_index=True)[1]]


def chain_numbers(follows: np.ndarray) -> np.ndarray:
    """Chain of each cell (n,), from the cell that follows each."""
    at = np.flatnonzero(follows >= 0)
    graph = sparse.coo_matrix((np.ones(len(at)), (at, follows[at])), shape=(len(follows), len(follows)))
    return np.asarray(csgraph.connected_components(graph, directed=False)[1], np.int64)


def _swapped(nodes: Nodes, splits: np.ndarray, crossed: np.ndarray) -> tuple[Nodes, np.ndarray]:
    """At these splits (n, 2) what parted goes on as the cell, and what went on has parted."""
    crossed = crossed[np.unique(crossed[:, 0], return_index=True)[1]]
    at = np.isin(splits[:, 1], crossed[:, 1])
    cell, part = splits[at].T
    splits, follows = splits.copy(), nodes.follows.copy()
    splits[at, 1], follows[cell] = nodes.follows[cell], part
    return nodes._replace(follows=follows, chain=chain_numbers(follows)), splits


def _torn_across(nodes: Nodes, splits: np.ndarray, merges: np.ndarray, settings: LinkSettings) -> np.ndarray:
    """The splits (n, 2) of cells that were torn in two and soon were whole again, where the wrong half was followed.

    The chain that led into one half ends in the whole; the chain of the whole began as the other half.
    """
    (a, b), (p, q), chain = splits.T, merges.T, nodes.chain
    torn = pl.DataFrame({"a": a, "b": b, "from": chain[a], "into": chain[b], "begin": nodes.hour[a]})
    back = pl.DataFrame({"from": chain[p], "into": chain[q], "end": nodes.hour[q]})
    soon = (pl.col("end") > pl.col("begin")) & (pl.col("end") <= pl.col("begin") + settings.gap_h + SOON)
    both = torn.join(back, on=["from", "into"]).filter(soon & (pl.col("from") != pl.col("into")))
    return both.select("a", "b").unique(maintain_order=True).to_numpy()


def _parted_across(nodes: Nodes, splits: np.ndarray, merges: np.ndarray, settings: LinkSettings) -> np.ndarray:
    """The splits (n, 2) at which two cells that had merged part, where the other way of telling them apart is cheaper.

    As between frames, by place and mass; the longer two were one, the less their places tell.
    """
    owner, piece = _pieces(nodes, splits, merges, settings)
    met = _meetings(nodes, owner, piece, splits, merges, settings)
    met = met[(nodes.follows[met[:, 0]] >= 0) & (nodes.before[met[:, 3]] >= 0)]
    a, b, p, q = met.T
    heir, cell = nodes.follows[a], nodes.before[q]
    frame = np.unique(nodes.hour, return_inverse=True)[1]
    met_place, parted_place = nodes.place[cell] - nodes.place[p], nodes.place[heir] - nodes.place[b]
    apart = met_place * parted_place
    cost = apart[:, :2].sum(axis=1) / np.maximum(1, frame[b] - frame[p]) + apart[:, 2]
    return met[(cost < 0) & _alike(nodes, heir, p), :2]


def _same_cells(
    nodes: Nodes, splits: np.ndarray, merges: np.ndarray, settings: LinkSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Owner of each chain: itself, the cell it was torn from, or the cell that met another and parted from it.

    splits, merges: those of which mass is conserved. Returns owner (chains,), whether a chain is a piece (chains,), and (n, 4)
    of those that met: the split's two cells and the merge's. What owns a chain began before it, so that nothing owns itself.
    """
    chain = nodes.chain
    owner, piece = _pieces(nodes, splits, merges, settings)
    met = _meetings(nodes, owner, piece, splits, merges, settings)
    met = met[_alike(nodes, met[:, 1], met[:, 2])]
    owner[chain[met[:, 1]]] = owner[chain[met[:, 2]]]
    return _rooted(owner), piece, met


def _pieces(nodes: Nodes, splits: np.ndarray, merges: np.ndarray, settings: LinkSettings) -> tuple[np.ndarray, np.ndarray]:
    """Owner of each chain, and whether it is a piece: torn from a cell, and soon back with it."""
    hour, chain = nodes.hour, nodes.chain
    count = int(chain.max()) + 1 if len(chain) else 0
    owner, piece = np.arange(count), np.zeros(count, bool)
    torn, back = np.full(count, -1), np.full(count, -1)
    torn[chain[splits[:, 1]]], back[chain[merges[:, 0]]] = splits[:, 0], merges[:, 1]
    both = np.flatnonzero((torn >= 0) & (back >= 0))
    soon = hour[back[both]] - hour[torn[both]] <= settings.gap_h + SOON
    both = both[soon & (chain[torn[both]] == chain[back[both]])]
    owner[both], piece[both] = chain[torn[both]], True
    return _rooted(owner), piece


def _meetings(
    nodes: Nodes, owner: np.ndarray, piece: np.ndarray, splits: np.ndarray, merges: np.ndarray, settings: LinkSettings
) -> np.ndarray:
    """(n, 4) cells that merge and part: the split's two and the merge's, each split with the last merge before it."""
    hour, chain = nodes.hour, nodes.chain
    a, b = splits[~piece[chain[splits[:, 1]]]].T
    p, q = merges[~piece[chain[merges[:, 0]]]].T
    parts = pl.DataFrame({"a": a, "b": b, "track": owner[chain[a]], "hour": hour[a]}).sort("hour")
    meets = pl.DataFrame({"p": p, "q": q, "track": owner[chain[q]], "hour": hour[q]}).sort("hour")
    near = {"strategy": "backward", "tolerance": settings.together_h + SOON, "check_sortedness": False}
    met = parts.join_asof(meets, on="hour", by="track", **near).drop_nulls("p")  # both are sorted by hour
    met = met.unique("p", keep="first", maintain_order=True).select("a", "b", "p", "q").to_numpy().reshape(-1, 4)
    return met[chain[met[:, 1]] != chain[met[:, 2]]]


def _alike(nodes: Nodes, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(np.log(nodes.mass[one] / nodes.mass[other])) < np.log(2)


def _conserved(nodes: Nodes, splits: np.ndarray, merges: np.ndarray, settings: LinkSettings) -> tuple[np.ndarray, np.ndarray]:
    """The splits whose cell is lighter behind them by what parted, and the merges whose cell is heavier by what came."""
    low, high = settings.conserved
    kept = []
    for events, whole, part, rest in (
        (splits, splits[:, 0], splits[:, 1], nodes.follows[splits[:, 0]]),
        (merges, merges[:, 1], merges[:, 0], nodes.before[merges[:, 1]]),
    ):
        share = (nodes.mass[part] + nodes.mass[rest]) / nodes.mass[whole]
        kept.append(events[(rest >= 0) & (share >= low) & (share <= high)])
    return kept[0], kept[1]


def _rooted(owner: np.ndarray) -> np.ndarray:
    while (owner != owner[owner]).any():
        owner = owner[owner]
    return owner


def _divisions(nodes: Nodes, track: np.ndarray, splits: np.ndarray, settings: LinkSettings) -> np.ndarray:
    """The splits that are divisions (n, 2), with what begins beside one in the same frame: a cell can divide into three."""
    begins = np.unique(track, return_index=True)[1]  # the cells are in the order of frames
    begins = begins[~np.isin(begins, splits[:, 1])]
    beside = pl.DataFrame({"a": splits[:, 0], "hour": nodes.hour[splits[:, 1]]}).unique()
    near = beside.join(pl.DataFrame({"b": begins, "hour": nodes.hour[begins]}), on="hour").select("a", "b").to_numpy()
    away = ((nodes.place[near[:, 0], :2] - nodes.place[near[:, 1], :2]) ** 2).sum(axis=1)
    near = near[np.argsort(away, kind="stable")][: np.count_nonzero(away < 1)]
    near = near[np.unique(near[:, 1], return_index=True)[1]]
    two, more = (_halved(nodes, track, one, settings) for one in (splits, np.concatenate([splits, near])))
    more = more[np.isin(more[:, 0], near[:, 0])]
    return np.concatenate([more, two[~np.isin(two[:, 0], more[:, 0])]])


def _halved(nodes: Nodes, track: np.ndarray, splits: np.ndarray, settings: LinkSettings) -> np.ndarray:
    """The splits (n, 2) of which mass is conserved and shared, and every daughter lasts."""
    hour, mass = nodes.hour, nodes.mass
    splits = splits[track[splits[:, 0]] != track[splits[:, 1]]]
    if not len(splits):
        return splits
    rows = pl.DataFrame({"track": track, "hour": hour, "mass": mass}).group_by("track", "hour").agg(pl.col("mass").sum())
    a, b = splits.T
    settle, at = settings.settle_h + SOON, pl.DataFrame({"a": a, "b": b, "at": hour[a]})
    windows = pl.concat(
        at.with_columns(pl.Series("track", whose), pl.Series("begin", begin), pl.Series("end", end), role=pl.lit(role))
        for role, whose, begin, end in (
            ("mother", track[a], hour[a] - settle, hour[a] + SOON),
            ("heir", track[a], hour[a] + SOON, hour[a] + settle),
            ("daughter", track[b], hour[b] - SOON, hour[b] + settle),
        )
    )
    inside = windows.join(rows, on="track").filter(pl.col("hour").is_between("begin", "end"))
    known = inside.group_by("a", "b", "role").agg(pl.col("mass").median(), pl.col("track").first())
    last = rows.group_by("track").agg(pl.col("hour").max().alias("last"))
    lasts = pl.col("last") >= pl.min_horizontal(pl.col("at") + settings.settle_h, pl.lit(float(hour.max()))) - SOON
    known = known.join(last, on="track").join(at.select("a", "b", "at"), on=["a", "b"])
    daughters = known.filter(pl.col("role") != "mother").unique(["a", "track"])
    shared = daughters.group_by("a").agg(
        pl.col("mass").sum().alias("all"), pl.col("mass").min().alias("least"), pl.len().alias("n"), lasts.all().alias("lasts")
    )
    mothers = known.filter(role="mother").unique("a").select("a", pl.col("mass").alias("mother"))
    share, light = pl.col("all") / pl.col("mother"), pl.col("least") / pl.col("all")
    halved = share.is_between(*settings.conserved) & (light >= settings.lightest * 2 / pl.col("n")) & (pl.col("n") > 1)
    divided = shared.join(mothers, on="a").filter(halved & pl.col("lasts"))["a"].to_numpy()
    return splits[np.isin(splits[:, 0], divided)]


def _cut(hour: np.ndarray, track: np.ndarray, divided: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tracks that end where a cell divides, numbered by appearance: track of each cell (n,), mother of each track or -1."""
    if not len(track):
        return track, np.zeros(0, np.int64)
    wide = float(hour.max()) + 1.0
    times = np.unique(track[divided[:, 0]] * wide + hour[divided[:, 0]])
    generation = np.searchsorted(times, track * wide + hour) - np.searchsorted(times, track * wide)
    most = int(generation.max()) + 1
    _, first, part = np.unique(track * most + generation, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first, kind="stable")] = np.arange(len(first))
    cut = number[part]
    parent = np.full(len(first), -1, np.int64)
    mother = divided[:, 0]
    heirs = pl.DataFrame({"track": track, "generation": generation, "heir": cut}).unique(["track", "generation"])
    behind = pl.DataFrame({"track": track[mother], "generation": generation[mother] + 1, "mother": cut[mother]}).unique()
    behind = behind.join(heirs, on=["track", "generation"])  # the part of the mother's track that goes on is a daughter as well
    parent[behind["heir"].to_numpy()] = behind["mother"].to_numpy()
    parent[cut[divided[:, 1]]] = cut[mother]
    return cut, parent


def _events(nodes: Nodes, track: np.ndarray, piece: np.ndarray, merges: np.ndarray, met: np.ndarray) -> pl.Series:
    """(n,) what happens to a cell: it is a piece of another, merges into another, or holds one that will part from it."""
    rows = pl.DataFrame({"row": np.arange(len(track)), "track": track, "hour": nodes.hour})
    a, _, p, q = met.T
    held = pl.DataFrame({"track": track[a], "begin": nodes.hour[q], "end": nodes.hour[a], "other": track[p]})
    held = held.join(rows, on="track").filter(pl.col("hour").is_between("begin", "end"))
    ends = pl.DataFrame({"row": merges[:, 0], "into": track[merges[:, 1]]}).filter(pl.col("into") != track[merges[:, 0]])
    said = pl.concat([
        ends.select(pl.col("row").cast(pl.Int64), text=pl.format("merges into track {}", "into")),
        held.select(pl.col("row").cast(pl.Int64), text=pl.format("holds track {}", "other")),
    ])  # fmt: skip
    said = said.group_by("row").agg(pl.col("text").unique().sort().str.join("; "))
    event = rows.with_columns(pl.col("row").cast(pl.Int64)).join(said, on="row", how="left", maintain_order="left")["text"]
    return pl.Series("event", np.where(piece, "piece", event.fill_null("").to_numpy()), pl.String)
