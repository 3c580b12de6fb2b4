"""Measurements of ours beside the plain way, each in fresh processes of one run."""
