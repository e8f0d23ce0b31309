"""The checks of conformance are programs, not a package: their modules are found where their scripts find them."""

from __future__ import annotations

import sys
from pathlib import Path

# At the end, so that no name of theirs hides another.
sys.path.append(str(Path(__file__).parents[2] / "conformance"))
