"""Which parts of the traffic are watched, and within which kinds of request rates are compared."""

from unquiet.slices.facets import VERSION_NAME, FacetColumn, decide_roles, facet_columns
from unquiet.slices.lattice import Lattice, build_lattice, support
from unquiet.slices.newcomers import Newcomers
from unquiet.slices.strata import Strata, choose_strata

__all__ = [
    "VERSION_NAME",
    "FacetColumn",
    "Lattice",
    "Newcomers",
    "Strata",
    "build_lattice",
    "choose_strata",
    "decide_roles",
    "facet_columns",
    "support",
]
