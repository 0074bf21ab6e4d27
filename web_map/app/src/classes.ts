// The only drawing classes a scene may name: pydeck's "@@type" is resolved against this list and nothing else.
import {COORDINATE_SYSTEM} from '@deck.gl/core';
import {DataFilterExtension, PathStyleExtension} from '@deck.gl/extensions';
import {H3HexagonLayer, MVTLayer} from '@deck.gl/geo-layers';
import {JSONConverter} from '@deck.gl/json';
import {GeoJsonLayer, LineLayer, PathLayer, PolygonLayer, ScatterplotLayer, TextLayer} from '@deck.gl/layers';
import type {Layer, UpdateParameters} from '@deck.gl/core';
import type {_TileLoadProps as TileLoadProps} from '@deck.gl/geo-layers';
import {TileCare} from './tile_care';
import {TILE_LOAD_OPTIONS, TILE_LOADERS} from './tile_loader';
import {UndergroundLayer} from './underground';
import type {SceneJson} from './types';

/** deck.gl's tile layer without its habit of fetching a worker from another host. */
class LocalMVTLayer extends MVTLayer<unknown, {attempt: number}> {
  static override layerName = 'MVTLayer';
  static override defaultProps = {...MVTLayer.defaultProps, loaders: TILE_LOADERS, loadOptions: TILE_LOAD_OPTIONS, attempt: 0} as never;

  // deck.gl makes a new instance for each drawing and hands the state on, so what must last lives there.
  private get care(): TileCare {
    const state = this.state as {care?: TileCare};
    return (state.care ??= new TileCare());
  }

  override getTileData(tile: TileLoadProps): ReturnType<MVTLayer['getTileData']> {
    return this.care.fetch(this.state.tileset, tile, () => super.getTileData(tile), (error) => this.props.onTileError(error)) as never;
  }

  override updateState(change: UpdateParameters<this>): void {
    if (change.props.attempt !== change.oldProps.attempt) this.care.again(this.state.tileset);
    super.updateState(change);
  }
}

const CLASSES = {
  MVTLayer: LocalMVTLayer,
  UndergroundLayer,
  H3HexagonLayer,
  GeoJsonLayer,
  ScatterplotLayer,
  PathLayer,
  LineLayer,
  PolygonLayer,
  TextLayer,
  DataFilterExtension,
  PathStyleExtension,
};

/** The names of classes a scene asks for that are not on the list. */
export function unknownClasses(json: unknown): string[] {
  const found = new Set<string>();
  const look = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(look);
    else if (node && typeof node === 'object') {
      const type = (node as Record<string, unknown>)['@@type'];
      if (typeof type === 'string' && !(type in CLASSES)) found.add(type);
      Object.values(node).forEach(look);
    }
  };
  look(json);
  return [...found].sort();
}

/** Makes the scene's layers; those of unknown classes are left out (see `unknownClasses`). */
export function layersOf(scene: SceneJson): Layer[] {
  const converter = new JSONConverter({
    configuration: {classes: CLASSES, enumerations: {COORDINATE_SYSTEM}, log: console},
  } as never);
  const known = scene.layers.filter((layer) => unknownClasses(layer).length === 0);
  const converted = converter.convert({layers: known} as never) as {layers: Layer[]};
  return converted.layers.filter(Boolean);
}
