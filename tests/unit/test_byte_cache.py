"""The cache keeps to its size and lets go of what was not asked for longest."""

from __future__ import annotations

from gis_core.tiles.byte_cache import ByteCache


def test_what_was_put_is_got_until_it_no_longer_fits() -> None:
    cache = ByteCache(10_000)
    for number in range(6):
        cache.put(number, bytes([number]) * 1_000)
    assert cache.get(0) == b"\0" * 1_000
    assert cache.get("nothing") is None
    for number in range(6, 9):
        cache.put(number, b"x" * 1_000)
    assert cache.size <= 10_000
    assert cache.get(0) is not None, "asked for lately"
    assert cache.get(1) is None, "asked for longest ago"


def test_size_follows_replacement() -> None:
    cache = ByteCache(10_000)
    cache.put("a", b"x" * 2_000)
    before = cache.size
    cache.put("a", b"y" * 1_000)
    assert (len(cache), cache.size) == (1, before - 1_000)
    assert cache.get("a") == b"y" * 1_000


def test_what_is_too_large_is_not_kept() -> None:
    cache = ByteCache(10_000)
    cache.put("small", b"x")
    cache.put("large", b"x" * 5_000)
    assert cache.get("large") is None
    assert cache.get("small") == b"x"
    nothing = ByteCache(0)
    nothing.put("a", b"")
    assert nothing.get("a") is None


def test_empty_values_count_too() -> None:
    cache = ByteCache(30_000)
    for number in range(10_000):
        cache.put(number, b"")
    assert len(cache) <= 100
