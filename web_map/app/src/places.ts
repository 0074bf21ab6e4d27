// Where a feature is: one place on it, and the feature of a layer that is near a place.
import {call} from './api';
import type {CatalogLayer, Geometry, Item} from './types';

/** Half-widths of the boxes, in degrees, in which a near feature is looked for: a screen at street scale, a quarter, a city. */
const REACH = [0.003, 0.012, 0.05, 0.2];

/** A place on the feature: the middle vertex of a line, the mean vertex of an area's first ring. */
export function middle(geometry: Geometry): [number, number] | null {
  const flat: [number, number][] = [];
  const walk = (node: unknown): void => {
    if (!Array.isArray(node)) return;
    if (typeof node[0] === 'number') flat.push([node[0], node[1] as number]);
    else node.forEach(walk);
  };
  walk(geometry.coordinates);
  if (!flat.length) return null;
  if (/Line/.test(geometry.type)) return flat[Math.floor(flat.length / 2)]!;
  const sum = flat.reduce((a, b) => [a[0] + b[0], a[1] + b[1]]);
  return [sum[0] / flat.length, sum[1] / flat.length];
}

/** A place on a feature of the layer that is near, though not always the nearest; null where there is none. */
export async function placeNear(layer: CatalogLayer, longitude: number, latitude: number): Promise<[number, number] | null> {
  for (const reach of REACH) {
    const bbox = [longitude - reach, latitude - reach, longitude + reach, latitude + reach].map((degrees) => degrees.toFixed(5));
    const found = await call<{features?: Item[]}>(`${layer.items}?bbox=${bbox.join(',')}&limit=1`);
    const geometry = found.features?.[0]?.geometry;
    if (geometry) return middle(geometry);
  }
  return null;
}
