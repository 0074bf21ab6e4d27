// Pipes hang at their depth: start and end as stated, between them in proportion, and flat on the plan.
import {describe, expect, it} from 'vitest';
import {hang, stretchesOf, type Depths} from '../src/stretches';

const below: Depths = {startDepth: 'a', endDepth: 'b', exaggeration: 6, lifted: true};
const line = (coordinates: number[][], properties = {}): ReturnType<typeof stretchesOf> =>
  stretchesOf([{id: 1, properties: {a: 1, b: 3, ...properties}, geometry: {type: 'LineString', coordinates}}]);
const heights = (path: Float64Array): number[] => [...path].filter((_, i) => i % 3 === 2);

describe('a pipe', () => {
  it('sinks in proportion to the way', () => {
    const [stretch] = line([[0, 0], [0, 0.001], [0, 0.004]]);
    expect(heights(hang(stretch!, below))).toEqual([-6, -9, -18].map((z) => expect.closeTo(z, 9)));
  });
  it('lies flat on the plan', () => expect(heights(hang(line([[0, 0], [0, 1]])[0]!, {...below, lifted: false}))).toEqual([0, 0]));
  it('keeps its start depth where the end is not known', () => expect(heights(hang(line([[0, 0], [0, 1]], {b: null})[0]!, below))).toEqual([-6, -6]));
  it('of several parts is one way', () => {
    const parts = stretchesOf([{properties: {a: 0, b: 2}, geometry: {type: 'MultiLineString', coordinates: [[[0, 0], [0, 1]], [[0, 1], [0, 2]]]}}]);
    expect(parts.map((part) => part.along.map((share) => Math.round(share * 100)))).toEqual([[0, 50], [50, 100]]);
  });
  it('without length, or no line at all, does no harm', () => {
    expect([...hang(line([[1, 1], [1, 1]])[0]!, below)].every(Number.isFinite)).toBe(true);
    expect(stretchesOf([{properties: {}, geometry: {type: 'Point', coordinates: [0, 0]}}])).toEqual([]);
  });
});
