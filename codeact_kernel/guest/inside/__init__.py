"""Code that runs inside the guest. The host reads these files and sends them to the guest, but never executes them."""
