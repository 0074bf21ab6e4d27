// The basemap: its style from the server, its layers switched by the catalogue, dimmed while we look below the ground.
import type {Map as MapLibreMap, StyleSpecification, VectorTileSource} from 'maplibre-gl';
import {call} from './api';
import {withVersion} from './catalogue';
import {enlargedStyle} from './sizes';

const DIMMED = 0.28;
const OPACITY = {fill: ['fill-opacity'], line: ['line-opacity'], symbol: ['text-opacity', 'icon-opacity'], circle: ['circle-opacity']};

/** Reads a style and makes its tile addresses whole, as MapLibre's worker needs them. */
export async function readStyle(url: string, factor: number): Promise<StyleSpecification> {
  const style = await call<StyleSpecification>(url);
  for (const source of Object.values(style.sources)) {
    if ('tiles' in source && source.tiles) source.tiles = source.tiles.map(absolute);
  }
  return enlargedStyle(style, factor);
}

export interface TilePlace {
  x: number;
  y: number;
  z: number;
}

export class Basemap {
  private readonly missing = new Map<string, TilePlace[]>();
  private readonly original = new Map<string, unknown>();

  constructor(private readonly map: MapLibreMap) {}

  /** Whether a layer of the catalogue is drawn by the basemap. */
  draws(name: string): boolean {
    return this.idsOf(name).length > 0;
  }

  has(layerId: string): boolean {
    return Boolean(this.map.getLayer(layerId));
  }

  show(name: string, on: boolean): void {
    for (const id of this.idsOf(name)) {
      const now = this.map.getLayoutProperty(id, 'visibility') !== 'none';
      if (now !== on) this.map.setLayoutProperty(id, 'visibility', on ? 'visible' : 'none');
    }
  }

  /** Asks for a layer's tiles anew, under its new version. */
  renew(name: string, version: number): void {
    for (const [id, source] of Object.entries(this.map.getStyle().sources)) {
      if (id !== name || !('tiles' in source) || !source.tiles) continue;
      (this.map.getSource(id) as VectorTileSource).setTiles(source.tiles.map((url) => withVersion(url, version)));
    }
  }

  /** Remembers a tile that could not be had. */
  miss(source: string, tile: TilePlace): void {
    const missing = this.missing.get(source) ?? [];
    this.missing.set(source, [...missing, tile]);
  }

  /** Asks again for the tiles of a source that could not be had, and leaves the others as they are drawn. */
  retry(source: string): void {
    const missing = this.missing.get(source) ?? [];
    this.missing.delete(source);
    if (missing.length && this.map.getSource(source)) this.map.refreshTiles(source, missing);
  }

  /** Takes the basemap back while we look below the ground, and brings it forward again. */
  dim(on: boolean): void {
    for (const layer of this.map.getStyle().layers) {
      for (const property of OPACITY[layer.type as keyof typeof OPACITY] ?? []) {
        const key = `${layer.id}/${property}`;
        if (on && !this.original.has(key)) {
          this.original.set(key, this.map.getPaintProperty(layer.id, property as never));
          this.map.setPaintProperty(layer.id, property as never, (layer.type === 'symbol' ? 0.55 : DIMMED) as never);
        } else if (!on && this.original.has(key)) {
          this.map.setPaintProperty(layer.id, property as never, (this.original.get(key) ?? null) as never);
          this.original.delete(key);
        }
      }
    }
  }

  private idsOf(name: string): string[] {
    return this.map
      .getStyle()
      .layers.filter((layer) => 'source' in layer && layer.source === name)
      .map((layer) => layer.id);
  }
}

/** Whatever host an address names, behind a proxy perhaps its inner one: the wall asks none but its own. */
function absolute(url: string): string {
  return location.origin + url.replace(/^\w+:\/\/[^/]+/, '');
}
