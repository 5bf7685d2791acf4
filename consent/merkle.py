"""Merkle trees as in RFC 6962 section 2.1: hashes, inclusion proofs and their check. Pure; no Django.

Leaves are given as their 32-byte hashes; proofs are lists of 32-byte hashes, nearest sibling first.
"""

import hashlib
from collections.abc import Callable, Sequence


def leaf_hash(data: bytes) -> bytes:
    """SHA-256 of 0x00 and the leaf's bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and the two child hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels from the leaves up; a node without a sibling moves up as it is, which is RFC 6962's split."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = [node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
        levels.append(above + below[len(above) * 2 :])
    return levels


def root_hash(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash; of no leaves, SHA-256 of nothing."""
    return _levels(leaves)[-1][0] if leaves else hashlib.sha256(b"").digest()


def inclusion_proofs(leaves: Sequence[bytes], indexes: Sequence[int]) -> list[list[bytes]]:
    """The audit path of each index, from one pass over the tree. IndexError if an index is not a leaf."""
    levels = _levels(leaves)
    return [_path(levels, index) for index in indexes]


def _path(levels: list[list[bytes]], index: int) -> list[bytes]:
    if not 0 <= index < len(levels[0]):
        raise IndexError(f"no leaf {index} among {len(levels[0])}")
    path = []
    for level in levels[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        index //= 2
    return path


def consistency_proof(first: int, second: int, root_of: Callable[[int, int], bytes]) -> list[bytes]:
    """That the tree of `first` leaves is the beginning of the tree of `second` (RFC 6962 section 2.1.2).

    `root_of(begin, end)` is the Merkle tree hash of the leaves begin..end-1. ValueError unless 0 < first <= second.
    """
    if not 0 < first <= second:
        raise ValueError(f"there is no consistency proof from {first} to {second} leaves")
    return _subproof(first, 0, second, root_of, known=True)


def _subproof(first: int, begin: int, end: int, root_of: Callable[[int, int], bytes], *, known: bool) -> list[bytes]:
    size = end - begin
    if first == size:
        return [] if known else [root_of(begin, end)]
    split = begin + (1 << (size - 1).bit_length() - 1)
    if first <= split - begin:
        return [*_subproof(first, begin, split, root_of, known=known), root_of(split, end)]
    return [*_subproof(first - (split - begin), split, end, root_of, known=False), root_of(begin, split)]


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """True if `proof` shows that the first tree is the beginning of the second (RFC 9162 section 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    steps = list(proof) if first & (first - 1) else [first_root, *proof]  # a perfect tree is its own first step
    if not steps:
        return False
    old, new = first - 1, second - 1
    while old & 1:
        old, new = old >> 1, new >> 1
    old_root = new_root = steps[0]
    for step in steps[1:]:
        if new == 0:
            return False
        if old & 1 or old == new:
            old_root, new_root = node_hash(step, old_root), node_hash(step, new_root)
            while old and not old & 1:
                old, new = old >> 1, new >> 1
        else:
            new_root = node_hash(new_root, step)
        old, new = old >> 1, new >> 1
    return new == 0 and old_root == first_root and new_root == second_root


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """True if `proof` shows that `leaf` (a leaf hash) is leaf `index` of the tree of `size` leaves with this root."""
    if not 0 <= index < size:
        return False
    node, last, steps = leaf, size - 1, list(proof)
    while last > 0:
        if index % 2 or index < last:  # this level has a sibling
            if not steps:
                return False
            sibling = steps.pop(0)
            node = node_hash(sibling, node) if index % 2 else node_hash(node, sibling)
        index //= 2
        last //= 2
    return not steps and node == root


class Frontier:
    """A tree that grows leaf by leaf and knows its root at every size, in memory that is logarithmic in it.

    `peaks` are the roots of its perfect subtrees, the largest first: what it takes to go on later from `size`.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size.bit_count() != len(peaks):
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks, not {len(peaks)}")
        self.size = size
        self.peaks = list(peaks)

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        carries = self.size
        while carries & 1:  # two subtrees of one size become one
            leaf = node_hash(self.peaks.pop(), leaf)
            carries >>= 1
        self.peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The Merkle tree hash of the leaves so far."""
        if not self.peaks:
            return root_hash([])
        *others, root = self.peaks
        for peak in reversed(others):
            root = node_hash(peak, root)
        return root
