"""Running a use case from a command, with settings, a runtime and an event loop around it.

SIGTERM and Ctrl-C cancel the work, so that everything closes in order.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from api.process.runtime import Runtime
    from api.process.settings import Settings
    from resolvers.context import Services

T = TypeVar("T")


def run_with_services(work: Callable[[Services], Awaitable[T]]) -> T:
    """Does the work with the services of a runtime that is opened from the environment's settings."""
    return run_with_runtime(lambda runtime: work(runtime.services))


def run_with_runtime(work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Does the work with a runtime that is opened from the environment's settings."""
    from api.process.settings import load_settings

    settings = load_settings()

    async def run() -> T:
        from api.cli.console import say
        from api.process.runtime import open_runtime

        async with open_runtime(settings, say) as runtime:
            return await work(runtime)

    return run_until_done(run(), settings)


def run_until_done(
    work: Coroutine[Any, Any, T],
    settings: Settings,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """Runs a coroutine and returns its result. SIGTERM or Ctrl-C cancels it and raises KeyboardInterrupt."""
    from api.process.logs import configure_logs

    configure_logs("warning" if settings.log_level == "info" else settings.log_level)

    async def run() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(run())
