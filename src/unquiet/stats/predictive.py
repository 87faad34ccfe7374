"""What earlier counts let expect of the next ones."""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, gammaln


def chance_of_at_most(hits: int, trials: int, hits_before: int, trials_before: int) -> float:
    """The probability of `hits` or fewer of `trials`, after `hits_before` of `trials_before` of the same kind.

    The posterior predictive distribution of a binomial with a uniform prior (beta-binomial).

    A. Gelman et al., Bayesian Data Analysis, 3rd ed., 2013, section 2.1 and appendix A.

    Raises:
        ValueError: a count is negative, or there are more hits than trials.
    """
    if not (0 <= hits <= trials and 0 <= hits_before <= trials_before):
        raise ValueError(f"{hits} of {trials} after {hits_before} of {trials_before}: expected 0 <= hits <= trials")
    up_to = np.arange(hits + 1)
    a, b = hits_before + 1, trials_before - hits_before + 1
    ways = gammaln(trials + 1) - gammaln(up_to + 1) - gammaln(trials - up_to + 1)
    return float(min(1.0, np.exp(ways + betaln(a + up_to, b + trials - up_to) - betaln(a, b)).sum()))
