// The doors of pipe networks and of dig checks: their words, and one function a door.
import {call, problemOf, ApiError} from '../api';
import {language, say} from '../i18n';
import type {Geometry, Label} from '../types';

export interface Place {
  layer: string;
  code: string;
}

export type Question = 'upstream' | 'downstream' | 'connected';
export type Position = [longitude: number, latitude: number];

export interface Sums {
  points: number;
  pipes: number;
  length_m: number;
  customers: number | null;
  hidden: {points: number; pipes: number};
}

export interface PipeFeature {
  type: 'Feature';
  id: string;
  geometry: Geometry;
  properties: Record<string, unknown> & {layer: string; part: string; code?: string};
}

interface Paged {
  network: {generation: string; pipe_class: string; sources: number};
  features: PipeFeature[];
  matched: number;
  next: number | null;
}

export interface Trace extends Paged {
  found: Sums;
}

export interface Isolation extends Paged {
  closing: number;
  hidden_closing: number;
  isolated: Sums;
  cut_off: Sums;
  valves: {features: PipeFeature[]; hidden: number; passed: string[]; restoring: string[]};
  alternatives: {without: string | null; closing: number; isolated: Sums; cut_off: Sums}[];
}

export interface DigPipe {
  code: string;
  pipe_class: string;
  size: string;
  owner: string;
  verdict: 'met' | 'below' | 'beside';
  plan_m: number;
  crown_m: number;
  under_m: number;
  short: boolean;
  at: Position;
}

export interface Dig {
  dig: {depth_m: number; area_m2: number; outline: Geometry};
  met: number;
  simulated: boolean;
  pipes: DigPipe[];
  owners: {name: string; classes: string[]; met: number; near: number; nearest_m: number}[];
  unseen: {count: number; ask: Label | null};
}

export interface DigWish {
  geometry: {type: 'LineString'; coordinates: Position[]} | {type: 'Polygon'; coordinates: Position[][]};
  depth_m: number;
  width_m: number;
  purpose: string;
}

/** Of a long answer no more than this many pages are drawn; the figures always count all. */
const MOST_PAGES = 4;
const ON_PAGE = 10_000;

export function trace(question: Question, start: Place, signal: AbortSignal): Promise<Trace> {
  return whole<Trace>('/api/pipes/trace', {question, start: [start]}, signal);
}

export function isolation(burst: Place, failed: string[], signal: AbortSignal): Promise<Isolation> {
  return whole<Isolation>('/api/pipes/isolation', {burst: [burst], failed, alternatives: 3}, signal);
}

export const dig = (wish: DigWish, signal: AbortSignal): Promise<Dig> => call<Dig>('/api/pipes/dig', {method: 'POST', body: wish, signal});

export const digSheet = (wish: DigWish): Promise<Blob> => blob('/api/pipes/dig?form=pdf', wish);

export const section = (coordinates: Position[]): Promise<Blob> => blob('/api/pipes/section', {line: {type: 'LineString', coordinates}, language: language(), theme: 'dark'});

export function profile({layer, code}: Place): Promise<Blob> {
  return blob('/api/pipes/profile', {...(layer === 'pipe_points' ? {start_point: code} : {segments: [code]}), language: language(), theme: 'dark'});
}

/** Reads page after page of the same network and puts them together. */
async function whole<T extends Paged>(path: string, body: object, signal: AbortSignal): Promise<T> {
  const first = await call<T>(path, {method: 'POST', body: {...body, limit: ON_PAGE}, signal});
  let {next} = first;
  for (let page = 1; next !== null && page < MOST_PAGES; page++) {
    const more: T = await call<T>(path, {method: 'POST', body: {...body, limit: ON_PAGE, after: next, generation: first.network.generation}, signal});
    first.features.push(...more.features);
    next = more.next;
  }
  return first;
}

/** Asks for a drawing or a sheet. */
async function blob(path: string, body: object): Promise<Blob> {
  let response: Response;
  try {
    response = await fetch(path, {method: 'POST', credentials: 'same-origin', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});
  } catch {
    throw new ApiError(0, say('error.unreachable'), '');
  }
  if (!response.ok) throw await problemOf(response);
  return response.blob();
}
