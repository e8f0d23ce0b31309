"""What a server does while it is attacked, seen from outside: the quick ones of benchmarks/abuse.py.

Each runs against a server in a process of its own, and everything that is demanded of it there is asserted here, but
for what depends on how much else this machine does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_transport  # the server is a program of its own

ABUSE = Path(__file__).parent.parent.parent / "benchmarks" / "abuse.py"

ATTACKS = [
    "slowloris",
    "body_trickle",
    "never_read",
    "header_flood",
    "trailer_flood",
    "chunk_extensions",
    "tiny_chunks",
    "huge_promises",
    "pipeline_cap",
    "resets",
    "random_leaving",
    "descriptors_exhausted",
    "connection_flood",
    "stay_while_it_stops",
    "ws_pings",
    "ws_pings_unread",
    "ws_fragments",
    "ws_huge_promises",
    "ws_text",
    "ws_deflate_bomb",
    "ws_half_frames",
    "ws_silence",
    "ws_unanswered_close",
    "ws_unread",
    "ws_churn",
    "ws_random",
    "ws_stay_while_it_stops",
]

UNSTEADY = {"others, max"}


@pytest.mark.skipif(sys.platform != "linux", reason="it is measured through /proc")
@pytest.mark.parametrize("name", ATTACKS)
def test_the_server_withstands(name):
    attack = subprocess.run(
        [sys.executable, ABUSE, "--quick", "--json", name], capture_output=True, text=True, timeout=30, check=False
    )
    assert attack.stderr == ""
    figures = json.loads(attack.stdout)[name]
    assert [figure for figure in figures if not figure["ok"] and figure["what"] not in UNSTEADY] == []
