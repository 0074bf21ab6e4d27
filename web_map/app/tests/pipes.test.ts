// The utility's page and the pipe tools: their phrases, the order of two files, the box about an answer.
import {describe, expect, it} from 'vitest';
import {STRINGS as wall} from '../src/i18n';
import {boxOf} from '../src/pipe_tools/work';
import {STRINGS as tools} from '../src/pipe_tools/words';
import {inOrder} from '../src/pipes/upload_form';
import {STRINGS as page} from '../src/pipes/words';

const gaps = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!).sort();

describe('phrases', () => {
  it.each([['wall', wall], ['page', page], ['tools', tools]] as const)('of the %s have words and the same gaps in both languages', (_, strings) => {
    for (const [phrase, [zh, en]] of Object.entries(strings)) {
      expect(zh && en, phrase).toBeTruthy();
      expect(gaps(zh), phrase).toEqual(gaps(en));
    }
  });
});

describe('two files', () => {
  const order = (...names: string[]): string[] => inOrder(names.map((name) => ({name}))).map(({name}) => name);
  it('stand with the points first, as far as names tell', () => {
    expect(order('管线表.csv', '管点表.csv')).toEqual(['管点表.csv', '管线表.csv']);
    expect(order('JS_LINE.dbf', 'JS_POINT.dbf')).toEqual(['JS_POINT.dbf', 'JS_LINE.dbf']);
    expect(order('a.csv', 'b.csv')).toEqual(['a.csv', 'b.csv']);
    expect(order('管线成果.xlsx')).toEqual(['管线成果.xlsx']);
  });
});

describe('the box about an answer', () => {
  const feature = (type: string, coordinates: unknown) => ({type: 'Feature', id: 'x', geometry: {type, coordinates}, properties: {layer: 'pipe_segments', part: 'found'}});
  const traced = (...features: object[]) => boxOf({kind: 'trace', question: 'upstream', start: {layer: 'pipe_points', code: 'a'}, told: {features}} as never);
  it('holds all of it', () => expect(traced(feature('LineString', [[1, 5], [2, 3]]), feature('Point', [0, 4]))).toEqual([0, 3, 2, 5]));
  it('is none where nothing may be drawn', () => expect(traced()).toBeNull());
});
