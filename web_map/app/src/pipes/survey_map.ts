// The map of the page: what stands, faint; the survey; its problems; the difference; and the one that is looked at.
import {PathStyleExtension} from '@deck.gl/extensions';
import {GeoJsonLayer, ScatterplotLayer} from '@deck.gl/layers';
import type {Layer, PickingInfo} from '@deck.gl/core';
import {words} from '../api';
import {report, settle} from '../notices';
import {dotFactor} from '../scene';
import {CHANGE, rgb, SEVERITY, type Rgb} from './colours';
import {geojson, isExamined, type Change, type Features, type Problem, type Severity, type Survey, type Table} from './surveys';
import {tell} from './words';
import type {Catalogue} from '../catalogue';
import type {Desk} from './desk';
import type {Box} from '../types';
import type {WallMap} from '../wall_map';

export type Sheet = 'features' | 'problems' | 'difference';
export type Part = Sheet | 'standing';
type Feature = Features['features'][number];

const SHEETS: readonly Sheet[] = ['features', 'problems', 'difference'];
const CLOSE = 18.2;
const ON_TOP = {depthCompare: 'always', depthWriteEnabled: false} as const;
const DASHED = [new PathStyleExtension({dash: true})];
const UNKNOWN: Rgb = [140, 160, 190];

export class SurveyMap {
  data: Partial<Record<Sheet, Features>> = {};
  failed: Partial<Record<Sheet, unknown>> = {};
  shown: Record<Part, boolean> = {features: true, problems: true, difference: false, standing: true};
  reading = 0;
  private shape: Feature['geometry'] = null;
  private of: string | null = null;
  private running: AbortController | null = null;
  private readonly colours: Map<string, Rgb>;
  private readonly listeners: (() => void)[] = [];

  constructor(
    private readonly wall: WallMap,
    private readonly desk: Desk,
    catalogue: Catalogue,
    private readonly factor: () => number,
    private readonly redraw: () => void,
  ) {
    const legend = catalogue.layer('pipe_segments')?.legend ?? [];
    this.colours = new Map(legend.flatMap(({value, colour}) => (value ? [[value, rgb(colour)]] : [])));
    desk.on(['open', 'uploading'], () => this.take(desk.uploading ? null : desk.open));
    desk.on(['filter', 'picked'], redraw);
    desk.on(['tab'], () => {
      if (desk.tab === 'difference') this.show({difference: true, problems: false});
      else if (desk.tab === 'problems') this.show({difference: false, problems: true});
    });
  }

  /** Calls `listener` whenever a sheet has been read. */
  onData(listener: () => void): void {
    this.listeners.push(listener);
  }

  show(parts: Partial<Record<Part, boolean>>): void {
    this.shown = {...this.shown, ...parts};
    this.listeners.forEach((listener) => listener());
    this.redraw();
  }

  goTo(longitude: number, latitude: number): void {
    this.shape = null;
    this.wall.fly({longitude, latitude, zoom: Math.max(this.wall.map.getZoom(), CLOSE + Math.log2(this.factor()))});
  }

