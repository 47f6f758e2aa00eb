"""The door of Jupyter: the kernel, its entry in the list of kernels, and notebooks executed without a front end."""
