"""What tests of apps take in hand: each beside an `app` of its own."""

from __future__ import annotations

import pytest
from reported import Reported
from upgrading import WAYS

from trioframe import App


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, app: App) -> str:
    """In the standing scope, or in one of its own, as something stands around: all that follows holds for both."""
    WAYS[request.param](app)
    return str(request.param)


@pytest.fixture
def reported(app: App) -> Reported:
    """What nobody has handled."""
    reported = Reported()
    app.add_signal(reported, "server.exception.report")
    return reported
