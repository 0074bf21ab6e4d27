// Care for tiles that cannot be had: what is drawn stays, though old, and only what is missing is asked for again.
import type {_TileLoadProps as TileLoadProps, _Tileset2D as Tileset2D} from '@deck.gl/geo-layers';

type Loaded<T> = T | null | Promise<T | null>;

export class TileCare {
  private readonly missing = new Set<string>();

  /** Fetches a tile; if that fails and an older one is drawn, reports the failure and keeps the older. */
  async fetch<T>(tileset: Tileset2D | null, tile: TileLoadProps, fetchTile: () => Loaded<T>, report: (error: unknown) => void): Promise<T | null> {
    const drawn = tileset?.tiles.find((held) => held.id === tile.id)?.content as T | null | undefined;
    try {
      const content = await fetchTile();
      this.missing.delete(tile.id);
      return content;
    } catch (error) {
      if (tile.signal?.aborted) throw error;
      this.missing.add(tile.id);
      if (!drawn) throw error;
      // After deck.gl has called this tile loaded, which would settle the trouble.
      setTimeout(() => report(error));
      return drawn;
    }
  }

  /** Asks again for the tiles that could not be had and are still held. */
  again(tileset: Tileset2D | null): void {
    for (const tile of tileset?.tiles ?? []) if (this.missing.has(tile.id)) tile.setNeedsReload();
  }
}
