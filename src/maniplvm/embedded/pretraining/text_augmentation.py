"""Augment instructions: words are replaced by synonyms, dropped or scrambled at random.

A task has only a few instructions, to which the model would overfit. Synonyms widen the
vocabulary. Dropped and scrambled words train the model to use the image where the text is unclear.
"""

from __future__ import annotations

import numpy as np

SYNONYMS = (
    ("put", "place", "set", "lay", "position", "bring"),
    ("grab", "grasp", "take", "grip", "seize", "get", "hold", "catch"),
    ("push", "press", "shove", "nudge", "force"),
    ("pull", "drag", "draw", "tug", "haul"),
    ("turn", "rotate", "twist", "spin", "swivel"),
    ("move", "bring", "carry", "transport", "shift", "transfer", "relocate", "deliver"),
    ("lift", "raise", "elevate"),
    ("slide", "glide", "move", "shift", "slip"),
    ("hit", "strike", "knock", "bang", "pound"),
    ("close", "shut", "seal"),
    ("insert", "stick", "plug", "fit", "put"),
    ("remove", "detach", "take", "free"),
    ("use", "employ", "take"),
    ("cube", "block"),
    ("puck", "disc", "disk"),
    ("goal", "target", "mark", "spot", "ball"),
    ("faucet", "tap", "spigot"),
    ("mug", "cup"),
    ("thermos", "bottle", "flask"),
    ("hole", "opening", "slot", "gap"),
    ("lid", "cover", "top"),
    ("peg", "pin", "rod", "post"),
    ("stick", "rod", "tool"),
    ("bin", "container", "tray", "crate"),
    ("plate", "dish", "saucer"),
    ("handle", "grip", "bar"),
    ("knob", "dial", "wheel"),
    ("lock", "latch"),
    ("shelf", "rack", "board"),
    ("wall", "barrier", "obstacle", "divider"),
    ("cabinet", "cupboard"),
    ("ring", "loop", "hoop"),
    ("into", "inside", "in", "within"),
    ("onto", "on", "over"),
    ("to", "toward", "towards"),
    ("behind", "past", "beyond"),
    ("away", "off", "out"),
    ("down", "downward", "downwards"),
    ("up", "upward", "upwards"),
    ("back", "backward", "backwards"),
    ("other", "second", "neighbouring"),
    ("from", "off"),
    ("its", "the"),
    ("a", "the"),
)
"""Groups of words that can replace one another in an instruction to a robot."""

SYNONYM_RATE = 0.25
"""Fraction of the words with synonyms that are replaced."""
SPARSE_RATE, SPARSE_DROP_RATE, DROP_RATE = 0.25, 0.5, 0.05
"""Fraction of sparse instructions, fraction of words dropped in those, and in all others."""
SCRAMBLE_RATE = 0.05
"""Fraction of the words that are replaced by random letters."""
_PREFIXES = ("please ", "now ", "robot, ", "can you ", "you should ")
_PREFIX_RATE = 0.15
_LETTERS = np.array(list("abcdefghiklmnoprstuvwy"))

_CHOICES: dict[str, list[str]] = {}
for _group in SYNONYMS:
    for _word in _group:
        _CHOICES.setdefault(_word, []).extend(other for other in _group if other != _word)


def augment_text(instruction: str, rng: np.random.Generator, *, is_clear: bool = False) -> str:
    """Augment an instruction.

    Args:
        instruction: Instruction of the data set.
        rng: Source of all randomness.
        is_clear: Whether no word is dropped or scrambled. It is needed where the image does not
            show the object of the instruction, so that only the text names it.

    Returns:
        An instruction of at least one word.
    """
    drop_rate = SPARSE_DROP_RATE if rng.random() < SPARSE_RATE else DROP_RATE
    drop_rate = 0.0 if is_clear else drop_rate
    scramble_rate = 0.0 if is_clear else SCRAMBLE_RATE
    words = [_replaced(word, scramble_rate, rng) for word in instruction.split()]
    kept = [word for word in words if rng.random() >= drop_rate] or [
        words[int(rng.integers(len(words)))]
    ]
    has_prefix = rng.random() < _PREFIX_RATE
    prefix = _PREFIXES[int(rng.integers(len(_PREFIXES)))] if has_prefix else ""
    return prefix + " ".join(kept)


def _replaced(word: str, scramble_rate: float, rng: np.random.Generator) -> str:
    if rng.random() < scramble_rate:
        return "".join(rng.choice(_LETTERS, int(rng.integers(3, 9))))
    choices = _CHOICES.get(word)
    if choices and rng.random() < SYNONYM_RATE:
        return choices[int(rng.integers(len(choices)))]
    return word
