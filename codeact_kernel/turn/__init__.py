"""One prompt from beginning to end: ask the model, check its program, run it, answer its calls, give the result."""
