"""Types that every station shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
"""An array of float64 whose last axis is `draw` unless its field says otherwise."""

Numeric = Any
"""A float or an array; what goes in as a float comes out as one."""
