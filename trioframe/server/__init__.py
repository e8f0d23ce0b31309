"""The edges of a server: listeners, TLS, gentle closing, the access log, and what serves and drains connections."""
