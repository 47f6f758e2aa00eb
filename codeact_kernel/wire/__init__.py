"""Code of both ends: the host imports it, and also sends its source to the guest."""
