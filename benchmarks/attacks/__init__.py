"""Attacks on a running server, and what is measured from outside while they last; see ``abuse.py`` beside it."""
