"""The limit on templates, in several threads at once."""

import resource
import threading

from limbeck.core.limited import limited


def test_the_limit_on_memory_is_lifted_whichever_thread_leaves_last():
    before = resource.getrlimit(resource.RLIMIT_AS)
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with limited():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with limited():
        leave.set()
        thread.join()
        assert resource.getrlimit(resource.RLIMIT_AS) != before
    assert resource.getrlimit(resource.RLIMIT_AS) == before
