// How vector tiles are decoded: by loaders.gl in a worker that we serve ourselves.
import {load} from '@loaders.gl/core';
import {MVTLoader} from '@loaders.gl/mvt';
import mvtWorker from '@loaders.gl/mvt/mvt-worker.js?url';
import type {LineFeature} from './stretches';

const mvt = {workerUrl: new URL(mvtWorker, location.href).href};

export const TILE_LOADERS = [MVTLoader];
export const TILE_LOAD_OPTIONS = {mvt};

/** One tile's features with longitude and latitude; an empty tile (204) has none. Throws where the tile cannot be had. */
export async function tileFeatures(url: string, index: {x: number; y: number; z: number}, signal?: AbortSignal): Promise<LineFeature[]> {
  const response = await fetch(url, {credentials: 'same-origin', signal: signal ?? null});
  if (response.status === 204) return [];
  if (!response.ok) throw new Error(`(${response.status})`);
  const bytes = await response.arrayBuffer();
  if (!bytes.byteLength) return [];
  const options = {mvt: {...mvt, shape: 'geojson', coordinates: 'wgs84', tileIndex: index}};
  return (await load(bytes, MVTLoader, options as never)) as unknown as LineFeature[];
}
