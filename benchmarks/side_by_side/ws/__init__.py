"""WebSockets as their load sees them, and the loads: wrk knows none."""
