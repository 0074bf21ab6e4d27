// Lines cut into stretches that know how far along the whole line they lie, and so how deep: pure geometry, no drawing.

/** One stretch of one pipe: `along` is each vertex's share (0..1) of the way from the pipe's start to its end. */
export interface Stretch {
  id: number | undefined;
  properties: Record<string, unknown>;
  places: [longitude: number, latitude: number][];
  along: number[];
}

/** How depth is read and drawn. */
export interface Depths {
  /** Names of the properties that hold the depth, metres below the surface, at either end. */
  startDepth: string;
  endDepth: string;
  /** How many times deeper than true the lines are drawn. */
  exaggeration: number;
  /** Whether lines hang at their depth; otherwise they lie on the plan. */
  lifted: boolean;
}

/** A line's feature: its place and what is known of it. */
export interface LineFeature {
  id?: number;
  properties: Record<string, unknown>;
  geometry: {type: string; coordinates: unknown};
}

/** Splits features into stretches; a line of several parts counts as one way, part after part. */
export function stretchesOf(features: LineFeature[]): Stretch[] {
  const found: Stretch[] = [];
  for (const {id, properties, geometry} of features) {
    const parts =
      geometry.type === 'LineString' ? [geometry.coordinates] : geometry.type === 'MultiLineString' ? (geometry.coordinates as unknown[]) : [];
    const ways = parts as [number, number][][];
    const total = ways.reduce((sum, way) => sum + length(way), 0) || 1;
    let gone = 0;
    for (const places of ways) {
      const along = places.map((place, i) => {
        if (i > 0) gone += gap(places[i - 1]!, place);
        return gone / total;
      });
      if (places.length > 1) found.push({id, properties, places, along});
    }
  }
  return found;
}

/** A stretch as x, y, z triples: z is minus the exaggerated depth, or 0 on the plan. */
export function hang(stretch: Stretch, props: Depths): Float64Array {
  const start = depth(stretch.properties[props.startDepth]);
  const end = depth(stretch.properties[props.endDepth], start);
  const path = new Float64Array(stretch.places.length * 3);
  stretch.places.forEach(([longitude, latitude], i) => {
    const below = start + (end - start) * stretch.along[i]!;
    path.set([longitude, latitude, props.lifted ? -below * props.exaggeration : 0], i * 3);
  });
  return path;
}

function depth(value: unknown, otherwise = 1): number {
  const metres = Number(value);
  return value === null || value === undefined || !Number.isFinite(metres) ? otherwise : metres;
}

function length(places: [number, number][]): number {
  let sum = 0;
  for (let i = 1; i < places.length; i++) sum += gap(places[i - 1]!, places[i]!);
  return sum;
}

function gap(a: [number, number], b: [number, number]): number {
  return Math.hypot((b[0] - a[0]) * Math.cos((a[1] * Math.PI) / 180), b[1] - a[1]);
}
