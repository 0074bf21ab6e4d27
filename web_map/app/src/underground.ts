// Lines below the ground: a tile layer that hangs each pipe at its depth, or draws it flat on the plan.
import {LineLayer, PathLayer} from '@deck.gl/layers';
import {TileLayer} from '@deck.gl/geo-layers';
import type {Layer} from '@deck.gl/core';
import type {GetPickingInfoParams} from '@deck.gl/core';
import type {TileLayerProps, _TileLoadProps as TileLoadProps} from '@deck.gl/geo-layers';
import {tileFeatures, type TileFeature} from './tile_loader';

/** One stretch of one pipe: `along` is each vertex's share (0..1) of the way from the pipe's start to its end. */
export interface Stretch {
  id: number | undefined;
  properties: Record<string, unknown>;
  places: [longitude: number, latitude: number][];
  along: number[];
}

type Accessor = unknown;

export interface UndergroundProps {
  getColor: Accessor;
  getWidth: Accessor;
  /** Names of the tile properties that hold the depth, metres below the surface, at either end. */
  startDepth: string;
  endDepth: string;
  /** How many times deeper than true the lines are drawn. */
  exaggeration: number;
  /** Whether lines hang at their depth; otherwise they lie on the plan. */
  lifted: boolean;
  widthUnits: 'meters' | 'common' | 'pixels';
  widthScale: number;
  widthMinPixels: number;
  widthMaxPixels: number;
}

/** Splits features into stretches; a line of several parts counts as one way, part after part. */
export function stretchesOf(features: TileFeature[]): Stretch[] {
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
export function hang(stretch: Stretch, props: Pick<UndergroundProps, 'startDepth' | 'endDepth' | 'exaggeration' | 'lifted'>): Float64Array {
  const start = depth(stretch.properties[props.startDepth]);
  const end = depth(stretch.properties[props.endDepth], start);
  const path = new Float64Array(stretch.places.length * 3);
  stretch.places.forEach(([longitude, latitude], i) => {
    const below = start + (end - start) * stretch.along[i]!;
    path.set([longitude, latitude, props.lifted ? -below * props.exaggeration : 0], i * 3);
  });
  return path;
}

export class UndergroundLayer extends TileLayer<Stretch[], UndergroundProps> {
  static override layerName = 'UndergroundLayer';
  static override defaultProps = {
    ...TileLayer.defaultProps,
    getColor: {type: 'accessor', value: [120, 190, 230, 255]},
    getWidth: {type: 'accessor', value: 0.3},
    startDepth: 'start_depth_m',
    endDepth: 'end_depth_m',
    exaggeration: 6,
    lifted: false,
    widthUnits: 'meters',
    widthScale: 1,
    widthMinPixels: 1.5,
    widthMaxPixels: Number.MAX_SAFE_INTEGER,
  } as never;

  override async getTileData(tile: TileLoadProps): Promise<Stretch[]> {
    const template = this.props.data as string;
    const {x, y, z} = tile.index;
    const url = template.replace('{x}', String(x)).replace('{y}', String(y)).replace('{z}', String(z));
    return stretchesOf(await tileFeatures(url, {x, y, z}, tile.signal));
  }

  override renderSubLayers(props: TileLayerProps<Stretch[]> & {id: string; data: Stretch[]}): Layer[] {
    const own = this.props;
    const depths = {startDepth: own.startDepth, endDepth: own.endDepth, exaggeration: own.exaggeration, lifted: own.lifted};
    // Pipes are seen through the ground and through what stands on it.
    const parameters = {depthCompare: 'always', depthWriteEnabled: false} as const;
    const placed = {getPath: [own.lifted, own.exaggeration, own.startDepth, own.endDepth]};
    const pipes = new PathLayer<Stretch>(props as never, {
      id: `${props.id}-pipes`,
      data: props.data,
      getPath: (stretch: Stretch) => hang(stretch, depths) as never,
      positionFormat: 'XYZ',
      getColor: own.getColor as never,
      getWidth: own.getWidth as never,
      widthUnits: own.widthUnits,
      widthScale: own.widthScale,
      widthMinPixels: own.widthMinPixels,
      widthMaxPixels: own.widthMaxPixels,
      billboard: own.lifted,
      capRounded: true,
      jointRounded: true,
      parameters,
      updateTriggers: {...(own.updateTriggers as object), ...placed},
    });
    const drops = new LineLayer<Stretch>(props as never, {
      id: `${props.id}-drops`,
      data: own.lifted ? props.data : [],
      getSourcePosition: (stretch: Stretch) => [...stretch.places[0]!, 0],
      getTargetPosition: (stretch: Stretch) => Array.from(hang(stretch, depths).subarray(0, 3)) as [number, number, number],
      getColor: [168, 196, 230, 70],
      getWidth: 1,
      widthUnits: 'pixels',
      pickable: false,
      parameters,
      updateTriggers: {getTargetPosition: placed.getPath},
    });
    return [drops, pipes];
  }

  /** Answers a picked stretch as the GeoJSON feature it came from, as other tile layers do. */
  override getPickingInfo(params: GetPickingInfoParams): ReturnType<TileLayer<Stretch[]>['getPickingInfo']> {
    const info = super.getPickingInfo(params);
    const stretch = info.object as Stretch | undefined;
    if (stretch) {
      const geometry = {type: 'LineString', coordinates: stretch.places};
      info.object = {type: 'Feature', id: stretch.id, properties: stretch.properties, geometry};
    }
    return info;
  }
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
