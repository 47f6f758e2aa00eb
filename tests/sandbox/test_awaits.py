"""Tools that a program awaits: each call is made exactly once, and calls that are awaited together are in flight
together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from .conftest import program

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def slow(value: Any) -> Any:
    await asyncio.sleep(0.02)
    return value


TOGETHER = {
    "gather of a list": "import asyncio\nawait asyncio.gather(*[slow(n) for n in (1, 2, 3)])",
    "gather of a generator": "import asyncio\nawait asyncio.gather(*(slow(n) for n in (1, 2, 3)))",
    "gather of calls": "import asyncio as aio\nawait aio.gather(slow(1), slow(value=2), slow(3))",
    "gather by name": "from asyncio import gather as g\nawait g(*[slow(n) for n in (1, 2, 3)])",
    "gather of a map": "import asyncio\nawait asyncio.gather(*map(slow, [1, 2, 3]))",
    "gather of a list of a map": "import asyncio\nawait asyncio.gather(*list(map(lambda n: slow(n), [1, 2, 3])))",
    "a list first": "import asyncio\ncalls = [slow(n) for n in (1, 2, 3)]\nawait asyncio.gather(*calls)",
    "append": """
        import asyncio
        tasks = []
        for n in (1, 2, 3):
            tasks.append(slow(n))
        results = await asyncio.gather(*tasks)
        results
        """,
    "variables": """
        import asyncio
        one = slow(1)
        two = slow(2)
        first, second = await asyncio.gather(one, two)
        [first, second, await slow(3)]
        """,
    "tasks": """
        import asyncio
        tasks = [asyncio.create_task(slow(n)) for n in (1, 2, 3)]
        [await task for task in tasks]
        """,
    "extend": "import asyncio\ncalls = []\ncalls.extend(slow(n) for n in (1, 2, 3))\nawait asyncio.gather(*calls)",
    "added": "import asyncio\ncalls = []\ncalls += [slow(n) for n in (1, 2, 3)]\nawait asyncio.gather(*calls)",
    "values of a dict": """
        import asyncio
        calls = {n: slow(n) for n in (1, 2, 3)}
        found = dict(zip(calls.keys(), await asyncio.gather(*calls.values())))
        [found[n] for n in (1, 2, 3)]
        """,
    "a dict that is filled": """
        import asyncio
        calls = {}
        for n in (1, 2, 3):
            calls[n] = slow(n)
        list(dict(zip(calls, await asyncio.gather(*calls.values()))).values())
        """,
    "items of a dict": """
        calls = {"a": slow(1), "b": slow(2), "c": slow(3)}
        found = {name: await call for name, call in calls.items()}
        list(found.values())
        """,
    "awaited one by one": "import asyncio\ncalls = [slow(n) for n in (1, 2, 3)]\n[await call for call in calls]",
    "a group": """
        import asyncio
        async def main():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(slow(n)) for n in (1, 2, 3)]
            return [task.result() for task in tasks]
        asyncio.run(main())
        """,
    "functions": """
        import asyncio
        async def fetch(n):
            async with limit:
                return await slow(n)
        async def main():
            global limit
            limit = asyncio.Semaphore(5)
            return await asyncio.gather(*[fetch(n) for n in (1, 2, 3)])
        asyncio.run(main())
        """,
    "an alias": "import asyncio\nfetch = slow\nawait asyncio.gather(*[fetch(n) for n in (1, 2, 3)])",
    "a dict of tools": "import asyncio\nat = {'s': slow}\nawait asyncio.gather(*[at['s'](n) for n in (1, 2, 3)])",
    "call_tool": "import asyncio\nawait asyncio.gather(*[call_tool('slow', value=n) for n in (1, 2, 3)])",
    "call_tool_async": "import asyncio\nawait asyncio.gather(*[call_tool_async('slow', value=n) for n in (1, 2, 3)])",
    "wait": """
        import asyncio
        done, _ = await asyncio.wait([slow(n) for n in (1, 2, 3)])
        sorted(task.result() for task in done)
        """,
    "as_completed": """
        import asyncio
        sorted([await one for one in asyncio.as_completed([slow(n) for n in (1, 2, 3)])])
        """,
    "run of gather": "import asyncio\nasyncio.run(asyncio.gather(*[slow(n) for n in (1, 2, 3)]))",
    "a loop": """
        import asyncio
        loop = asyncio.get_event_loop()
        loop.run_until_complete(asyncio.gather(*[slow(n) for n in (1, 2, 3)]))
        """,
    "threads of asyncio": "import asyncio\nawait asyncio.gather(*[asyncio.to_thread(slow, n) for n in (1, 2, 3)])",
    "the executor of a loop": """
        import asyncio
        async def main():
            loop = asyncio.get_running_loop()
            return await asyncio.gather(*[loop.run_in_executor(None, slow, n) for n in (1, 2, 3)])
        asyncio.run(main())
        """,
    "partial": """
        import asyncio, functools
        await asyncio.gather(*[asyncio.to_thread(functools.partial(slow, n)) for n in (1, 2, 3)])
        """,
    "the map of an executor": """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(max_workers=8) as pool:
            found = list(pool.map(slow, [1, 2, 3]))
        found
        """,
    "an executor and as_completed": """
        from concurrent.futures import as_completed, ThreadPoolExecutor
        with ThreadPoolExecutor() as pool:
            futures = {pool.submit(slow, value=n): n for n in (1, 2, 3)}
        sorted(future.result() for future in as_completed(futures))
        """,
    "the executor of its own module": """
        import functools
        from concurrent.futures.thread import ThreadPoolExecutor
        pool = ThreadPoolExecutor()
        futures = [pool.submit(functools.partial(call_tool, "slow"), value=n) for n in (1, 2, 3)]
        pool.shutdown()
        [future.result() for future in futures]
        """,
    "an executor and wait": """
        import concurrent.futures
        pool = concurrent.futures.ThreadPoolExecutor()
        done, left = concurrent.futures.wait([pool.submit(slow, n) for n in (1, 2, 3)])
        sorted(future.result() for future in done) + list(left)
        """,
}


@pytest.mark.parametrize("text", TOGETHER.values(), ids=TOGETHER)
@pytest.mark.parametrize("reads", [(), ("slow",)], ids=["acts", "reads"])
async def test_calls_that_are_awaited_together_are_made_once_and_in_flight_together(programs, text: str, reads):
    run = await programs.run(program(text), tools={"slow": slow}, reads=reads)
    assert run.value == [1, 2, 3]
    assert sorted(call.arguments["value"] for call in run.calls) == [1, 2, 3]
    assert run.most_open > 1


ONCE: dict[str, tuple[str, Any]] = {
    "await": ("await slow(7)", 7),
    "await in a function": ("async def f(n):\n    return await slow(n)\nawait f(7)", 7),
    "await of call_tool": ("await call_tool('slow', value=7)", 7),
    "run of a tool": ("import asyncio\nasyncio.run(slow(7))", 7),
    "run of call_tool": ("import asyncio\nasyncio.run(call_tool('slow', value=7))", 7),
    "run of call_tool_async": ("import asyncio\nasyncio.run(call_tool_async('slow', value=7))", 7),
    "run in an async program": ("import asyncio\nn = await slow(6)\nasyncio.run(slow(n + 1))", 7),
    "a loop of its own": ("import asyncio\nasyncio.new_event_loop().run_until_complete(slow(7))", 7),
    "a helper that is no coroutine": ("def f(n):\n    return slow(n)\nawait f(7)", 7),
    "gather of a helper": ("import asyncio\nf = lambda n: slow([n])\nawait asyncio.gather(f(1), f(2))", [[1], [2]]),
    "wait_for": ("import asyncio\nawait asyncio.wait_for(slow(7), 5)", 7),
    "wait_for a helper": ("import asyncio\ndef f(n):\n    return slow(n)\nawait asyncio.wait_for(f(7), 5)", 7),
    "shield": ("import asyncio\nawait asyncio.shield(slow(7))", 7),
    "ensure_future": ("import asyncio\nawait asyncio.ensure_future(slow({'n': 7}))", {"n": 7}),
    "a task without a result": ("import asyncio\ntask = asyncio.create_task(slow(None))\nawait task", None),
    "a task that nobody awaits": ("import asyncio\nasyncio.create_task(slow(7))\nawait asyncio.sleep(0)", None),
    "await in a loop": ("[await slow(n) for n in [1, 2]]", [1, 2]),
    "a dict of calls": (
        "import asyncio\ncalls = {n: slow(n) for n in [1, 2]}\n{n: await call for n, call in calls.items()}",
        {"1": 1, "2": 2},
    ),
    "a group that is handed on": (
        "import asyncio\ndef add(g, n):\n    return g.create_task(slow(n))\n"
        "async with asyncio.TaskGroup() as g:\n    t = add(g, 7)\nt.result()",
        7,
    ),
    "async lambdas": ("f = lambda n: slow(n)\nawait f(7)", 7),
    "functions in an executor": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "list(ThreadPoolExecutor().map(lambda n, m: slow(n) + m, [1, 2], [10, 20]))",
        [11, 22],
    ),
    "functions in threads of asyncio": ("import asyncio\nawait asyncio.to_thread(lambda n: slow(n) + 1, 7)", 8),
    "a timeout that a tool gives": ("import asyncio\nawait asyncio.wait_for(slow(7), slow(5))", 7),
    "a timeout by name": ("from asyncio import wait_for as w\nawait w(fut=slow(7), timeout=slow(5))", 7),
    "run inside of a coroutine": (
        "import asyncio\nasync def f():\n    return asyncio.run(slow(6)) + 1\nasyncio.run(f())",
        7,
    ),
    "run in functions of coroutines": (
        "import asyncio\ndef g(n):\n    return asyncio.run(slow([n]))\nasync def f(n):\n    await asyncio.sleep(0)\n"
        "    return g(n)\nawait asyncio.gather(f(1), f(2))",
        [[1], [2]],
    ),
    "gather inside of a coroutine": (
        "import asyncio\nasync def f():\n    return asyncio.run(asyncio.gather(slow(1), slow(2)))\nasyncio.run(f())",
        [1, 2],
    ),
    "a loop of its own in a coroutine": (
        "import asyncio\nasync def g():\n    return await slow(7)\nasync def f():\n"
        "    return asyncio.new_event_loop().run_until_complete(g())\nasyncio.run(f())",
        7,
    ),
    "tasks that nobody awaits": (
        "import asyncio\nasync def f(n):\n    await slow(n)\n    await slow(n + 1)\ntask = asyncio.create_task(f(1))\n"
        "endless = asyncio.create_task(asyncio.Event().wait())\nawait slow(7)",
        7,
    ),
    "exceptions as results": ("import asyncio\nawait asyncio.gather(slow(7), return_exceptions=True)", [7]),
}


@pytest.mark.parametrize(("text", "value"), ONCE.values(), ids=ONCE)
async def test_an_awaited_call_is_made_exactly_once(programs, text: str, value: Any):
    async with programs.turn() as turn:
        run = await turn.run(text, tools={"slow": slow})
    assert run.value == value
    seen = [str(call.arguments["value"]) for call in run.calls]
    assert len(seen) == len(set(seen))
    assert seen


@pytest.mark.smoke
async def test_a_task_that_nobody_awaits_comes_to_its_end_as_in_a_notebook(programs):
    run = await programs.run(
        program("""
        import asyncio
        async def both(n):
            await add(n)
            await add(n + 1)
        async def wait_for_ever():
            while True:
                await asyncio.sleep(1)
        tasks = [asyncio.create_task(both(1)), asyncio.create_task(wait_for_ever())]
        await asyncio.sleep(0)
        "done"
        """)
    )
    assert run.value == "done"
    assert [call.arguments["a"] for call in run.calls] == [1, 2]


async def test_what_fails_in_an_executor_is_raised_where_its_result_is_asked_for(programs):
    run = await programs.run(
        program("""
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor()
        futures = [pool.submit(fail, reason) for reason in "ab"] + [pool.submit(int, "x"), pool.submit(add, 1, 2)]
        found = []
        for future in futures:
            try:
                found.append(future.result(timeout=5))
            except (ToolFailed, ValueError) as error:
                found.append(type(error).__name__)
        found + [future.exception() is None for future in futures]
        """)
    )
    assert run.value == ["ToolFailed", "ToolFailed", "ValueError", 3, False, False, False, True]
    assert len(run.calls) == 3


THREADS: dict[str, tuple[str, Any]] = {
    "a function in threads": (
        """
        import threading
        found = {}
        def fetch(n):
            found[n] = slow(n)
        threads = [threading.Thread(target=fetch, args=(n,)) for n in (1, 2)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        found
        """,
        {"1": 1, "2": 2},
    ),
    "a class of threads": (
        """
        import threading
        class Fetch(threading.Thread):
            def run(self):
                self.found = slow(int(self.name))
        threads = [Fetch(name=n) for n in "12"]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        [thread.found for thread in threads]
        """,
        [1, 2],
    ),
    "a lambda in a loop": (
        """
        import threading
        found = []
        for n in (1, 2):
            threading.Thread(target=lambda: found.append(slow(n))).start()
        found
        """,
        [1, 2],
    ),
    "workers of a queue": (
        """
        import queue, threading
        todo, found = queue.Queue(), []
        for n in (1, 2, 3): todo.put(n)
        def work():
            while (n := todo.get()) is not None:
                found.append(slow(n))
                todo.task_done()
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads: thread.start()
        todo.join()
        for _ in threads: todo.put(None)
        for thread in threads: thread.join()
        found
        """,
        [1, 2, 3],
    ),
    "results in a queue": (
        """
        import queue, threading
        found = queue.Queue()
        for n in (1, 2):
            threading.Thread(target=lambda n: found.put(slow(n)), args=(n,)).start()
        [found.get(), found.get()]
        """,
        [1, 2],
    ),
    "a timer": ("import threading\nthreading.Timer(0.01, slow, args=(2,)).start()\nslow(1)", 1),
    "a timer that is cancelled": (
        "import threading\ntimer = threading.Timer(60, slow, args=(2,))\ntimer.start()\nn = slow(1)\ntimer.cancel()\nn",
        1,
    ),
    "an event of a timer": (
        "import threading\nover = threading.Event()\nthreading.Timer(0.01, over.set).start()\n[slow(1), over.wait(60)]",
        [1, True],
    ),
    "an event loop of its own": (
        "import asyncio, threading\nfound = []\n"
        "thread = threading.Thread(target=lambda: found.extend(asyncio.run(asyncio.gather(slow(1), slow(2)))))\n"
        "thread.start()\nthread.join()\nfound",
        [1, 2],
    ),
}


@pytest.mark.parametrize(("text", "value"), THREADS.values(), ids=THREADS)
async def test_a_thread_runs_when_it_is_started_and_makes_each_call_once(programs, text: str, value: Any):
    run = await programs.run(program(text), tools={"slow": slow})
    assert (run.value, run.stderr) == (value, "")
    seen = [call.arguments["value"] for call in run.calls]
    assert seen == sorted(set(seen))


async def test_threads_that_run_a_tool_have_their_calls_in_flight_together(programs):
    run = await programs.run(
        program("""
        import threading
        threads = [threading.Thread(target=slow, kwargs={"value": n}) for n in (1, 2, 3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        [thread.is_alive() for thread in threads]
        """),
        tools={"slow": slow},
    )
    assert run.value == [False, False, False]
    assert (len(run.calls), run.most_open > 1) == (3, True)


async def test_an_error_in_a_thread_is_printed_and_the_program_goes_on(programs):
    run = await programs.run(
        program("""
        import threading
        for target in (fail, lambda reason: fail(reason)):
            thread = threading.Thread(target=target, args=("why",))
            thread.start()
            thread.join()
        "done"
        """)
    )
    assert run.value == "done"
    assert run.stderr.count("ToolFailed: ValueError: why") == 2
    assert "<codeact" not in run.stderr


@pytest.mark.parametrize(
    "text",
    [
        "import queue\nqueue.Queue().get()",
        "import threading\nthreading.Event().wait()",
        "import threading\nthreading.Barrier(2).wait()",
        "from concurrent.futures import Future\nFuture().result()",
        "import queue, threading\nq = queue.Queue()\nthreading.Thread(target=lambda: add(q.get())).start()\nq.put(1)\nq.join()",
    ],
)
async def test_what_waits_for_another_thread_is_told_what_to_use_before_any_call(programs, text: str):
    run = await programs.run(text)
    assert "ThreadPoolExecutor().map" in run.error
    assert not run.calls
    assert not run.outcome.state_lost
