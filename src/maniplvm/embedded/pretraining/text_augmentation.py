"""More ways to say it: an instruction with words exchanged, left out or made unreadable by chance.

A few wordings a task would be learned by heart. Exchanged words widen the vocabulary; words left
out or unreadable teach that what is not understood is to be looked up in the image.
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
"""Words that may stand for one another in an instruction to a robot: common English usage."""

EXCHANGED = 0.25
"""Share of the words with synonyms that are exchanged."""
SPARSE, SPARSE_LOSS, USUAL_LOSS = 0.25, 0.5, 0.05
"""How often an instruction is sparse, and the share of words that it then loses, or usually."""
UNREADABLE = 0.05
"""Share of the words that become a string of letters without a meaning."""
_POLITE = ("please ", "now ", "robot, ", "can you ", "you should ")
_POLITENESS = 0.15
_LETTERS = np.array(list("abcdefghiklmnoprstuvwy"))

_CHOICES: dict[str, list[str]] = {}
for _group in SYNONYMS:
    for _word in _group:
        _CHOICES.setdefault(_word, []).extend(other for other in _group if other != _word)


def reworded(instruction: str, rng: np.random.Generator, *, is_clear: bool = False) -> str:
    """An instruction as somebody else, or somebody hard to understand, would give it.

    Args:
        instruction: One of the data's own wordings.
        rng: All chance comes from it.
        is_clear: Leave no word out and make none unreadable: for what is not in the image, where
            nothing else could tell what is meant.

    Returns:
        At least one word.
    """
    loss = SPARSE_LOSS if rng.random() < SPARSE else USUAL_LOSS
    loss = 0.0 if is_clear else loss
    unreadable = 0.0 if is_clear else UNREADABLE
    words = [_exchanged(word, unreadable, rng) for word in instruction.split()]
    kept = [word for word in words if rng.random() >= loss] or [
        words[int(rng.integers(len(words)))]
    ]
    polite = _POLITE[int(rng.integers(len(_POLITE)))] if rng.random() < _POLITENESS else ""
    return polite + " ".join(kept)


def _exchanged(word: str, unreadable: float, rng: np.random.Generator) -> str:
    if rng.random() < unreadable:
        return "".join(rng.choice(_LETTERS, int(rng.integers(3, 9))))
    choices = _CHOICES.get(word)
    if choices and rng.random() < EXCHANGED:
        return choices[int(rng.integers(len(choices)))]
    return word
