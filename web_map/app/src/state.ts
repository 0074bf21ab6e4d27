// What the person at the wall has chosen: one store, and its image in the URL so that a link shows the same view.
import type {Camera, Language} from './types';

export interface HexagonChoice {
  layer: string;
  measure: string;
  /** H3 resolution, or null to follow the zoom. */
  resolution: number | null;
  extruded: boolean;
}

export interface State {
  language: Language;
  camera: Camera | null;
  /** Layers switched against the catalogue's default. */
  switched: Record<string, boolean>;
  /** Opacity 0..1 of the layers where it is not 1. */
  opacity: Record<string, number>;
  /** Legend values switched off, by layer. */
  muted: Record<string, string[]>;
  underground: boolean;
  /** null: not yet chosen, the client chooses; false: switched off. */
  hexagons: HexagonChoice | false | null;
  selected: {layer: string; id: string} | null;
  /** Factor on all sizes; null: made from the size of the screen. */
  scale: number | null;
}

export const INITIAL: State = {
  language: 'zh',
  camera: null,
  switched: {},
  opacity: {},
  muted: {},
  underground: false,
  hexagons: null,
  selected: null,
  scale: null,
};

type Listener = (state: State, changed: ReadonlySet<keyof State>) => void;

/** Holds the state and tells those who listen which keys have changed. */
export class Store {
  private state: State;
  private readonly listeners = new Set<Listener>();

  constructor(initial: State) {
    this.state = initial;
  }

  get(): State {
    return this.state;
  }

  set(patch: Partial<State>): void {
    const keys = (Object.keys(patch) as (keyof State)[]).filter((key) => patch[key] !== this.state[key]);
    if (!keys.length) return;
    this.state = {...this.state, ...patch};
    const changed = new Set(keys);
    for (const listener of [...this.listeners]) listener(this.state, changed);
  }

  /** Calls `listener` after each change of one of `keys`. */
  on(keys: (keyof State)[], listener: Listener): void {
    this.listeners.add((state, changed) => {
      if (keys.some((key) => changed.has(key))) listener(state, changed);
    });
  }
}

/** The state as a URL fragment, without `#`. Only what differs from the start is written. */
export function toHash(state: State): string {
  const parts: string[] = [];
  const put = (key: string, value: string): void => void (value && parts.push(`${key}=${value}`));
  if (state.camera) {
    const {longitude, latitude, zoom, pitch, bearing} = state.camera;
    put('c', [longitude.toFixed(5), latitude.toFixed(5), trim(zoom, 2), trim(pitch, 1), trim(bearing, 1)].join(','));
  }
  const names = Object.keys(state.switched).sort();
  put('on', names.filter((name) => state.switched[name]).map(enc).join(','));
  put('off', names.filter((name) => !state.switched[name]).map(enc).join(','));
  put('op', pairs(state.opacity, (value) => trim(value, 2)));
  put('mute', pairs(state.muted, (values) => values.map(enc).join('|')));
  if (state.hexagons === false) put('hex', 'off');
  else if (state.hexagons) {
    const {layer, measure, resolution, extruded} = state.hexagons;
    put('hex', [enc(layer), enc(measure), resolution === null ? 'auto' : String(resolution), extruded ? '3d' : '2d'].join(','));
  }
  if (state.underground) put('under', '1');
  if (state.selected) put('sel', `${enc(state.selected.layer)},${enc(state.selected.id)}`);
  if (state.language !== INITIAL.language) put('lang', state.language);
  if (state.scale !== null) put('ui', trim(state.scale, 2));
  return parts.join('&');
}

/** Reads a URL fragment back; what it does not say, or says wrongly, is as at the start. */
export function fromHash(hash: string): State {
  const said = new Map<string, string>();
  for (const part of hash.replace(/^#/, '').split('&')) {
    const at = part.indexOf('=');
    if (at > 0) said.set(part.slice(0, at), part.slice(at + 1));
  }
  const list = (key: string): string[] => (said.get(key) ?? '').split(',').filter(Boolean).map(dec);
  const switched: Record<string, boolean> = {};
  for (const name of list('on')) switched[name] = true;
  for (const name of list('off')) switched[name] = false;
  const opacity: Record<string, number> = {};
  for (const [name, text] of readPairs(said.get('op'))) {
    const value = Number(text);
    if (value >= 0 && value < 1) opacity[name] = value;
  }
  const muted: Record<string, string[]> = {};
  for (const [name, text] of readPairs(said.get('mute'))) muted[name] = text.split('|').filter(Boolean).map(dec);
  const selected = list('sel');
  return {
    language: said.get('lang') === 'en' ? 'en' : 'zh',
    camera: readCamera(said.get('c')),
    switched,
    opacity,
    muted,
    underground: said.get('under') === '1',
    hexagons: readHexagons(said.get('hex')),
    selected: selected.length === 2 ? {layer: selected[0]!, id: selected[1]!} : null,
    scale: readScale(said.get('ui')),
  };
}

/** Writes the state into the address bar, at most a few times a second, and follows a link pasted into it. */
export function keepInUrl(store: Store, apply: (state: State) => void): void {
  let timer = 0;
  let written = location.hash;
  const write = (): void => {
    timer = 0;
    written = `#${toHash(store.get())}`;
    history.replaceState(history.state, '', location.pathname + location.search + written);
  };
  store.on(Object.keys(INITIAL) as (keyof State)[], () => {
    timer ||= window.setTimeout(write, 250);
  });
  window.addEventListener('hashchange', () => {
    if (location.hash !== written) apply(fromHash(location.hash));
  });
}

function readCamera(text: string | undefined): Camera | null {
  const parts = (text ?? '').split(',').map(Number);
  if (parts.length !== 5 || parts.some((part) => !Number.isFinite(part))) return null;
  const [longitude, latitude, zoom, pitch, bearing] = parts as [number, number, number, number, number];
  if (Math.abs(longitude) > 180 || Math.abs(latitude) > 85 || zoom < 0 || zoom > 24) return null;
  return {longitude, latitude, zoom, pitch: Math.min(Math.max(pitch, 0), 80), bearing};
}

function readHexagons(text: string | undefined): HexagonChoice | false | null {
  if (text === 'off') return false;
  const [layer, measure, resolution, shape] = (text ?? '').split(',').map(dec);
  if (!layer || !measure) return null;
  const level = Number(resolution);
  return {layer, measure, resolution: level >= 1 && level <= 15 ? Math.round(level) : null, extruded: shape === '3d'};
}

function readScale(text: string | undefined): number | null {
  const value = Number(text);
  return value >= 0.5 && value <= 6 ? value : null;
}

function pairs<T>(record: Record<string, T>, write: (value: T) => string): string {
  const names = Object.keys(record).sort();
  return names.map((name) => `${enc(name)}:${write(record[name]!)}`).join(',');
}

function readPairs(text: string | undefined): [string, string][] {
  const found: [string, string][] = [];
  for (const part of (text ?? '').split(',')) {
    const at = part.indexOf(':');
    if (at > 0) found.push([dec(part.slice(0, at)), part.slice(at + 1)]);
  }
  return found;
}

function trim(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

function enc(text: string): string {
  return encodeURIComponent(text);
}

function dec(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
