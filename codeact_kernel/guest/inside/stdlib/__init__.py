"""Adapt modules of the standard library that need threads, sockets or files, which a guest does not have."""
