"""Licences: the default installation of the README brings no package under the GPL."""

import re
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement

DEFAULT_EXTRAS = ("dev", "sim", "train")
COPYLEFT = re.compile(r"(?<![A-Za-z])A?GPL|(?<!Lesser )General Public License")


def installed_closure(name, extras):
    """Every installed distribution that a requirement brings, by name."""
    found, waiting, seen = {}, [(name, frozenset(extras))], set()
    while waiting:
        item = waiting.pop()
        if item in seen:
            continue
        seen.add(item)
        try:
            own = distribution(item[0])
        except PackageNotFoundError:
            continue  # a package of another platform
        found[own.metadata["Name"].lower()] = own
        for line in own.requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in ("", *item[1])
            ):
                waiting.append((needed.name, frozenset(needed.extras)))
    return found


def stated_licences(own):
    """The licence fields of a distribution. A long `License` is the text itself: its title counts."""
    metadata = own.metadata
    classifiers = [text for text in metadata.get_all("Classifier", []) if "License" in text]
    return [metadata.get("License-Expression") or "", (metadata.get("License") or "")[:80]] + [
        *classifiers
    ]


def copyleft(closure):
    """The distributions of a closure that state the GPL or the AGPL (not the LGPL)."""
    return sorted(
        name
        for name, own in closure.items()
        if any(COPYLEFT.search(text) for text in stated_licences(own))
    )


def test_the_default_installation_brings_no_gpl_package():
    closure = installed_closure("maniplvm", DEFAULT_EXTRAS)
    assert {"numpy", "torch", "trl", "metaworld", "pytest"} <= set(closure)
    assert copyleft(closure) == []


def test_a_gpl_package_is_recognised_by_its_metadata():
    class Stated:
        def __init__(self, **fields):
            self.metadata = Fields(fields)

    class Fields(dict):
        def get_all(self, _key, default):
            return self.get("Classifier", default)

    closure = {
        "gpl": Stated(License="GPLv2+"),
        "agpl": Stated(**{"License-Expression": "AGPL-3.0-only"}),
        "classified": Stated(
            Classifier=["License :: OSI Approved :: GNU General Public License v3 (GPLv3)"]
        ),
        "lgpl": Stated(License="LGPLv3"),
        "lesser": Stated(Classifier=["License :: GNU Lesser General Public License v3 (LGPLv3)"]),
        "mit": Stated(License="MIT"),
    }
    assert copyleft(closure) == ["agpl", "classified", "gpl"]
