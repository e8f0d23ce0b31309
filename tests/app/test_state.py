"""The counts are those of all servers together."""

from __future__ import annotations

import trio

from trioframe.app.background import AppTasks, Background
from trioframe.app.report import Reporter
from trioframe.app.state import State


class Server:
    """What lives, as a `State` sees it."""

    def __init__(self, background: Background, is_serving: bool) -> None:
        self.background = background
        self.is_serving = is_serving

    def stop(self) -> None: ...


async def test_counts() -> None:
    state = State()
    tasks = AppTasks("app", Reporter("app"), state)
    assert (state.is_serving, state.tasks, state.after_response) == (False, 0, 0)
    servers = [Server(tasks.background(), is_serving) for is_serving in (True, False)]
    async with trio.open_nursery() as nursery:
        for server in servers:
            state.begin(server)
            await nursery.start(server.background.nursery.run)
            await nursery.start(server.background.left_behind.run)
            server.background.nursery.start_soon(trio.sleep_forever)
            server.background.after_response(trio.sleep_forever)
        servers[0].background.nursery.start_soon(trio.sleep_forever)
        assert (state.is_serving, state.tasks, state.after_response) == (True, 3, 2)
        state.end(servers[0])
        assert (state.is_serving, state.tasks, state.after_response) == (False, 1, 1)
        for server in servers:
            for each in (server.background.nursery, server.background.left_behind):
                await each.close(within=0, grace=1)
    assert (state.is_serving, state.tasks, state.after_response) == (False, 0, 0)
