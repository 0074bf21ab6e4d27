// The feature a person has clicked or found: read from the server, ringed on the map, told in the details panel.
import {GeoJsonLayer, PathLayer} from '@deck.gl/layers';
import type {Layer, PickingInfo} from '@deck.gl/core';
import {call, words} from './api';
import {HEXAGONS} from './scene';
import {hang, stretchesOf, type Depths} from './stretches';
import type {Catalogue} from './catalogue';
import type {Item} from './types';

export interface Picked {
  kind: 'feature';
  layer: string;
  id: string;
  item: Item | null;
  loading: boolean;
  error: (() => string) | null;
}

export interface PickedCell {
  kind: 'cell';
  cell: string;
  value: number;
}

export type Selected = Picked | PickedCell | null;

export class Selection {
  current: Selected = null;
  private reading: AbortController | null = null;

  constructor(
    private readonly catalogue: Catalogue,
    private readonly onChange: () => void,
  ) {}

  /** Takes what lies under a click: a feature of a layer, a hexagon, else a feature of the basemap, or nothing. */
  pick(info: PickingInfo | null, beneath: {source: string; id: number | string | undefined}[], values: readonly number[]): void {
    const layer = info?.layer?.root?.id ?? '';
    if (info && layer === HEXAGONS && info.index >= 0) {
      this.set({kind: 'cell', cell: String(info.object), value: values[info.index] ?? Number.NaN});
      return;
    }
    const feature = info?.object as {id?: number | string; properties?: Record<string, unknown>} | undefined;
    if (!feature || !this.catalogue.layer(layer)) {
      const known = beneath.find(({source, id}) => id !== undefined && this.catalogue.layer(source));
      if (known) void this.open(known.source, String(known.id));
      else this.set(null);
      return;
    }
    const id = feature.id ?? (feature.properties?.id as number | undefined);
    const properties = feature.properties ?? {};
    if (id === undefined) this.set({kind: 'feature', layer, id: '', item: {type: 'Feature', id: '', geometry: null, properties}, loading: false, error: null});
    else void this.open(layer, String(id));
  }

  /** Reads a feature from the server and shows it. */
  async open(layer: string, id: string): Promise<void> {
    const entry = this.catalogue.layer(layer);
    if (!entry) return;
    this.reading?.abort();
    const reading = (this.reading = new AbortController());
    const picked: Picked = {kind: 'feature', layer, id, item: null, loading: true, error: null};
    this.current = picked;
    this.onChange();
    try {
      const item = await call<Item>(`${entry.items}/${encodeURIComponent(id)}`, {signal: reading.signal});
      if (reading !== this.reading) return;
      this.current = {...picked, item, loading: false};
    } catch (error) {
      if (reading !== this.reading) return;
      this.current = {...picked, loading: false, error: () => words(error)};
    }
    this.onChange();
  }

  /** Reads the shown feature again after its layer has changed. */
  renew(layers: string[]): void {
    if (this.current?.kind === 'feature' && this.current.id && layers.includes(this.current.layer)) void this.open(this.current.layer, this.current.id);
  }

  clear(): void {
    this.set(null);
  }

  /** The ring around the selected feature; a pipe that hangs below the ground is ringed where it hangs. */
  layers(factor: number, depths: Depths | null): Layer[] {
    if (this.current?.kind !== 'feature' || !this.current.item?.geometry) return [];
    const {geometry, properties} = this.current.item;
    const parameters = {depthCompare: 'always', depthWriteEnabled: false} as const;
    if (depths) {
      const data = stretchesOf([{properties, geometry}]);
      const path = (stretch: (typeof data)[number]): never => hang(stretch, depths) as never;
      const line = (id: string, color: [number, number, number, number], width: number): Layer =>
        new PathLayer({id, data, getPath: path, positionFormat: 'XYZ', getColor: color, getWidth: width * factor, widthUnits: 'pixels', billboard: true, capRounded: true, jointRounded: true, parameters});
      return [line('selection-halo', [6, 10, 18, 200], 10), line('selection', [255, 255, 255, 255], 5)];
    }
    const ring = (id: string, color: [number, number, number, number], width: number): Layer =>
      new GeoJsonLayer({
        id,
        data: {type: 'Feature', geometry, properties: {}} as never,
        stroked: true,
        filled: true,
        getFillColor: [255, 255, 255, 26],
        getLineColor: color,
        getLineWidth: width * factor,
        lineWidthUnits: 'pixels',
        getPointRadius: 12 * factor,
        pointRadiusUnits: 'pixels',
        pointBillboard: true,
        lineCapRounded: true,
        lineJointRounded: true,
        parameters,
      });
    return [ring('selection-halo', [6, 10, 18, 220], 7), ring('selection', [255, 255, 255, 255], 3)];
  }

  private set(next: Selected): void {
    this.reading?.abort();
    this.reading = null;
    this.current = next;
    this.onChange();
  }
}
