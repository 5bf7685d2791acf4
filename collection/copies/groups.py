"""Files that belong together, and by which comparison."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """What a file copies (its number), and how: "exact", "near" or "edited", with a score 0..1."""

    match: int
    kind: str
    score: float


class Groups:
    """Connected components of what was found alike."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))
        self._edges: list[dict[int, tuple[str, float]]] = [{} for _ in range(size)]

    def joined(self, one: int, other: int) -> bool:
        return self._root(one) == self._root(other)

    def join(self, one: int, other: int, kind: str, score: float) -> None:
        low, high = sorted((self._root(one), self._root(other)))
        self._parent[high] = low
        self._edges[one][other] = self._edges[other][one] = (kind, score)

    def links(self) -> list[Link | None]:
        """For each file the one it copies: its neighbour on the shortest way to the first file of its group."""
        links: list[Link | None] = [None] * len(self._parent)
        seen: set[int] = set()
        for head in range(len(self._parent)):
            if head in seen:
                continue
            seen.add(head)
            waiting = deque([head])
            while waiting:
                here = waiting.popleft()
                for there, (kind, score) in sorted(self._edges[here].items()):
                    if there not in seen:
                        seen.add(there)
                        links[there] = Link(here, kind, score)
                        waiting.append(there)
        return links

    def _root(self, one: int) -> int:
        while self._parent[one] != one:
            self._parent[one] = self._parent[self._parent[one]]
            one = self._parent[one]
        return one
