"""A trie of the pieces as arrays: one step of a walk is two additions and one table look-up.

It is a double array (Aoe 1989): the child of a node by a symbol lies at the node's base plus the
symbol, and its check is the node, which tells it from a child of another node. The pieces are
stored from their last symbol to their first, so that a walk back from a place finds the pieces
that end there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfpipe.data.arrays import Int32Array, Int64Array, IntArray

# No node is at slot 0: a walk that has found no child stands there and finds no other.
NOWHERE = 0
SYMBOL_BITS = 21
# More slots are added when so many random places in a row were all taken.
PATIENCE = 50


@dataclass(frozen=True)
class Trie:
    """A trie of sequences of symbols, read from their ends.

    Attributes:
        checks: int32 [slots], the slot of a node's parent; -1 where there is no node.
        bases: int32 [slots], where the children of a node begin.
        root: The base of the root. Every symbol is a child of the root.
        ends: int32 [sequences], the slot where each sequence ends.
    """

    checks: Int32Array
    bases: Int32Array
    root: int
    ends: Int32Array


def build(symbols: Int32Array, splits: Int64Array, alphabet: int) -> Trie:
    """Build the trie of N different sequences, symbols[splits[i]:splits[i + 1]].

    Args:
        symbols: int32, from 0 to alphabet - 1; each of them is a sequence of its own, too.
        splits: int64 [N + 1].
        alphabet: The number of symbols.
    """
    parents, labels, ends = _nodes(symbols, splits)
    bases, slots = _place(parents, labels, alphabet)
    size = int(slots.max()) + alphabet + 1
    table_checks, table_bases = np.full(size, -1, np.int32), np.zeros(size, np.int32)
    table_checks[slots[1:]] = slots[parents]
    table_bases[slots[1:]] = bases[1:]
    return Trie(table_checks, table_bases, int(bases[0]), slots[ends])


def _nodes(symbols: Int32Array, splits: Int64Array) -> tuple[Int64Array, Int32Array, Int64Array]:
    """Number the nodes from the root (0) down, the children of a node one after another.

    Returns:
        parents: int64 [nodes - 1], of every node but the root, ascending.
        labels: int32 [nodes - 1], the symbol that leads to the node.
        ends: int64 [sequences], the node where each ends.
    """
    lengths = np.diff(splits)
    ends = np.zeros(len(lengths), np.int64)
    parents, labels = [], []
    count = 1
    for depth in range(int(lengths.max())):
        longer = np.flatnonzero(lengths > depth)
        label = symbols[splits[longer + 1] - 1 - depth]
        keys, number = np.unique(ends[longer] << SYMBOL_BITS | label, return_inverse=True)
        parents.append(keys >> SYMBOL_BITS)
        labels.append((keys & (1 << SYMBOL_BITS) - 1).astype(np.int32))
        ends[longer] = count + number
        count += len(keys)
    return np.concatenate(parents), np.concatenate(labels), ends


def _place(parents: Int64Array, labels: Int32Array, alphabet: int) -> tuple[Int32Array, Int32Array]:
    """Return the base and the slot of every node, int32 [nodes]; no two nodes share a slot."""
    nodes = len(parents) + 1
    counts = np.bincount(parents, minlength=nodes)
    firsts = np.concatenate([[0], np.cumsum(counts)])
    bases, slots = np.zeros(nodes, np.int32), np.zeros(nodes, np.int32)
    slots[0] = -2  # of no use to a walk, which begins at the root's children
    free = _FreeSlots(nodes, alphabet)

    def settle(owners: Int64Array, chosen: Int64Array, children: Int64Array) -> None:
        bases[owners] = chosen
        slots[children + 1] = chosen[:, None] + labels[children]
        free.take(slots[children + 1])

    # Those with many children first, while many slots are free.
    for count in np.unique(counts)[:0:-1]:
        owners = np.flatnonzero(counts == count)
        children = firsts[owners][:, None] + np.arange(count)
        if count == 1:
            # Such a node takes whatever is free where its base cannot become negative.
            available = free.all_from(alphabet)[: len(owners)]
            settle(owners, available - labels[children[:, 0]], children)
            break
        while len(owners):
            chosen = free.propose(labels[children])
            won = chosen > 0
            settle(owners[won], chosen[won], children[won])
            owners, children = owners[~won], children[~won]
    return bases, slots


class _FreeSlots:
    """The slots that are not taken yet, and random places among them."""

    def __init__(self, nodes: int, alphabet: int):
        self._highest = nodes
        # Any base reaches a slot by any symbol; all nodes have slots even behind the first symbols.
        self._taken = np.zeros(nodes + 2 * alphabet, bool)
        self._taken[NOWHERE] = True
        self._claims = np.zeros(len(self._taken), np.int32)
        self._random = np.random.default_rng(0)
        self._failed = 0

    def take(self, slots: IntArray) -> None:
        """Mark slots as taken."""
        self._taken[slots] = True

    def all_from(self, first: int) -> Int64Array:
        """All free slots from the first on, ascending."""
        return first + np.flatnonzero(~self._taken[first:])

    def propose(self, labels: Int32Array) -> Int64Array:
        """A base for each node whose children then have free slots; 0 where some are taken.

        Args:
            labels: int32 [nodes, children].
        """
        bases = self._random.integers(1, self._highest, len(labels))
        wanted = bases[:, None] + labels
        # Of nodes that want the same slot the last one to claim it gets it.
        mine = np.arange(len(labels), dtype=np.int32)[:, None]
        self._claims[wanted] = mine
        won = ((self._claims[wanted] == mine) & ~self._taken[wanted]).all(1)
        self._failed = 0 if won.any() else self._failed + 1
        if self._failed > PATIENCE:
            more = self._highest // 8 + 1
            self._highest += more
            self._taken = np.append(self._taken, np.zeros(more, bool))
            self._claims = np.zeros(len(self._taken), np.int32)
        return np.where(won, bases, 0)
