// The only place that talks to the server: JSON in and out, problems as words, and the server's clock.
import {say} from './i18n';

/** A request that did not succeed. `status` 0 means the server could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
  ) {
    super(detail ? `${title} — ${detail}` : title);
    this.name = 'ApiError';
  }
}

let clockOffsetMs = 0;

/** The server's time now, in milliseconds: ages are told by its clock, not by the viewer's. */
export function serverNow(): number {
  return Date.now() + clockOffsetMs;
}

interface Call {
  method?: string;
  body?: unknown;
  signal?: AbortSignal;
}

/** Asks the server and answers its JSON (`null` for an empty answer). Throws `ApiError`; an abort stays an `AbortError`. */
export async function call<T>(path: string, {method = 'GET', body, signal}: Call = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: 'same-origin',
      headers: {Accept: 'application/json', ...(body === undefined ? {} : {'Content-Type': 'application/json'})},
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    });
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    throw new ApiError(0, say('error.unreachable'), '');
  }
  noteClock(response.headers.get('Date'));
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  return (text ? JSON.parse(text) : null) as T;
}

/** An error of any kind as one line for people. */
export function words(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  return error instanceof Error ? error.message : String(error);
}

/** What an HTTP status means, in words. */
export function statusWords(status: number): string {
  if (status === 401 || status === 403) return say('error.forbidden');
  if (status === 404) return say('error.missing');
  if (status === 429) return say('error.busy');
  if (status >= 500) return say('error.server', {status});
  return status ? say('error.status', {status}) : say('error.unreachable');
}

/** A refusal as an error with its words. */
export async function problemOf(response: Response): Promise<ApiError> {
  try {
    const problem = (await response.json()) as {title?: string; detail?: string};
    return new ApiError(response.status, problem.title || statusWords(response.status), problem.detail || '');
  } catch {
    return new ApiError(response.status, statusWords(response.status), '');
  }
}

function noteClock(date: string | null): void {
  const at = date ? Date.parse(date) : Number.NaN;
  // The header has whole seconds, so a smaller difference says nothing.
  if (!Number.isNaN(at) && Math.abs(at - Date.now()) > 2000) clockOffsetMs = at - Date.now();
  else if (!Number.isNaN(at)) clockOffsetMs = 0;
}
