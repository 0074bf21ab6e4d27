// The address carries the whole view: what is written is what is read, and nonsense is as if nothing were said.
import {describe, expect, it} from 'vitest';
import {fromHash, INITIAL, Store, toHash, type State} from '../src/state';

const full: State = {
  language: 'en',
  camera: {longitude: -71.25432, latitude: -29.9, zoom: 14.25, pitch: 45, bearing: -18.5},
  switched: {cameras: true, parking: false},
  opacity: {buildings: 0.4},
  muted: {pipe_segments: ['gas', 'storm|water']},
  underground: true,
  hexagons: {layer: 'parking', measure: 'spaces', resolution: 9, extruded: true},
  selected: {layer: 'roads', id: '17'},
  scale: 1.5,
};

describe('the address', () => {
  it('brings every choice back', () => expect(fromHash(toHash(full))).toEqual(full));
  it('says nothing at the start', () => expect(toHash(INITIAL)).toBe(''));
  it('tells switched-off hexagons from a choice not yet made', () => {
    expect(fromHash('#hex=off').hexagons).toBe(false);
    expect(fromHash('').hexagons).toBeNull();
  });
  it.each(['#c=1,2,x,0,0', '#c=999,0,5,0,0', '#ui=99&hex=a', '#%zz', '#sel=a'])('takes nonsense for nothing: %s', (hash) => {
    expect(fromHash(hash)).toEqual(INITIAL);
  });
});

describe('the store', () => {
  it('tells a listener of its keys only, and only of changes', () => {
    const store = new Store(INITIAL);
    let heard = 0;
    store.on(['underground'], () => (heard += 1));
    store.set({language: 'en'});
    store.set({underground: false});
    expect(heard).toBe(0);
    store.set({underground: true});
    expect(heard).toBe(1);
  });
});
