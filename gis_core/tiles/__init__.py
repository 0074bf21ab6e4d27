"""Vector tiles, fast: a few connections in the reader's role, one prepared statement, a cache by version.

    waiting   jobs by statement, in the order they came
    lanes     the connections; a free one takes its share of what waits for one statement: one tile while lanes are
              free, many small ones at once when all are busy
    cache     tiles by statement (rights and owner are in it), version and address

The same tile asked for twice at once is made once. When all who asked for a tile have gone, it is not made, or its
query is cancelled.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from functools import partial
from typing import Final

import asyncpg

from gis_core.access import Viewer
from gis_core.errors import CityError, Unavailable
from gis_core.spec import Layer
from gis_core.tiles.byte_cache import ByteCache
from gis_core.tiles.lanes import Lane
from gis_core.tiles.plans import TilePlan, check_address, make_plan

_LANES: Final = min(max(2 * (os.cpu_count() or 1), 3), 16)
"""Connections: enough that the cores have work while answers are read, and so few that what waits goes in batches."""
_BATCH_S: Final = 0.02
"""About how long the tiles that one statement makes may take together."""
_LARGEST_BATCH: Final = 24
_FIRST_GUESS_S: Final = 0.004
_MOST_PLANS: Final = 4096
_MOST_STATEMENTS: Final = 512
"""Each may hold an area's whole outline as text."""

Key = tuple[TilePlan, int, int, int, int]


