// The page's colours and signs. Red, orange, yellow and blue are left to warning levels, and no sign is told by colour alone.
import type {Change, Severity} from './surveys';

export type Rgb = [number, number, number];

export const SEVERITY: Record<Severity, Rgb> = {error: [255, 92, 168], warning: [205, 190, 255]};
export const CHANGE: Record<Change, Rgb> = {added: [80, 226, 140], removed: [255, 92, 168], moved: [186, 148, 255], changed: [238, 243, 251]};
/** A letter beside the colour, in lists and legends. */
export const SIGN: Record<Change, string> = {added: '＋', removed: '－', moved: '⇢', changed: '≠'};

export function css([red, green, blue]: Rgb): string {
  return `rgb(${red} ${green} ${blue})`;
}

/** `#rrggbb` as numbers. */
export function rgb(hex: string): Rgb {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as Rgb;
}
