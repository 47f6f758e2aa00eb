"""The thread that turns run on."""

from __future__ import annotations

import threading

from codeact.loop_thread import LoopThread


def test_whoever_comes_first_makes_the_loop_and_everybody_has_the_same():
    for _ in range(50):
        thread, loops, start = LoopThread(), [], threading.Barrier(4)

        def look(thread=thread, loops=loops, start=start) -> None:
            start.wait()
            loops.append(thread.loop)

        others = [threading.Thread(target=look) for _ in range(4)]
        for other in others:
            other.start()
        for other in others:
            other.join()
        assert len(set(map(id, loops))) == 1
        thread.close()
