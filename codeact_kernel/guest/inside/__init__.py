"""What runs inside the guest. The host reads these files and sends them in, and never executes them."""