class Job:
    """One tile to be made, and those who wait for it."""

    __slots__ = ("address", "key", "lane", "waiters")

    def __init__(self, key: Key) -> None:
        """A tile nobody waits for yet."""
        self.key = key
        self.address = key[2:]
        self.waiters: list[asyncio.Future[bytes]] = []
        self.lane: Lane | None = None

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits."""
        return not all(waiter.cancelled() for waiter in self.waiters)

    def done(self, tile: bytes) -> None:
        """Give the tile to all who wait."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(tile)

    def fail(self, error: CityError) -> None:
        """Tell all who wait that there will be none."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)


class Tiles:
    """The tiles of one city's layers. To be opened and used inside one event loop."""

    def __init__(self, url: str, *, cache_mb: int = 256, lanes: int = _LANES) -> None:
        """Prepare; the connections are opened when first needed."""
        self._lanes = [Lane(url) for _ in range(lanes)]
        self._free = list(self._lanes)
        self._waiting: OrderedDict[TilePlan, deque[Job]] = OrderedDict()
        self._jobs: dict[Key, Job] = {}
        self._plans: dict[tuple[str, int, Viewer], TilePlan | None] = {}
        self._by_digest: dict[str, TilePlan] = {}
        self._cost_s: dict[tuple[TilePlan, int], float] = {}
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        self._starting = 0
        self._open = False
        self._loop: asyncio.AbstractEventLoop
        self.cache = ByteCache(cache_mb * 2**20)

    async def open(self) -> None:
        """Begin to take jobs."""
        self._loop = asyncio.get_running_loop()
        self._open = True

    async def close(self) -> None:
        """Stop what runs and give the connections back."""
        self._open = False
        running = list(self._tasks.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for job in self._jobs.values():
            job.fail(Unavailable("the service is stopping"))
        self._waiting.clear()
        self._jobs.clear()
        await asyncio.gather(*(lane.close() for lane in self._lanes))

    def plan(self, layer: Layer, viewer: Viewer, z: int) -> TilePlan | None:
        """The question to be asked for this layer, viewer and zoom; None where the layer has no tiles.

        Viewers with the same rights over the same rows share one plan, and with it its statement and tiles.

        Raises:
            Forbidden: the viewer may not see the layer.

        """
        key = (layer.name, z, viewer)
        try:
            return self._plans[key]
        except KeyError:
            made = make_plan(layer, viewer, z)
        if len(self._plans) >= _MOST_PLANS or len(self._by_digest) >= _MOST_STATEMENTS:
            self._plans.clear()
            self._by_digest.clear()
            self._cost_s.clear()
        if made is not None:
            made = self._by_digest.setdefault(made.digest, made)
        self._plans[key] = made
        return made

    async def tile(self, layer: Layer, viewer: Viewer, z: int, x: int, y: int, version: int) -> bytes:
        """The layer's tile as MVT, empty where there is nothing; `version` is the layer's newest known.

        Raises:
            NoSuchTile: zoom, column or row is out of range.
            Forbidden: the viewer may not see the layer.
            Unavailable: the database is down, or the tile took too long.

        """
        check_address(z, x, y)
        plan = self.plan(layer, viewer, z)
        if plan is None:
            return b""
        key = (plan, version, z, x, y)
        kept = None if plan.fleeting else self.cache.get(key)
        return kept if kept is not None else await self.ask(key)

    def ask(self, key: Key) -> asyncio.Future[bytes]:
        """Wait for a tile that is not in the cache (plan, version, z, x, y). Cancel the future to leave.

        Raises:
            Unavailable: the tiles are not open.

        """
        if not self._open:
            raise Unavailable("the tiles are not open")
        waiter: asyncio.Future[bytes] = self._loop.create_future()
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = Job(key)
            self._waiting.setdefault(key[0], deque()).append(job)
        job.waiters.append(waiter)
        waiter.add_done_callback(partial(self._left, job))
        if self._free and job.lane is None:
            self._start(key[0])
        return waiter

    def _left(self, job: Job, waiter: asyncio.Future[bytes]) -> None:
        """Somebody's wait ended; if they left, and were the last of all in a running statement, cancel it."""
        if not waiter.cancelled() or job.wanted:
            return
        self._jobs.pop(job.key, None)
        if job.lane is not None and job.lane in self._tasks and not any(other.wanted for other in job.lane.jobs):
            self._tasks[job.lane].cancel()

    def _start(self, plan: TilePlan) -> None:
        """Set a free lane to work, if possible one that is bound as the plan asks already."""
        lane = next((free for free in self._free if free.serves(plan)), self._free[-1])
        self._free.remove(lane)
        self._starting += 1
        task = self._loop.create_task(self._work(lane))
        self._tasks[lane] = task

    async def _work(self, lane: Lane) -> None:
        """Make what waits until nothing does."""
        self._starting -= 1
        try:
            while jobs := self._take():
                lane.jobs = jobs
                for job in jobs:
                    job.lane = lane
                try:
                    await self._make(lane, jobs)
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if not self._open or task is None:
                        raise
                    task.uncancel()  # all who asked have gone; the lane goes on
                finally:
                    for job in jobs:
                        if self._jobs.get(job.key) is job:
                            del self._jobs[job.key]
        finally:
            lane.jobs = ()
            del self._tasks[lane]
            self._free.append(lane)

    def _take(self) -> list[Job]:
        """The next jobs for one statement: those that wait for the plan whose first job is the oldest to be served."""
        while self._waiting:
            plan, queue = self._waiting.popitem(last=False)
            jobs: list[Job] = []
            budget = _BATCH_S
            share = min(-(-len(queue) // (1 + len(self._free) + self._starting)), _LARGEST_BATCH)
            while queue and len(jobs) < share and budget > 0:
                job = queue.popleft()
                if job.wanted:
                    budget -= self._cost_s.get((plan, job.address[0]), _FIRST_GUESS_S)
                    jobs.append(job)
            if queue:
                self._waiting[plan] = queue  # behind the other plans, so that none starves
            if jobs:
                return jobs
        return []

    async def _make(self, lane: Lane, jobs: Sequence[Job]) -> None:
        """Ask for the jobs' tiles in one statement; where that fails, for each alone, so that one harms no other."""
        plan = jobs[0].key[0]
        began = time.perf_counter()
        try:
            tiles = await lane.fetch(plan, [job.address for job in jobs])
        except asyncpg.PostgresError as error:
            if len(jobs) > 1:
                for job in jobs:
                    await self._make(lane, (job,))
            else:
                jobs[0].fail(Unavailable(f"this tile could not be made: {type(error).__name__}"))
        except (OSError, TimeoutError, asyncpg.InterfaceError):
            for job in jobs:
                job.fail(Unavailable("the database does not answer"))
        else:
            each_s = (time.perf_counter() - began) / len(jobs)
            for job, tile in zip(jobs, tiles, strict=True):
                known = (plan, job.address[0])
                self._cost_s[known] = 0.8 * self._cost_s.get(known, each_s) + 0.2 * each_s
                if not plan.fleeting:
                    self.cache.put(job.key, tile)
                job.done(tile)
