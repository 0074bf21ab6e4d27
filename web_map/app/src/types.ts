// The words of the API: what the catalogue, the hexagons, the search and the feed say.

export type Language = 'zh' | 'en';
export type Label = Record<Language, string>;
export type Box = [west: number, south: number, east: number, north: number];

export interface City {
  name: string;
  title: Label;
  center: [number, number];
  zoom: number;
  bounds: Box;
  datum: string;
  metric_crs: string;
  time_zone: string;
  attribution: string[];
  adcode: string | null;
}

export interface Viewer {
  role: string;
  owner?: string | null;
  area?: string | null;
  name?: string | null;
  expires_at?: string | null;
}

export interface Group {
  name: string;
  title: Label;
}

export interface Code {
  value: string;
  label: Label;
  colour?: string | null;
}

export interface Field {
  name: string;
  label: Label;
  unit?: string;
  type?: string;
  codes?: Code[] | null;
  live?: boolean;
}

export type Mark = 'circle' | 'line' | 'fill' | 'extrusion';

export interface LegendRow {
  label: Label;
  colour: string;
  mark: Mark;
  value?: string | null;
  field?: string | null;
}

export interface Measure {
  name: string;
  label: Label;
  unit?: string;
  palette?: string;
}

export interface Source {
  title: string;
  licence?: string;
  attribution?: string;
  simulated?: boolean;
}

export interface CatalogLayer {
  name: string;
  title: Label;
  group: string;
  geometry: string;
  count: number;
  simulated: number;
  version: number;
  updated_at: string | null;
  bounds: Box | null;
  min_zoom: number;
  max_zoom: number;
  visible: boolean;
  sources: Source[];
  tiles: string;
  items: string;
  key: string;
  name_field: string | null;
  underground: boolean;
  fields: Field[];
  legend: LegendRow[];
  measures: Measure[];
}

export interface Catalog {
  city: City;
  viewer: Viewer;
  groups: Group[];
  layers: CatalogLayer[];
}

export interface Hexagons {
  layer: string;
  measure: string;
  unit: string;
  resolution: number;
  label: Label;
  simulated: boolean;
  min: number | null;
  max: number | null;
  breaks: number[];
  cells: string[];
  values: number[];
}

export interface SearchResult {
  layer: string;
  id: number | string;
  key: string | null;
  name: string | null;
  label: Label;
  center: [number, number];
  bounds: Box | null;
}

export interface Geometry {
  type: string;
  coordinates: unknown;
}

export interface Item {
  type: 'Feature';
  id: number | string;
  geometry: Geometry | null;
  properties: Record<string, unknown>;
}

export interface Change {
  layer: string;
  version: number;
  updated_at: string | null;
}

export interface Camera {
  longitude: number;
  latitude: number;
  zoom: number;
  pitch: number;
  bearing: number;
}

/** One layer of a scene: pydeck's JSON, `@@type` naming a class of the catalogue in `classes.ts`. */
export type SceneLayer = {'@@type': string; id: string} & Record<string, unknown>;

export interface SceneJson {
  initialViewState?: Partial<Camera>;
  mapStyle?: string;
  layers: SceneLayer[];
}
