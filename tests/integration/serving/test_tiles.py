"""OGC API - Tiles: what is in a tile for whom, which answer has no body, and how the connections behave."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from gis_core.access import Role, Viewer
from gis_core.crs import mercator
from gis_core.database import Database
from gis_core.errors import Unavailable
from gis_core.ingest import Source, ingest_frame
from gis_core.settings import Settings
from gis_core.spec import Layer
from gis_core.tiles import Tiles
from gis_core.tokens import Door
from tests.integration.serving.conftest import FACTS, SECRET, Headers, frames
from web_map.service import create_app

Sign = Callable[..., Headers]
MVT = "application/vnd.mapbox-vector-tile"
Address = tuple[int, int, int]


def over(lon: float, lat: float, z: int) -> Address:
    """The tile (z, x, y) that holds a place."""
    x, y = mercator(np.array([lon]), np.array([lat]))
    half = np.pi * 6378137
    return z, int((x[0] + half) / (2 * half) * 2**z), int((half - y[0]) / (2 * half) * 2**z)


MIDDLE = over(116.35, 39.65, 12)


def path(layer: str, address: Address) -> str:
    z, x, y = address
    return f"/ogc/collections/{layer}/tiles/WebMercatorQuad/{z}/{y}/{x}"


def read(tile: bytes, address: Address, folder: Path) -> pd.DataFrame:
    """The features of a tile, through GDAL's own decoder."""
    z, x, y = address
    file = folder / f"{z}-{x}-{y}.mvt"
    file.write_bytes(tile)
    return pyogrio.read_dataframe(file, X=x, Y=y, Z=z, CLIP="NO", METADATA_FILE="")


