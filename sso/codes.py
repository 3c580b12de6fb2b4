"""What opens a hand-off's page, a link's token and a code, and the reference by which people name it."""

import base64
import hashlib
import re

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes, base64url without padding

# Of characters that look or sound alike one stands or none (0 O D Q, 1 I L, 2 Z, 5 S, 6 G, 8 B, U V). That leaves 23,
# a prime, so one weighted sum catches every single wrong character and every swap of neighbours, as ISBN-10 does.
CODE_ALPHABET = "23456789ACEFHJKMNPRTWXY"
CODE_LENGTH = 10  # nine drawn (41 bits, five guesses), one to check them
LONGEST_CODE_TEXT = 64  # what people type around ten characters; longer text is no code
_DASHES_AND_SPACES = re.compile(r"[\s\-\u00ad\u2010-\u2015\u2212\u200b\ufeff]+")


def reference_of(facts: str) -> str:
    """`GH-` and eight characters by which people name a hand-off; never a proof of anything."""
    return f"GH-{_characters(int(facts, 16), 8)}"


def token_from(random: bytes) -> str:
    """The token of a link, of 32 random bytes."""
    if len(random) != 32:
        msg = f"a token needs 32 random bytes, got {len(random)}"
        raise ValueError(msg)
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def token_hash_of(token: str) -> str:
    """What the ledger keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def code_from(random: bytes) -> str:
    """A code of at least 16 random bytes, as people read it: `ABCDE-FGHJK`."""
    if len(random) < 16:
        msg = f"a code needs at least 16 random bytes, got {len(random)}"
        raise ValueError(msg)
    drawn = _characters(int.from_bytes(random), CODE_LENGTH - 1)
    code = drawn + CODE_ALPHABET[-_weighted(drawn) % len(CODE_ALPHABET)]
    return f"{code[:5]}-{code[5:]}"


def read_code(text: str) -> str | None:
    """The ten characters that somebody typed; None for what cannot be a code, which is not an attempt."""
    if len(text) > LONGEST_CODE_TEXT:
        return None
    code = _DASHES_AND_SPACES.sub("", text).upper()
    if len(code) != CODE_LENGTH or not set(code) <= set(CODE_ALPHABET) or _weighted(code) % len(CODE_ALPHABET):
        return None
    return code


def hash_code(code: str, salt: str) -> str:
    """What the ledger keeps of a code: slow enough (4 MB, some 20 ms) that a stolen row is no code for years."""
    return hashlib.scrypt(code.encode(), salt=salt.encode(), n=2**12, r=8, p=1, dklen=32).hex()


def _weighted(code: str) -> int:
    """The sum that is 0 modulo 23 for a code: weights 10 to 1, so neighbours differ and none is 0."""
    return sum((CODE_LENGTH - place) * CODE_ALPHABET.index(character) for place, character in enumerate(code))


def _characters(number: int, count: int) -> str:
    base = len(CODE_ALPHABET)
    return "".join(CODE_ALPHABET[number // base**place % base] for place in range(count))
