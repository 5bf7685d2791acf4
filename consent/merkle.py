"""Merkle trees as in RFC 6962 section 2.1: hashes, inclusion proofs and their check. Pure; no Django.

Leaves are given as their 32-byte hashes; proofs are lists of 32-byte hashes, nearest sibling first.
"""

import hashlib
from collections.abc import Sequence


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
    proofs = []
    for index in indexes:
        if not 0 <= index < len(leaves):
            raise IndexError(f"no leaf {index} among {len(leaves)}")
        path = []
        for level in levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            index //= 2
        proofs.append(path)
    return proofs


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
    """A tree that grows leaf by leaf and knows its root at every size, in memory that is logarithmic in it."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []  # roots of the perfect subtrees, the largest first

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        carries = self.size
        while carries & 1:  # two subtrees of one size become one
            leaf = node_hash(self._peaks.pop(), leaf)
            carries >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The Merkle tree hash of the leaves so far."""
        if not self._peaks:
            return root_hash([])
        *others, root = self._peaks
        for peak in reversed(others):
            root = node_hash(peak, root)
        return root
