// Drawing a line or an outline on the map: by pointer, by touch and, with Space at the map's middle, by keyboard.
import {GeoJsonLayer, PathLayer, ScatterplotLayer, TextLayer} from '@deck.gl/layers';
import type {Layer} from '@deck.gl/core';
import type {MapMouseEvent} from 'maplibre-gl';
import {fill, h} from '../dom';
import {distance} from '../format';
import {tell, type Said} from './words';
import type {Position} from './doors';
import type {WallMap} from '../wall_map';

const INK = [238, 243, 251, 255] as [number, number, number, number];
const ON_TOP = {depthCompare: 'always', depthWriteEnabled: false} as const;
/** Clicks nearer than this, in pixels, are one: a double click is two. */
const SAME_PX = 6;

export class Sketch {
  private places: Position[] = [];
  private hover: Position | null = null;
  private closed = false;
  private finish: ((places: Position[] | null) => void) | null = null;
  private readonly hint = h('div', {id: 'sketch', class: 'sketch', role: 'status', hidden: true, 'data-testid': 'sketch'});

  constructor(
    private readonly wall: WallMap,
    private readonly redraw: () => void,
  ) {
    document.body.append(this.hint);
    const {map} = wall;
    map.on('click', ({lngLat, point}: MapMouseEvent) => {
      const last = this.places.at(-1);
      if (!this.active) return;
      const at = last && map.project(last);
      if (at && Math.hypot(at.x - point.x, at.y - point.y) < SAME_PX) return;
      this.add([lngLat.lng, lngLat.lat]);
    });
    map.on('mousemove', ({lngLat}: MapMouseEvent) => {
      if (!this.active) return;
      this.hover = [lngLat.lng, lngLat.lat];
      redraw();
    });
    map.on('dblclick', (event) => {
      if (!this.active) return;
      event.preventDefault();
      this.end(true);
    });
    // Before all others: while something is drawn, Escape leaves the drawing and nothing else.
    document.addEventListener('keydown', (event) => this.key(event), true);
  }

  get active(): boolean {
    return this.finish !== null;
  }

  /** Lets a person draw; answers the places, or null if they left it. */
  draw(title: Said, closed: boolean): Promise<Position[] | null> {
    this.end(false);
    this.closed = closed;
    this.places = [];
    this.hover = null;
    fill(this.hint,
      h('strong', {}, tell(title)), h('span', {}, tell('sketch.how')),
      h('button', {class: 'toggle', type: 'button', 'data-testid': 'sketch-undo', onclick: () => this.undo()}, tell('sketch.undo')),
      h('button', {class: 'toggle', type: 'button', 'data-testid': 'sketch-cancel', onclick: () => this.end(false)}, tell('sketch.cancel')),
      h('button', {class: 'primary', type: 'button', 'data-testid': 'sketch-done', onclick: () => this.end(true)}, tell('sketch.done')),
    );
    this.hint.hidden = false;
    document.body.classList.add('sketching');
    this.wall.map.getCanvas().focus();
    return new Promise((resolve) => {
      this.finish = resolve;
      this.mirror();
    });
  }

  layers(factor: number): Layer[] {
    if (!this.active) return [];
    const shown = this.hover ? [...this.places, this.hover] : this.places;
    const line = this.closed && shown.length > 2 ? [...shown, shown[0]!] : shown;
    const geometry = this.closed && shown.length > 2 ? {type: 'Polygon', coordinates: [line]} : {type: 'LineString', coordinates: line};
    return [
      ...(shown.length > 1 ? [new GeoJsonLayer({id: 'sketch', data: {type: 'Feature', geometry, properties: {}} as never, filled: true, stroked: true, getFillColor: [238, 243, 251, 36], getLineColor: INK, getLineWidth: 3 * factor, lineWidthUnits: 'pixels', lineCapRounded: true, parameters: ON_TOP})] : []),
      new ScatterplotLayer({id: 'sketch-places', data: this.places, getPosition: (place: Position) => place, radiusUnits: 'pixels', getRadius: 5 * factor, getFillColor: [7, 12, 21, 255], stroked: true, getLineColor: INK, lineWidthUnits: 'pixels', getLineWidth: 2 * factor, billboard: true, parameters: ON_TOP}),
    ];
  }

  private get least(): number {
    return this.closed ? 3 : 2;
  }

  private add(place: Position): void {
    this.places = [...this.places, place];
    this.mirror();
  }

  private undo(): void {
    this.places = this.places.slice(0, -1);
    this.mirror();
  }

  private end(done: boolean): void {
    if (done && this.places.length < this.least) return;
    const {finish, places} = this;
    this.finish = null;
    this.hint.hidden = true;
    document.body.classList.remove('sketching');
    this.redraw();
    finish?.(done ? places : null);
  }

  private mirror(): void {
    const button = this.hint.querySelector<HTMLButtonElement>('[data-testid="sketch-done"]');
    if (button) button.disabled = this.places.length < this.least;
    this.redraw();
  }

  private key(event: KeyboardEvent): void {
    if (!this.active || (event.target as Element).closest('button, input, select')) return;
    const {lng, lat} = this.wall.map.getCenter();
    const meant = {Escape: () => this.end(false), Enter: () => this.end(true), Backspace: () => this.undo(), ' ': () => this.add([lng, lat])}[event.key];
    if (!meant) return;
    event.preventDefault();
    event.stopPropagation();
    meant();
  }
}

/** The line of a section, its ends marked as on the scale of the drawing. */
export function sectionLine(places: Position[], factor: number): Layer[] {
  const ends = [
    {at: places[0]!, name: '0'},
    {at: places.at(-1)!, name: distance(Math.round(length(places)))},
  ];
  return [
    new PathLayer({id: 'section-line', data: [places], getPath: (path: Position[]) => path as never, getColor: INK, getWidth: 3 * factor, widthUnits: 'pixels', capRounded: true, jointRounded: true, parameters: ON_TOP}),
    new TextLayer({id: 'section-ends', data: ends, getPosition: ({at}) => at, getText: ({name}) => name, getSize: 15 * factor, getColor: [7, 12, 21, 255], background: true, getBackgroundColor: INK, backgroundPadding: [6 * factor, 2 * factor], fontWeight: 700, fontFamily: 'sans-serif', billboard: true, parameters: ON_TOP}),
  ];
}

/** The length of a line on the ground, metres; over a street the earth is flat. */
function length(places: Position[]): number {
  const degree = 111_195;
  return places.slice(1).reduce((sum, [lon, lat], i) => {
    const [west, south] = places[i]!;
    return sum + degree * Math.hypot((lon - west) * Math.cos((lat * Math.PI) / 180), lat - south);
  }, 0);
}
