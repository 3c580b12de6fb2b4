"""Draws that depend on the seed and on what is drawn for, never on what was drawn before for something else."""

from collections import Counter
from hashlib import sha256


class Draws:
    """Each draw is a function of (seed, key, n-th draw for this key), so interleaving changes nothing."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._drawn: Counter[tuple[str, ...]] = Counter()

    def fraction(self, *key: str) -> float:
        """Return the next number of a key, from 0 up to but not including 1."""
        self._drawn[key] += 1
        digest = sha256("\x1f".join((str(self.seed), *key, f"#{self._drawn[key]}")).encode()).digest()
        # 53 bits: all that a float holds, so that the quotient never rounds up to 1.
        return (int.from_bytes(digest[:8], "big") >> 11) / 2**53

    def hits(self, share: float, *key: str) -> bool:
        """Tell whether the next draw of a key falls into a share; it is drawn whatever the share is."""
        return self.fraction(*key) < share

    def pick(self, options: int, *key: str) -> int:
        """Return one of the first whole numbers."""
        return int(self.fraction(*key) * options)

    def between(self, least: float, most: float, *key: str) -> float:
        """Return a number between two."""
        return least + (most - least) * self.fraction(*key)
