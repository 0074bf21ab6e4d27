// The doors of surveys: their words, and one function a door.
import {ApiError, call, problemOf} from '../api';
import {say} from '../i18n';
import type {Box, Label} from '../types';

export type Severity = 'error' | 'warning';
export type Table = 'points' | 'lines';
export type Change = 'added' | 'removed' | 'moved' | 'changed';
export const TABLES: readonly Table[] = ['points', 'lines'];
export const CHANGES: readonly Change[] = ['added', 'removed', 'moved', 'changed'];

export interface RuleCount {
  id: string;
  severity: Severity;
  count: number;
  title: Label;
  standard: string;
  clause: string;
  grade: string;
}

export interface ColumnMapping {
  columns: {column: string; field: string; confidence: number}[];
  unused: string[];
  repeated: string[];
  missing: {field: string; zh: string; en: string; essential: boolean}[];
}

export type Difference = Partial<Record<Change, number>>;

export interface Survey {
  id: string;
  name: string;
  owner: string;
  files: unknown;
  datum: string | null;
  state: 'reading' | 'examined' | 'published' | 'failed';
  step: Label | null;
  progress: number;
  mapping: Partial<Record<Table, ColumnMapping>> | null;
  counts: {points: number; lines: number; errors: number; warnings: number} | null;
  rules: RuleCount[] | null;
  bounds: Box | null;
  publishable: boolean;
  why_not: Label | string | null;
  difference: Difference | null;
  version: number | null;
  /** Rules that could not be tried, and why. */
  skipped?: Record<string, string>;
  notes?: string[];
}

export interface Problem {
  n: number;
  rule: string;
  severity: Severity;
  table: Table;
  row: number | null;
  field: string;
  message: Label;
  lon: number | null;
  lat: number | null;
}

export interface Version extends Difference {
  number: number;
  owner: string;
  published_at: string;
  by: string;
  points: number;
  lines: number;
  current: boolean;
}

export interface KnownField {
  name: string;
  label: Label;
  unit: string;
  essential: boolean;
  mandatory: boolean;
}

export interface Words {
  tables: Record<Table, {title: Label; fields: KnownField[]}>;
  datums: {value: string; label: Label}[];
  rules: number;
}

export interface Features {
  type: 'FeatureCollection';
  features: {type: 'Feature'; geometry: {type: string; coordinates: unknown} | null; properties: Record<string, unknown>}[];
}

/** Whether there is a report to look at. */
export function isExamined(survey: Survey | null): survey is Survey {
  return survey?.state === 'examined' || survey?.state === 'published';
}

const at = (id: string, rest = ''): string => `/api/surveys/${encodeURIComponent(id)}${rest}`;

export const readWords = (): Promise<Words> => call<Words>('/api/pipes/survey-words');
export const list = async (): Promise<Survey[]> => (await call<{surveys: Survey[]}>('/api/surveys')).surveys;
export const read = (id: string): Promise<Survey> => call<Survey>(at(id));
export const remove = (id: string): Promise<null> => call<null>(at(id), {method: 'DELETE'});
export const remap = (id: string, mapping: Record<Table, Record<string, string | null>>, save: boolean): Promise<unknown> => call(at(id, '/mapping'), {method: 'PUT', body: {...mapping, save}});
export const publish = (id: string, acceptWarnings: boolean): Promise<{version: number; stored: unknown; difference: Difference}> => call(at(id, '/publish'), {method: 'POST', body: {accept_warnings: acceptWarnings}});
export const versions = async (owner: string | null): Promise<Version[]> => (await call<{versions: Version[]}>(`/api/surveys/versions${owner ? `?owner=${encodeURIComponent(owner)}` : ''}`)).versions;
export const restore = (number: number, owner: string): Promise<{version: number}> => call(`/api/surveys/versions/${number}/restore?owner=${encodeURIComponent(owner)}`, {method: 'POST'});
export const geojson = (id: string, what: 'problems' | 'features' | 'difference', signal: AbortSignal): Promise<Features> => call<Features>(at(id, `/${what}.geojson${what === 'features' ? '?limit=100000' : ''}`), {signal});
export const remarks = (id: string): string => at(id, '/remarks.xlsx');

export interface Filter {
  rule: string | null;
  severity: Severity | null;
}

export function problems(id: string, {rule, severity}: Filter, after: number | null, limit: number, signal: AbortSignal): Promise<{problems: Problem[]; next: number | null}> {
  const asked = new URLSearchParams({limit: String(limit)});
  if (rule) asked.set('rule', rule);
  if (severity) asked.set('severity', severity);
  if (after !== null) asked.set('after', String(after));
  return call(at(id, `/problems?${asked.toString()}`), {signal});
}

/** Sends files with a bar that moves: `fetch` does not tell how far an upload is. */
export function upload(form: FormData, onShare: (share: number) => void): Promise<{id: string}> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', '/api/surveys');
    request.setRequestHeader('Accept', 'application/json');
    request.upload.onprogress = ({loaded, total, lengthComputable}) => lengthComputable && onShare(loaded / total);
    request.onerror = () => reject(new ApiError(0, say('error.unreachable'), ''));
    request.onload = () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText) as {id: string});
      else void problemOf(new Response(request.responseText, {status: request.status})).then(reject);
    };
    request.send(form);
  });
}
