"""The workloads, in the order in which they are measured and reported.  A new one is a file and a line here."""

from __future__ import annotations

from side_by_side.workload import Workload

from . import (
    connections,
    download,
    hello,
    idle,
    json_post,
    large,
    latency,
    middleware,
    signals,
    startup,
    upload,
    ws_broadcast,
    ws_echo,
    ws_idle,
    ws_large,
    ws_large_plain,
)

__all__ = ["WORKLOADS"]

WORKLOADS: dict[str, Workload] = {
    module.WORKLOAD.name: module.WORKLOAD
    for module in (
        hello,
        middleware,
        signals,
        json_post,
        large,
        download,
        upload,
        connections,
        idle,
        startup,
        latency,
        ws_echo,
        ws_large,
        ws_large_plain,
        ws_broadcast,
        ws_idle,
    )
}