def tile_of(client: TestClient, layer: str, address: Address, headers: Headers | None, folder: Path) -> pd.DataFrame:
    answer = client.get(path(layer, address), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MVT
    assert int(answer.headers["content-length"]) == len(answer.content)
    return read(answer.content, address, folder)


def test_a_tile_holds_the_features_with_ids_and_register_fields(
    client: TestClient, signed: Sign, tmp_path: Path
) -> None:
    headers = signed("wall")
    address = over(116.35, 39.65, 14)
    found = tile_of(client, "pipe_segments", address, headers, tmp_path)
    wanted = {"code", "pipe_class", "diameter_mm", "start_depth_m", "end_depth_m", "owner", "simulated"}
    assert set(found.columns) == {"mvt_id", "geometry", *wanted}
    assert pyogrio.list_layers(tmp_path / "{}-{}-{}.mvt".format(*address))[0][0] == "pipe_segments"
    frame = frames()["pipe_segments"].to_crs(3857).set_index("code")
    for _, row in found.iterrows():
        given = frame.loc[row["code"]]
        assert row["diameter_mm"] == given["diameter_mm"]
        assert row["simulated"]
        assert row.geometry.intersection(given.geometry.buffer(2)).length > 0.9 * row.geometry.length
        item = client.get(f"/ogc/collections/pipe_segments/items/{row['mvt_id']}", headers=headers).json()
        assert item["properties"]["code"] == row["code"]
    z, x, y = address
    side = 2 * np.pi * 6378137 / 2**z
    west, north = x * side - np.pi * 6378137, np.pi * 6378137 - y * side
    inside = frame.cx[west : west + side, north - side : north]
    assert set(inside.index) <= set(found["code"])
    assert len(inside) > 5


def test_each_zoom_has_what_appears_there(client: TestClient, signed: Sign, tmp_path: Path) -> None:
    headers = signed("wall")
    smallest = {11: 600, 12: 600, 13: 300, 14: 100}
    for z, diameter in smallest.items():
        found = tile_of(client, "pipe_segments", over(116.35, 39.65, z), headers, tmp_path)
        assert found["diameter_mm"].min() == diameter
    assert client.get(path("pipe_segments", over(116.35, 39.65, 10)), headers=headers).status_code == 204
    deep = over(116.35, 39.65, 22)
    assert client.get(path("pipe_segments", deep), headers=headers).status_code in {200, 204}


def test_low_zooms_are_simplified_but_whole(client: TestClient, signed: Sign, tmp_path: Path) -> None:
    headers = signed("wall")
    low = tile_of(client, "buildings", over(116.35, 39.65, 13), headers, tmp_path)
    assert low.geometry.is_valid.all()
    assert (low.geometry.area > 0).all()


def test_an_empty_tile_has_no_body(client: TestClient, signed: Sign) -> None:
    for address in (over(-71.2, -29.9, 14), (14, 0, 0), (14, 2**14 - 1, 2**14 - 1)):
        answer = client.get(path("pipe_segments", address), headers=signed("wall"))
        assert (answer.status_code, answer.content) == (204, b"")
        assert "content-type" not in answer.headers


@pytest.mark.parametrize(
    "address",
    [
        "23/0/0",
        "99/0/0",
        "14/16384/0",
        "14/0/16384",
        "0/1/0",
        "14/-1/0",
        "-1/0/0",
        "14/0/x",
        "14/0/1.5",
        "9" * 30 + "/0/0",
    ],
)
def test_a_tile_that_cannot_be_is_refused(client: TestClient, signed: Sign, address: str) -> None:
    answer = client.get(f"/ogc/collections/parking/tiles/WebMercatorQuad/{address}", headers=signed("wall"))
    assert answer.status_code in {400, 404, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_short_way_answers_as_the_ordinary_one(client: TestClient, signed: Sign) -> None:
    headers = signed("planner")
    cold = client.get(path("parking", MIDDLE), headers=headers)  # the token is not known yet
    warm = client.get(path("parking", MIDDLE), headers=headers)
    assert cold.content == warm.content
    assert cold.headers == warm.headers
    assert warm.headers["x-content-type-options"] == "nosniff"
    assert warm.headers["cache-control"] == "private, no-cache"
    assert client.get(path("cameras", MIDDLE)).status_code == 403
    assert client.get(path("nothing", MIDDLE)).status_code == 404
    forged = client.get(path("parking", MIDDLE), headers={"Authorization": f"Bearer ct_{'x' * 43}"})
    assert forged.status_code == 401
    head = client.head(path("parking", MIDDLE), headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == warm.headers["etag"]


def test_who_has_the_newest_tile_is_told_so(client: TestClient, signed: Sign) -> None:
    first = client.get(path("pipe_segments", over(116.35, 39.65, 14)), headers=signed("wall"))
    tag = first.headers["etag"]
    for shown in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(
            path("pipe_segments", over(116.35, 39.65, 14)), headers={**signed("wall"), "If-None-Match": shown}
        )
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = {**signed("utility", "B"), "If-None-Match": tag}
    assert client.get(path("pipe_segments", over(116.35, 39.65, 14)), headers=other).status_code == 200


@pytest.mark.parametrize("z", [11, 14, 16])
def test_an_owner_gets_tiles_of_its_own_rows(client: TestClient, signed: Sign, tmp_path: Path, z: int) -> None:
    frame = frames()["pipe_segments"]
    for name, headers in (("B", signed("utility", "B")), ("A", signed("utility", "A"))):
        place = frame.geometry[(frame["owner"] == name) & (frame["diameter_mm"] >= 600)].iloc[0].centroid
        address = over(place.x, place.y, z)
        for _ in range(2):  # from the database, and from the cache that both share
            found = tile_of(client, "pipe_segments", address, headers, tmp_path)
            assert set(found["owner"]) == {name}


def test_a_hidden_column_is_in_no_tile(client: TestClient, signed: Sign, tmp_path: Path) -> None:
    address = over(116.32, 39.62, 13)
    seeing = tile_of(client, "grid_cells", address, signed("operator"), tmp_path)
    assert set(seeing["steward"]) == {SECRET}
    blind = client.get(path("grid_cells", address))
    assert SECRET.encode() not in blind.content
    assert "steward" not in read(blind.content, address, tmp_path)
    for part in ("", "/tilejson"):
        told = client.get(f"/ogc/collections/grid_cells/tiles/WebMercatorQuad{part}")
        assert "steward" not in told.text


def test_tile_sets_are_described(client: TestClient) -> None:
    listed = client.get("/ogc/collections/parking/tiles").json()["tilesets"]
    described = client.get(listed[0]["links"][0]["href"]).json()
    assert described["tileMatrixSetLimits"][0]["tileMatrix"] == "11"
    template = next(link for link in described["links"] if link["rel"] == "item")["href"]
    z, x, y = MIDDLE
    place = template.replace("{tileMatrix}", str(z)).replace("{tileRow}", str(y)).replace("{tileCol}", str(x))
    assert client.get(place).status_code == 200
    limits = described["tileMatrixSetLimits"][1]
    assert limits["minTileRow"] <= y <= limits["maxTileRow"]
    assert limits["minTileCol"] <= x <= limits["maxTileCol"]
    tilejson = client.get("/ogc/collections/parking/tiles/WebMercatorQuad/tilejson").json()
    assert tilejson["vector_layers"][0]["fields"]["bays"] == "Number"
    assert client.get(tilejson["tiles"][0].format(z=z, x=x, y=y)).status_code == 200


def test_far_clients_get_large_tiles_compressed(client: TestClient, signed: Sign) -> None:
    far = TestClient(client.app, client=("192.0.2.7", 4000))
    address = over(116.35, 39.65, 11)
    plain = client.get(path("pipe_segments", address), headers={**signed("wall"), "Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers, "on the same machine it would only cost time"
    assert len(plain.content) > 4_096, "large enough to be worth it"
    packed = far.get(path("pipe_segments", address), headers={**signed("wall"), "Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content  # unpacked by the client
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert packed.headers["etag"] != plain.headers["etag"]
    again = {**signed("wall"), "Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]}
    assert far.get(path("pipe_segments", address), headers=again).status_code == 304


def test_a_change_of_rows_makes_new_tiles(database: Database, all_layers: dict[str, Layer], tmp_path: Path) -> None:
    frame = frames()["parking"]
    ingest_frame(database, all_layers["parking"], frame.iloc[:100], source=Source("first"))
    with TestClient(create_app(Settings(home=Path("unused")), database, FACTS)) as client:
        feed = client.app.state.city.feed
        before = tile_of(client, "parking", over(116.35, 39.65, 13), None, tmp_path)
        tag = client.get(path("parking", over(116.35, 39.65, 13))).headers["etag"]
        version = feed.version("parking")
        ingest_frame(database, all_layers["parking"], frame.iloc[100:], source=Source("second"))
        for _ in range(500):
            if feed.version("parking") > version:
                break
            client.get("/healthz")
        answer = client.get(path("parking", over(116.35, 39.65, 13)), headers={"If-None-Match": tag})
        assert answer.status_code == 200
        after = read(answer.content, over(116.35, 39.65, 13), tmp_path)
    assert set(before["code"]) < set(after["code"])


async def until(holds: Callable[[], bool]) -> None:
    """Let others work until the condition holds; it must within twenty seconds."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  the condition is another object's state
            await asyncio.sleep(0.01)


def run(work: Callable[[], Any]) -> Any:
    return asyncio.run(work())


def test_the_same_tile_asked_for_at_once_is_made_once(city: Database, all_layers: dict[str, Layer]) -> None:
    layer, viewer = all_layers["pipe_segments"], Viewer(Role.wall)

    async def ask() -> None:
        tiles = Tiles(city.url, cache_mb=0, lanes=2)
        await tiles.open()
        asked = 0
        fetch = tiles._lanes[0].fetch

        async def counted(plan: Any, addresses: Any) -> Any:
            nonlocal asked
            asked += len(addresses)
            return await fetch(plan, addresses)

        for lane in tiles._lanes:
            lane.fetch = counted  # type: ignore[method-assign]
        got = await asyncio.gather(*(tiles.tile(layer, viewer, *over(116.35, 39.65, 14), 1) for _ in range(20)))
        assert len(set(got)) == 1
        assert asked == 1
        await tiles.close()

    run(ask)


def test_many_tiles_through_few_connections_are_each_the_right_one(
    city: Database, all_layers: dict[str, Layer]
) -> None:
    layer = all_layers["pipe_segments"]
    z, x, y = over(116.35, 39.65, 15)
    around = [(z, x + i, y + j) for i in range(-4, 5) for j in range(-4, 5)]
    viewers = [Viewer(Role.wall), Viewer(Role.utility, owner="A"), Viewer(Role.utility, owner="B")]

    async def ask() -> None:
        alone, crowd = Tiles(city.url, lanes=1), Tiles(city.url, lanes=3)
        for tiles in (alone, crowd):
            await tiles.open()
        single = [await alone.tile(layer, viewer, *address, 1) for viewer in viewers for address in around]
        together = await asyncio.gather(
            *(crowd.tile(layer, viewer, *address, 1) for viewer in viewers for address in around)
        )
        assert list(together) == single
        assert any(together)
        for tiles in (alone, crowd):
            await tiles.close()

    run(ask)


def test_when_all_have_left_the_query_is_cancelled(city: Database, all_layers: dict[str, Layer]) -> None:
    layer, viewer = all_layers["parking"], Viewer(Role.wall)

    async def ask() -> None:
        tiles = Tiles(city.url, lanes=1)
        await tiles.open()
        plan = tiles.plan(layer, viewer, 13)
        assert plan is not None
        slow = type(plan)(
            plan.layer, plan.scope, "SELECT 1, pg_sleep(60)::text::bytea, $1::int[], $2::int[], $3::int[]", "x"
        )
        waiting = tiles.ask((slow, 1, 13, 0, 0))
        queued = tiles.ask((slow, 1, 13, 1, 0))
        await until(lambda: bool(tiles._lanes[0].jobs and tiles._lanes[0]._connection))
        queued.cancel()
        waiting.cancel()
        tile = await asyncio.wait_for(tiles.tile(layer, viewer, *over(116.35, 39.65, 13), 1), 20)
        assert tile, "the lane serves on"
        await tiles.close()

    run(ask)


def test_a_lost_connection_is_opened_again(city: Database, all_layers: dict[str, Layer]) -> None:
    layer, viewer = all_layers["parking"], Viewer(Role.wall)
    end = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'chengtu tiles'")

    async def ask() -> None:
        tiles = Tiles(city.url, cache_mb=0, lanes=1)
        await tiles.open()
        first = await tiles.tile(layer, viewer, *over(116.35, 39.65, 13), 1)
        with city.writing() as connection:
            connection.execute(end)
        assert await tiles.tile(layer, viewer, *over(116.35, 39.65, 13), 2) == first
        await tiles.close()

    run(ask)


def test_without_a_server_tiles_are_unavailable(all_layers: dict[str, Layer], tmp_path: Path) -> None:
    async def ask() -> None:
        tiles = Tiles(f"postgresql://nobody@/nothing?host={tmp_path}", lanes=1)
        await tiles.open()
        for _ in range(2):
            with pytest.raises(Unavailable):
                await tiles.tile(all_layers["parking"], Viewer(), *MIDDLE, 1)
        await tiles.close()

    run(ask)


def test_connections_read_only_in_the_readers_role(city: Database, all_layers: dict[str, Layer]) -> None:
    layer = all_layers["pipe_segments"]

    async def ask() -> None:
        tiles = Tiles(city.url, lanes=1)
        await tiles.open()
        await tiles.tile(layer, Viewer(Role.utility, owner="B"), *MIDDLE, 1)
        connection = tiles._lanes[0]._connection
        assert await connection.fetchval("SELECT current_user || current_setting('chengtu.scope')") == "chengtu_readerB"
        assert await connection.fetchval("SELECT count(*) FROM pipe_segments WHERE owner <> 'B'") == 0
        assert await connection.fetchval("SELECT current_setting('transaction_read_only')") == "on"
        await tiles.close()

    run(ask)


def test_a_viewer_of_an_area_gets_its_tiles(
    client: TestClient, city: Database, tmp_path: Path, all_layers: dict[str, Layer]
) -> None:
    area = shapely.box(116.3, 39.6, 116.35, 39.65)
    viewer = Viewer(Role.wall, area="part", area_wkb=shapely.to_wkb(area))

    async def ask() -> bytes:
        tiles = Tiles(city.url, lanes=1)
        await tiles.open()
        tile = await tiles.tile(all_layers["parking"], viewer, *MIDDLE, 1)
        await tiles.close()
        return tile

    found = set(read(run(ask), MIDDLE, tmp_path)["code"])
    every = tile_of(client, "parking", MIDDLE, None, tmp_path)
    frame = frames()["parking"]
    assert found == set(every["code"]) & set(frame["code"][frame.intersects(area)])
    assert 0 < len(found) < len(every)


def test_gzip_is_only_for_those_who_take_it(client: TestClient, signed: Sign) -> None:
    far = TestClient(client.app, client=("192.0.2.7", 4000))
    headers = {**signed("wall"), "Accept-Encoding": "identity"}
    answer = far.get(path("pipe_segments", over(116.35, 39.65, 11)), headers=headers)
    assert "content-encoding" not in answer.headers
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(answer.content)


def test_tokens_that_were_withdrawn_get_no_tile(city: Database, client: TestClient) -> None:
    door = client.app.state.city.door
    token = Door(city).make("wall")
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get(path("cameras", MIDDLE), headers=headers).status_code == 200
    assert client.get(path("cameras", MIDDLE), headers=headers).status_code == 200
    door.revoke(token)
    assert client.get(path("cameras", MIDDLE), headers=headers).status_code == 401
