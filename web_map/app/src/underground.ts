// Lines below the ground: a tile layer that hangs each pipe at its depth, or draws it flat on the plan.
import {LineLayer, PathLayer} from '@deck.gl/layers';
import {TileLayer} from '@deck.gl/geo-layers';
import type {Layer} from '@deck.gl/core';
import type {GetPickingInfoParams, UpdateParameters} from '@deck.gl/core';
import type {TileLayerProps, _TileLoadProps as TileLoadProps} from '@deck.gl/geo-layers';
import {TileCare} from './tile_care';
import {hang, stretchesOf, type Depths, type Stretch} from './stretches';
import {tileFeatures} from './tile_loader';

type Accessor = unknown;

export interface UndergroundProps extends Depths {
  getColor: Accessor;
  getWidth: Accessor;
  widthUnits: 'meters' | 'common' | 'pixels';
  widthScale: number;
  widthMinPixels: number;
  widthMaxPixels: number;
  /** How often missing tiles have been asked for again. */
  attempt: number;
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
    attempt: 0,
  } as never;

  // deck.gl makes a new instance for each drawing and hands the state on, so what must last lives there.
  private get care(): TileCare {
    const state = this.state as {care?: TileCare};
    return (state.care ??= new TileCare());
  }

  override updateState(change: UpdateParameters<this>): void {
    if (change.props.attempt !== change.oldProps.attempt) this.care.again(this.state.tileset);
    super.updateState(change);
  }

  override async getTileData(tile: TileLoadProps): Promise<Stretch[]> {
    const template = this.props.data as string;
    const {x, y, z} = tile.index;
    const url = template.replace('{x}', String(x)).replace('{y}', String(y)).replace('{z}', String(z));
    const fetchTile = async (): Promise<Stretch[]> => stretchesOf(await tileFeatures(url, {x, y, z}, tile.signal));
    return (await this.care.fetch(this.state.tileset, tile, fetchTile, (error) => this.props.onTileError(error))) ?? [];
  }

  override renderSubLayers(props: TileLayerProps<Stretch[]> & {id: string; data: Stretch[]}): Layer[] {
    const own = this.props;
    const depths = {startDepth: own.startDepth, endDepth: own.endDepth, exaggeration: own.exaggeration, lifted: own.lifted};
    // Below the ground pipes are seen through it and through what stands on it; on the plan buildings hide them.
    const parameters = {depthCompare: own.lifted ? 'always' : 'less-equal', depthWriteEnabled: false} as const;
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
