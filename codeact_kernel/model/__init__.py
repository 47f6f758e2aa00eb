"""Who writes the program. The seam is `base.ModelClient`, one verb wide; `choose` finds the client that is meant.

Light: a library for talking to models is imported when a model is first asked.
"""
