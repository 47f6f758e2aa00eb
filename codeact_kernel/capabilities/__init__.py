"""What programs can use besides the tools: data of the notebook, files, the network, and what they show."""
