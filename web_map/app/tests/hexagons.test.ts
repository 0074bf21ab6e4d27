// Classes, colours and cell sizes of hexagons.
import {describe, expect, it} from 'vitest';
import {classesOf, classOf, resolutionFor} from '../src/hexagons';
import {ramp} from '../src/palettes';

describe('classes', () => {
  const classes = classesOf({breaks: [0, 2, 4, 8, 16], min: 0, max: 16}, 'teal');
  it('have one colour less than edges', () => expect(classes.colours).toHaveLength(classes.edges.length - 1));
  it('hold every value, the greatest too', () => {
    expect([0, 1.9, 2, 7, 8, 16].map((value) => classOf(value, classes))).toEqual([0, 0, 1, 2, 3, 3]);
  });
  it('are six where five inner breaks are given', () => expect(classesOf({breaks: [1, 2, 3, 4, 5], min: 0, max: 9}, 'teal').colours).toHaveLength(6));
  it('shrink to one where all values are equal', () => {
    const one = classesOf({breaks: [3, 3, 3, 3, 3], min: 3, max: 3}, 'teal');
    expect(one.colours).toHaveLength(1);
    expect(classOf(3, one)).toBe(0);
  });
  it('stand without any value', () => expect(classesOf({breaks: [], min: null, max: null}, 'teal').edges).toEqual([0, 0]));
});

describe('ramps', () => {
  const light = ([r, g, b]: number[]): number => 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  it.each(['viridis', 'cividis', 'plasma', 'magma', 'teal', 'violet', 'greens', 'blues', 'amber', 'grey', 'unheard of'])(
    '%s grows lighter with the value, so that it is read without telling hues',
    (name) => {
      const steps = ramp(name, 6).map(light);
      expect([...steps].sort((a, b) => a - b)).toEqual(steps);
    },
  );
});

describe('the resolution', () => {
  it('is finer the closer one looks, and never beyond what the server has', () => {
    const levels = [400, 100, 20, 5, 1, 0.1].map((metres) => resolutionFor(metres, 1));
    expect([...levels].sort((a, b) => a - b)).toEqual(levels);
    expect(resolutionFor(0.01, 1)).toBe(11);
    expect(resolutionFor(0.01, 1, 'LINESTRING')).toBe(10);
    expect(resolutionFor(1e6, 1)).toBe(4);
  });
  it('is coarser where the screen is enlarged', () => expect(resolutionFor(10, 3)).toBeLessThan(resolutionFor(10, 1)));
});
