"""Which splits stand together in a group of columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from maniplvm.errors import UserError
from maniplvm.evaluation.published import Domain

_KNOWN = ("id_test",)
_NEW = ("adapt_test",)
_NEW_PREFIX = "ood_"


@dataclass(frozen=True)
class Group:
    """Splits whose samples are averaged together.

    Attributes:
        splits: Their names.
        domain: What they are, where that is known.
    """

    splits: tuple[str, ...]
    domain: Domain | None = None

    @property
    def name(self) -> str:
        """What stands over its columns."""
        splits = ", ".join(self.splits)
        return splits if self.domain is None else f"{self.domain}: {splits}"


def group_splits(
    splits: Iterable[str],
    in_domain: Sequence[str] | None = None,
    out_of_domain: Sequence[str] | None = None,
) -> list[Group]:
    """Sort splits into domains; each of the others is a group of its own.

    Args:
        splits: Those that there are.
        in_domain: Those of the kind that was trained on.
        out_of_domain: The others of interest. Where neither is given, the simulator's names tell:
            `id_test` is in domain, `adapt_test` and `ood_*` are not.

    Raises:
        UserError: a split that does not exist, or that is named twice.
    """
    there = list(dict.fromkeys(splits))
    if in_domain is None and out_of_domain is None:
        in_domain = [split for split in there if split in _KNOWN]
        out_of_domain = [s for s in there if s in _NEW or s.startswith(_NEW_PREFIX)]
    inside, outside = in_domain or (), out_of_domain or ()
    named = [*inside, *outside]
    missing = [split for split in named if split not in there]
    if missing:
        raise UserError(f"no run has a split {missing[0]!r}; choose from {', '.join(there)}")
    if len(set(named)) < len(named):
        raise UserError("a split is named twice; a sample is in one domain or in the other")
    groups = [
        Group(tuple(own), domain)
        for own, domain in ((inside, Domain.IN), (outside, Domain.OUT))
        if own
    ]
    return groups + [Group((split,)) for split in there if split not in named]
