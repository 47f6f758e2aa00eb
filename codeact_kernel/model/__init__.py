"""Ask a model for a program. `base.ModelClient` is the interface; `discovery` chooses the client.

The library that talks to models is imported when a model is first asked, since its import takes a second.
"""
