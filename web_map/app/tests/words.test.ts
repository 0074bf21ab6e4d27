// Numbers, ages and sizes as they are shown, and the phrases in both languages.
import {afterEach, describe, expect, it} from 'vitest';
import {withVersion} from '../src/catalogue';
import {age, count, fieldValue, moment, position, scaleBar} from '../src/format';
import {pick, say, sayRole, speak} from '../src/i18n';
import {enlargedProps, enlargedStyle, screenFactor} from '../src/sizes';

afterEach(() => speak('zh'));

describe('words', () => {
  it('tell an age in one unit', () => {
    expect([12, 90, 7200, 400_000].map((s) => age(0, s * 1000))).toEqual(['12 秒前', '1 分钟前', '2 小时前', '4 天前']);
    expect(age(5000, 0)).toBe('0 秒前');
  });
  it('fill their gaps and follow the language', () => {
    expect(say('underground.exaggeration', {n: 6})).toBe('竖向夸大 ×6');
    speak('en');
    expect(say('underground.exaggeration', {n: 6})).toBe('Depth exaggerated ×6');
    expect(count(62_000)).toBe('62k');
  });
  it('fall back on the other language and on the role itself', () => {
    expect(pick({zh: '', en: 'Only English'})).toBe('Only English');
    expect(sayRole('stranger')).toBe('stranger');
  });
  it('tell codes by label, with units and the city’s own time', () => {
    const field = {name: 'class', label: {zh: '管类', en: 'Class'}, codes: [{value: 'water', label: {zh: '给水', en: 'Water'}}]};
    expect(fieldValue('water', field, 'UTC')).toBe('给水');
    expect(fieldValue(300, {name: 'd', label: {zh: '', en: ''}, unit: 'mm'}, 'UTC')).toBe('300 mm');
    expect(fieldValue(null, undefined, 'UTC')).toBe('—');
    expect(fieldValue('2026-11-22T12:00:00Z', undefined, 'America/Santiago')).toContain('09:00:00');
    expect(moment(new Date('2026-11-22T12:00:00Z'), 'Not/AZone').time).toBe('12:00:00');
  });
  it('tell where', () => expect(position(-71.25, -29.9)).toBe('29.90000°S  71.25000°W'));
  it('measure with round numbers that fit', () => {
    for (const metresPerPixel of [0.1, 0.7, 3, 88]) {
      const {metres, px} = scaleBar(metresPerPixel, 100);
      expect(px).toBeLessThanOrEqual(100);
      expect(px).toBeGreaterThan(35);
      expect(String(metres)).toMatch(/^[125]0*$/);
    }
  });
});

describe('sizes', () => {
  it('double at twice the rows', () => expect([screenFactor(1920, 1080), screenFactor(3840, 2160), screenFactor(1180, 820)]).toEqual([1, 2, 1]));
  it('grow in pixels, never in metres', () => {
    expect(enlargedProps({lineWidthUnits: 'pixels', lineWidthScale: 1, widthUnits: 'meters', widthScale: 1, pointRadiusMinPixels: 2}, 2)).toEqual({lineWidthScale: 2, pointRadiusMinPixels: 4});
  });
  it('leave zoom curves outermost, as MapLibre demands', () => {
    const style = {layers: [{layout: {'text-size': ['interpolate', ['linear'], ['zoom'], 12, 11, 18, ['case', true, 15, 9]]}}]};
    expect(enlargedStyle(style, 2).layers[0]).toEqual({layout: {'text-size': ['interpolate', ['linear'], ['zoom'], 12, 22, 18, ['*', 2, ['case', true, 15, 9]]]}});
  });
});

describe('a tile address', () => {
  it('takes a new version', () => {
    expect(withVersion('/t/{z}?v=3&a=1', 4)).toBe('/t/{z}?v=4&a=1');
    expect(withVersion('/t/{z}', 4)).toBe('/t/{z}?v=4');
  });
});
