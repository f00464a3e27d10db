"""What is asked of a model: a distribution, and what is tapped inside of it, each at a site."""

Site = int | str | None
"""Where in a model: a layer, counted from 0 (-1 is the last), a place by name, or None for the only one."""

Needs = frozenset[tuple[str, Site]]
"""Taps (`limbeck.core.taps`) with their sites, and `DISTRIBUTION`."""


def at(tap: str, *sites: Site) -> Needs:
    """A tap at some sites; without any, at the only one it has."""
    return frozenset((tap, site) for site in sites or (None,))


NOTHING: Needs = frozenset()
DISTRIBUTION: Needs = at("distribution")
"""What the scores over the vocabulary, or over classes, are made of."""