  showShape(geometry: NonNullable<Feature['geometry']>): void {
    const places = flat(geometry.coordinates);
    const lons = places.map(([lon]) => lon);
    const lats = places.map(([, lat]) => lat);
    this.shape = geometry;
    this.fit([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)], 18.5);
    this.redraw();
  }

  fit(box: Box, closest = 17): void {
    const margin = 60 * this.factor();
    this.wall.fit(box, {left: margin, right: margin, y: margin}, closest + Math.log2(this.factor()));
  }

  /** What a click means: the problem under it. */
  pick(info: PickingInfo | null): void {
    const feature = info?.object as Feature | undefined;
    if (!feature || !/^problems/.test(info?.layer?.id ?? '')) return;
    this.desk.tab = 'problems';
    this.desk.say('tab');
    this.desk.pick(problemOf(feature));
  }

  layers(): Layer[] {
    const {data, shown} = this;
    return [
      ...(shown.features && data.features ? this.survey(data.features, shown.difference ? 0.25 : 1) : []),
      ...(shown.difference && data.difference ? this.changes(data.difference) : []),
      ...(shown.problems && data.problems ? this.dots(data.problems) : []),
      ...this.ring(),
    ];
  }

  /** The factor on lines and dots: smaller where many lie close. */
  private size(): number {
    return this.factor() * dotFactor(this.wall.map.getZoom() - Math.log2(this.factor()));
  }

  private survey(data: Features, opacity: number): Layer[] {
    const colour = ({properties}: Feature): Rgb => this.colours.get(String(properties.pipe_class)) ?? UNKNOWN;
    return [
      new GeoJsonLayer({
        id: 'survey', data: data as never, opacity, stroked: true, filled: true,
        getLineColor: colour as never, getFillColor: colour as never,
        getLineWidth: 2.4 * this.size(), lineWidthUnits: 'pixels',
        getPointRadius: 0.9, pointRadiusUnits: 'meters', pointRadiusMinPixels: 1.1 * this.factor(), pointRadiusMaxPixels: 5 * this.factor(),
        lineCapRounded: true, pickable: false, parameters: ON_TOP,
      }),
    ];
  }

  private changes(data: Features): Layer[] {
    const colour = ({properties}: Feature): Rgb => CHANGE[properties.change as Change] ?? UNKNOWN;
    const of = (id: string, features: Feature[], more: object): Layer =>
      new GeoJsonLayer({
        id, data: {type: 'FeatureCollection', features} as never, stroked: true, filled: true,
        getLineColor: colour as never, getFillColor: colour as never, getLineWidth: 4 * this.size(), lineWidthUnits: 'pixels',
        getPointRadius: 5 * this.size(), pointRadiusUnits: 'pixels', lineCapRounded: true, parameters: ON_TOP, ...more,
      });
    const gone = data.features.filter(({properties}) => properties.change === 'removed');
    const others = data.features.filter(({properties}) => properties.change !== 'removed');
    // What is taken away is broken up, so that it is told from what comes without colour.
    return [of('difference-gone', gone, {getDashArray: [3, 2], extensions: DASHED, filled: false}), of('difference', others, {})];
  }

  private dots(data: Features): Layer[] {
    const {rule, severity} = this.desk.filter;
    const wanted = data.features.filter(({geometry, properties}) => geometry && (!rule || (properties.rule === rule && properties.severity === severity)));
    const size = this.size();
    // An error is a full dot, a warning an empty ring.
    const of = (kind: Severity): Layer =>
      new ScatterplotLayer<Feature>({
        id: `problems-${kind}`, data: wanted.filter(({properties}) => properties.severity === kind),
        getPosition: ({geometry}) => geometry!.coordinates as [number, number],
        radiusUnits: 'pixels', getRadius: (kind === 'error' ? 6.5 : 5.5) * size, filled: true, stroked: true,
        getFillColor: kind === 'error' ? [...SEVERITY.error, 255] : [7, 12, 21, 140],
        getLineColor: kind === 'error' ? [255, 255, 255, 255] : [...SEVERITY.warning, 255],
        lineWidthUnits: 'pixels', getLineWidth: 1.8 * size, billboard: true, pickable: true, autoHighlight: true, highlightColor: [255, 255, 255, 120], parameters: ON_TOP,
      });
    return [of('warning'), of('error')];
  }

  private ring(): Layer[] {
    const {picked} = this.desk;
    const found: Layer[] = [];
    if (picked?.lon != null && picked.lat != null) {
      const at = [picked.lon, picked.lat] as [number, number];
      found.push(new ScatterplotLayer({id: 'picked', data: [at], getPosition: (place: [number, number]) => place, radiusUnits: 'pixels', getRadius: 13 * this.factor(), filled: false, stroked: true, getLineColor: [255, 255, 255, 255], lineWidthUnits: 'pixels', getLineWidth: 3 * this.factor(), billboard: true, parameters: ON_TOP}));
    }
    if (this.shape) found.push(new GeoJsonLayer({id: 'shape', data: {type: 'Feature', geometry: this.shape, properties: {}} as never, stroked: true, filled: false, getLineColor: [255, 255, 255, 255], getLineWidth: 3 * this.factor(), lineWidthUnits: 'pixels', getPointRadius: 11 * this.factor(), pointRadiusUnits: 'pixels', parameters: ON_TOP}));
    return found;
  }

  /** Reads the sheets of a survey that was opened or has been examined anew. */
  private take(open: Survey | null): void {
    this.running?.abort();
    this.data = {};
    this.failed = {};
    this.shape = null;
    if (isExamined(open)) {
      const running = (this.running = new AbortController());
      for (const sheet of SHEETS) if (sheet !== 'difference' || open.difference) void this.read(open.id, sheet, running.signal);
      if (open.bounds && this.of !== open.id) this.fit(open.bounds);
      this.of = open.id;
    }
    this.redraw();
  }

  private async read(id: string, sheet: Sheet, signal: AbortSignal): Promise<void> {
    this.reading += 1;
    try {
      this.data[sheet] = await geojson(id, sheet, signal);
      settle(`sheet/${sheet}`);
    } catch (error) {
      if (signal.aborted) return;
      this.failed[sheet] = error;
      report(`sheet/${sheet}`, () => tell('error.read', {why: words(error)}));
    } finally {
      this.reading -= 1;
    }
    this.listeners.forEach((listener) => listener());
    this.redraw();
  }
}

/** A dot as the problem that it stands for. */
function problemOf({geometry, properties}: Feature): Problem {
  const [lon, lat] = geometry!.coordinates as [number, number];
  const {n, rule, severity, table, row, field, message, zh, en} = properties as Record<string, never>;
  return {n: Number(n), rule, severity: severity as Severity, table: table as Table, row, field, message: message ?? {zh, en}, lon, lat};
}

function flat(coordinates: unknown): [number, number][] {
  if (Array.isArray(coordinates) && typeof coordinates[0] === 'number') return [coordinates as never];
  return Array.isArray(coordinates) ? coordinates.flatMap(flat) : [];
}
