// Numbers, ages, times and field values as people read them.
import {language, pick, say} from './i18n';
import type {Field} from './types';

const LOCALE = {zh: 'zh-CN', en: 'en-GB'} as const;

/** A number with no more digits than it deserves; four digits stand ungrouped, so that a year reads as one. */
export function number(value: number): string {
  const size = Math.abs(value);
  const digits = Number.isInteger(value) || size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString(LOCALE[language()], {maximumFractionDigits: digits, useGrouping: size >= 10_000});
}

/** A count short enough for a list: 62,000 is 6.2 万 in Chinese and 62k in English. */
export function count(value: number): string {
  if (value < 10_000) return number(value);
  return value.toLocaleString(LOCALE[language()], {notation: 'compact', maximumFractionDigits: 1});
}

/** The time that has passed, in one unit: "12 秒前". */
export function age(fromMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - fromMs) / 1000));
  if (seconds < 60) return say('age.seconds', {n: seconds});
  if (seconds < 3600) return say('age.minutes', {n: Math.floor(seconds / 60)});
  if (seconds < 172_800) return say('age.hours', {n: Math.floor(seconds / 3600)});
  return say('age.days', {n: Math.floor(seconds / 86_400)});
}

/** Date and time of day in the city's zone. */
export function moment(at: Date, timeZone: string): {date: string; time: string} {
  const zone = safeZone(timeZone);
  const day: Intl.DateTimeFormatOptions = {timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', weekday: 'short'};
  const clock: Intl.DateTimeFormatOptions = {timeZone: zone, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23'};
  return {
    date: at.toLocaleDateString(LOCALE[language()], day).replace(/(\d)(周)/, '$1 $2'),
    time: at.toLocaleTimeString(LOCALE[language()], clock),
  };
}

/** A moment as one short text, without the weekday. */
export function instant(at: Date, timeZone: string): string {
  const day: Intl.DateTimeFormatOptions = {timeZone: safeZone(timeZone), year: 'numeric', month: '2-digit', day: '2-digit'};
  return `${at.toLocaleDateString(LOCALE[language()], day)} ${moment(at, timeZone).time}`;
}

/** A stored value in words: code labels, units, yes and no, dates in the city's zone. */
export function fieldValue(value: unknown, field: Field | undefined, timeZone: string): string {
  if (value === null || value === undefined || value === '') return '—';
  const code = field?.codes?.find((c) => c.value === String(value));
  if (code) return pick(code.label);
  if (typeof value === 'boolean') return say(value ? 'yes' : 'no');
  if (field?.type === 'date-time' || (typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:/.test(value))) {
    const at = new Date(String(value));
    if (!Number.isNaN(at.getTime())) {
      return instant(at, timeZone);
    }
  }
  const text = typeof value === 'number' ? number(value) : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return field?.unit ? `${text} ${field.unit}` : text;
}

/** Longitude and latitude with hemispheres, five decimals (about a metre). */
export function position(longitude: number, latitude: number): string {
  const lon = `${Math.abs(longitude).toFixed(5)}°${longitude < 0 ? 'W' : 'E'}`;
  const lat = `${Math.abs(latitude).toFixed(5)}°${latitude < 0 ? 'S' : 'N'}`;
  return `${lat}  ${lon}`;
}

/** The longest round distance (1, 2 or 5 times a power of ten, metres) that fits into `maxPx` pixels. */
export function scaleBar(metresPerPixel: number, maxPx: number): {metres: number; px: number} {
  const limit = metresPerPixel * maxPx;
  const power = 10 ** Math.floor(Math.log10(limit));
  const metres = [5, 2, 1].map((n) => n * power).find((m) => m <= limit) ?? power;
  return {metres, px: metres / metresPerPixel};
}

/** A distance in metres or kilometres. */
export function distance(metres: number): string {
  return metres >= 1000 ? `${number(metres / 1000)} km` : `${number(metres)} m`;
}

function safeZone(timeZone: string): string {
  try {
    new Intl.DateTimeFormat('en', {timeZone});
    return timeZone;
  } catch {
    return 'UTC';
  }
}
