"""Groups of splits: in domain, out of domain, and single splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from maniplvm.errors import UserError

_IN_DOMAIN = ("id_test",)
_OUT_OF_DOMAIN = ("adapt_test",)
_OUT_OF_DOMAIN_PREFIX = "ood_"


class Domain(StrEnum):
    """Whether data come from the same distribution as the training data."""

    IN = "in domain"
    OUT = "out of domain"


@dataclass(frozen=True)
class Group:
    """Splits whose samples are averaged together.

    Attributes:
        splits: The names of the splits.
        domain: Their domain, if known.
    """

    splits: tuple[str, ...]
    domain: Domain | None = None

    @property
    def name(self) -> str:
        """The heading of its columns."""
        splits = ", ".join(self.splits)
        return splits if self.domain is None else f"{self.domain}: {splits}"


def group_splits(
    splits: Iterable[str],
    in_domain: Sequence[str] | None = None,
    out_of_domain: Sequence[str] | None = None,
) -> list[Group]:
    """Group splits by domain; each other split is its own group.

    Args:
        splits: All splits.
        in_domain: The splits that are in domain.
        out_of_domain: The splits that are out of domain. If neither is given, the simulator's names
            decide: `id_test` is in domain, `adapt_test` and `ood_*` are out of domain.

    Raises:
        UserError: a split does not exist, or is given twice.
    """
    available = list(dict.fromkeys(splits))
    if in_domain is None and out_of_domain is None:
        in_domain = [split for split in available if split in _IN_DOMAIN]
        out_of_domain = [
            split
            for split in available
            if split in _OUT_OF_DOMAIN or split.startswith(_OUT_OF_DOMAIN_PREFIX)
        ]
    inside, outside = in_domain or (), out_of_domain or ()
    named = [*inside, *outside]
    missing = [split for split in named if split not in available]
    if missing:
        raise UserError(f"no run has a split {missing[0]!r}; choose from {', '.join(available)}")
    if len(set(named)) < len(named):
        raise UserError("a split is given twice; each split has one domain")
    groups = [
        Group(tuple(own), domain)
        for own, domain in ((inside, Domain.IN), (outside, Domain.OUT))
        if own
    ]
    return groups + [Group((split,)) for split in available if split not in named]
