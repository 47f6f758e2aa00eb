"""Secrets of the user: values that tools receive, and that no program, model, card, record or log contains.

`Secret` is the value. `hide` and its relatives replace the text of every known secret. They are called where data
leaves the user's code or reaches somebody else: at results, errors and progress of tools (`tools/`), at data that stays
in the kernel for programs (`capabilities/data`), at the messages for the model (`turn/writer.py`), at the events and
the result of a turn (`events.py`, `turn/recorder.py`), and at the output of the notebook (`hidden_output.py` of the
extension).
"""

from .hide import AS_IS, StreamHider, has_secret, hide, hide_in, mask
from .secret import Secret, SecretUnavailable

__all__ = ["AS_IS", "Secret", "SecretUnavailable", "StreamHider", "has_secret", "hide", "hide_in", "mask"]
