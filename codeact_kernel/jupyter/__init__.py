"""The interface to Jupyter: the kernel, its kernelspecs, and notebooks executed without a front end."""
