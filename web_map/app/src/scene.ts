// The scene as drawn: Python's layers, each with what the person has switched, dimmed, muted or opened below the ground.
import {DataFilterExtension} from '@deck.gl/extensions';
import type {Layer} from '@deck.gl/core';
import {layersOf, unknownClasses} from './classes';
import {enlargedProps} from './sizes';
import type {Catalogue} from './catalogue';
import type {State} from './state';
import type {CatalogLayer, SceneJson} from './types';

export const HEXAGONS = 'hexagons';

/** How much of a standing body is left to see while we look below the ground. */
const BODY_UNDERGROUND = 0.16;
/** How thick pipes are drawn: on the plan they must not cover the streets, below the ground they are what is looked at. */
const PIPE = {flat: 0.8, lifted: 1.6};
/** Dots are smaller where many stand close: one step per zoom level would flicker, these few do not. */
const DOT = [
  {below: 12, factor: 0.6},
  {below: 14, factor: 0.8},
];
const FILTER = [new DataFilterExtension({filterSize: 1})];

export interface Surroundings {
  state: State;
  catalogue: Catalogue;
  factor: number;
  zoom: number;
  /** Whether the basemap has a layer of this id (a scene may name one to draw beneath). */
  hasBasemapLayer: (id: string) => boolean;
  /** The hexagons' props, or null where there are none to draw. */
  hexagons: Record<string, unknown> | null;
  /** How often a layer's tiles have been asked for again. */
  attempt: (layer: string) => number;
  onTileError: (layer: string, error: unknown) => void;
  onTileLoad: (layer: string) => void;
}

export class Scene {
  /** Classes the scene names that this client does not know; never empty silently: the caller says so on screen. */
  readonly unknown: string[];
  private readonly layers: Layer[];

  constructor(readonly json: SceneJson) {
    this.unknown = unknownClasses(json);
    this.layers = layersOf(withHexagons(json));
  }

  /** Whether the hexagons are shown before anybody has chosen. */
  get beginsWithHexagons(): boolean {
    return this.json.layers.some((layer) => layer.id === HEXAGONS && layer.visible !== false);
  }

  /** Whether a layer of the catalogue is drawn by this scene. */
  draws(name: string): boolean {
    return this.layers.some((layer) => layer.id === name);
  }

  /** The largest exaggeration of depth among the scene's layers, or null where nothing lies below the ground. */
  get exaggeration(): number | null {
    const factors = this.layers.map((layer) => (layer.props as {exaggeration?: number}).exaggeration ?? 0);
    const most = Math.max(0, ...factors);
    return most || null;
  }

  /** The layers to draw now, hexagons beneath all others. A layer that is off is left out: its tiles are not fetched. */
  drawn(around: Surroundings): Layer[] {
    const bottomUp = [...this.layers].sort((a, b) => Number(b.id === HEXAGONS) - Number(a.id === HEXAGONS));
    return bottomUp.flatMap((layer) => {
      if (layer.id === HEXAGONS) return around.hexagons ? [this.adapt(layer, around, around.hexagons)] : [];
      const entry = around.catalogue.layer(layer.id);
      if (!entry || !around.catalogue.isOn(around.state, layer.id)) return [];
      return [this.adapt(layer, around, this.ofCatalogue(layer, entry, around))];
    });
  }

  private adapt(layer: Layer, {state, factor, zoom, catalogue, hasBasemapLayer}: Surroundings, own: Record<string, unknown>): Layer {
    const props = layer.props as unknown as Record<string, unknown>;
    const beforeId = props.beforeId as string | undefined;
    const pipe = state.underground ? PIPE.lifted : PIPE.flat;
    const size = 'lifted' in props ? pipe : isPoint(catalogue.layer(layer.id)) ? dotFactor(zoom) : 1;
    const body = state.underground && props.extruded === true ? BODY_UNDERGROUND : 1;
    return layer.clone({
      visible: true,
      opacity: (layer.props.opacity ?? 1) * (state.opacity[layer.id] ?? 1) * body,
      beforeId: beforeId && hasBasemapLayer(beforeId) ? beforeId : undefined,
      ...enlargedProps(props, factor * size),
      ...own,
    } as never);
  }

  private ofCatalogue(layer: Layer, entry: CatalogLayer, around: Surroundings): Record<string, unknown> {
    const props = layer.props as unknown as Record<string, unknown>;
    const own: Record<string, unknown> = {
      data: entry.tiles,
      attempt: around.attempt(layer.id),
      // A tile's features bear the row's id as their own id, not as a property.
      uniqueIdProperty: '',
      onTileError: (error: unknown) => around.onTileError(layer.id, error),
      onTileLoad: () => around.onTileLoad(layer.id),
    };
    if (props.pickable && props.autoHighlight !== true) Object.assign(own, {autoHighlight: true, highlightColor: [255, 255, 255, 110]});
    // Dots face the viewer, however far the camera leans over, and neither ground nor buildings cut them off.
    if (isPoint(entry)) Object.assign(own, {pointBillboard: true, parameters: {...(props.parameters as object), depthCompare: 'always'}});
    if ('lifted' in props) own.lifted = around.state.underground;
    return {...own, ...mutes(entry, around.state.muted[layer.id] ?? [], props)};
  }
}

/** The factor on dots at a zoom. */
export function dotFactor(zoom: number): number {
  return DOT.find(({below}) => zoom < below)?.factor ?? 1;
}

function isPoint(entry: CatalogLayer | undefined): boolean {
  return /POINT/.test(entry?.geometry ?? '');
}

/** Props that hide the features whose legend value is switched off. */
function mutes(entry: CatalogLayer, muted: string[], props: Record<string, unknown>): Record<string, unknown> {
  const field = entry.legend.find((row) => row.field)?.field;
  // The filter is there from the start: a layer that gains it later draws nothing.
  if (!field) return {};
  const off = new Set(muted);
  return {
    extensions: FILTER,
    getFilterValue: (feature: {properties?: Record<string, unknown>}) => (off.has(String(feature.properties?.[field])) ? 0 : 1),
    filterRange: [0.5, 1.5],
    updateTriggers: {...(props.updateTriggers as object), getFilterValue: muted.join('|')},
  };
}

function withHexagons(json: SceneJson): SceneJson {
  if (json.layers.some((layer) => layer.id === HEXAGONS)) return json;
  return {...json, layers: [{'@@type': 'H3HexagonLayer', id: HEXAGONS, pickable: true}, ...json.layers]};
}
