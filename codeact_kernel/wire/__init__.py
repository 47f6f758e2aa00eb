"""Code of both ends: the host imports it, and it is sent to the guest as source like the guest's own modules."""
