// What was asked of the pipes and what came of it: one answer at a time, its shapes on the map.
import {PathStyleExtension} from '@deck.gl/extensions';
import {PathLayer, PolygonLayer, ScatterplotLayer, TextLayer} from '@deck.gl/layers';
import type {Layer} from '@deck.gl/core';
import {words} from '../api';
import {hang, stretchesOf, type Depths, type Stretch} from '../stretches';
import * as doors from './doors';
import type {Box} from '../types';
import type {Dig, DigWish, Isolation, PipeFeature, Place, Position, Question, Trace} from './doors';

type Colour = [number, number, number, number];
export type Answer =
  | {kind: 'trace'; question: Question; start: Place; told: Trace}
  | {kind: 'isolation'; start: Place; failed: string[]; told: Isolation}
  | {kind: 'dig'; wish: DigWish; told: Dig};
export type Asked = {kind: Question | 'isolation' | 'dig'; code: string};

export const FOUND = '#50d2c4';
export const ISOLATED = '#ff5ca8';
export const CUT_OFF = '#cdbeff';
/** Points where somebody is served. */
const SERVED = new Set(['entry', 'meter', 'hydrant']);
const ON_TOP = {depthCompare: 'always', depthWriteEnabled: false} as const;
const DASHED = [new PathStyleExtension({dash: true})];
const INK: Colour = [238, 243, 251, 255];
const DARK: Colour = [7, 12, 21, 255];

export class PipeWork {
  answer: Answer | null = null;
  asked: Asked | null = null;
  error: unknown = null;
  /** Whether the form of a dig check stands open. */
  planning = false;
  private running: AbortController | null = null;

  constructor(
    private readonly onChange: () => void,
    private readonly onFound: (box: Box) => void,
  ) {}

  get busy(): boolean {
    return this.running !== null;
  }

  trace(question: Question, start: Place): Promise<void> {
    return this.ask({kind: question, code: start.code}, async (signal) => ({kind: 'trace', question, start, told: await doors.trace(question, start, signal)}));
  }

  isolate(start: Place, failed: string[]): Promise<void> {
    return this.ask({kind: 'isolation', code: start.code}, async (signal) => ({kind: 'isolation', start, failed, told: await doors.isolation(start, failed, signal)}));
  }

  dig(wish: DigWish): Promise<void> {
    return this.ask({kind: 'dig', code: ''}, async (signal) => ({kind: 'dig', wish, told: await doors.dig(wish, signal)}));
  }

  plan(): void {
    this.clear();
    this.planning = true;
    this.onChange();
  }

  clear(): void {
    this.running?.abort();
    this.running = null;
    this.answer = this.asked = this.error = null;
    this.planning = false;
    this.onChange();
  }

  /** The valves to close, in the order of the list: numbers on the map are those of the list. */
  get valves(): PipeFeature[] {
    return this.answer?.kind === 'isolation' ? this.answer.told.valves.features : [];
  }

  layers(factor: number, depths: Depths | null): Layer[] {
    const {answer} = this;
    if (!answer) return [];
    if (answer.kind === 'dig') return digLayers(answer.told, factor);
    const hung = depths ?? {startDepth: 'start_depth_m', endDepth: 'end_depth_m', exaggeration: 0, lifted: false};
    const {features} = answer.told;
    if (answer.kind === 'trace') return paths('trace', features, hung, FOUND, factor);
    const part = (name: string): PipeFeature[] => features.filter(({properties}) => properties.part === name);
    return [
      ...paths('cut-off', part('cut_off'), hung, CUT_OFF, factor, true),
      ...paths('isolated', part('isolated'), hung, ISOLATED, factor),
      ...served(features, factor),
      ...numbered(this.valves, factor),
    ];
  }

  private async ask(asked: Asked, question: (signal: AbortSignal) => Promise<Answer>): Promise<void> {
    this.clear();
    const running = (this.running = new AbortController());
    this.asked = asked;
    this.onChange();
    try {
      const answer = await question(running.signal);
      if (running.signal.aborted) return;
      this.answer = answer;
      const box = boxOf(answer);
      if (box) this.onFound(box);
    } catch (error) {
      if (running.signal.aborted) return;
      this.error = error;
      console.warn(words(error));
    } finally {
      if (this.running === running) this.running = null;
    }
    this.onChange();
  }
}

function paths(id: string, features: PipeFeature[], depths: Depths, colour: string, factor: number, dashed = false): Layer[] {
  const data = stretchesOf(features.filter(({properties}) => properties.layer === 'pipe_segments').map(({geometry, properties}) => ({geometry, properties})));
  // What is only cut off is broken up, so that it is told from what is shut off without colour.
  const broken = dashed ? {getDashArray: [2.4, 1.6], extensions: DASHED} : {};
  const line = (name: string, color: Colour, width: number, more = {}): Layer =>
    new PathLayer<Stretch>({id: `pipes-${id}-${name}`, data, getPath: (stretch: Stretch) => hang(stretch, depths) as never, positionFormat: 'XYZ', getColor: color, getWidth: width * factor, widthUnits: 'pixels', billboard: depths.lifted, capRounded: true, jointRounded: true, pickable: false, parameters: ON_TOP, updateTriggers: {getPath: [depths.lifted]}, ...more} as never);
  return data.length ? [line('halo', [7, 12, 21, 210], 9), line('line', rgba(colour), 5, broken)] : [];
}

/** Entries, meters and hydrants without water: small squares would be lost, so dots with a dark rim. */
function served(features: PipeFeature[], factor: number): Layer[] {
  const data = features.filter(({properties}) => properties.layer === 'pipe_points' && SERVED.has(String(properties.kind)));
  return data.length
    ? [new ScatterplotLayer<PipeFeature>({id: 'pipes-served', data, getPosition: ({geometry}) => geometry.coordinates as Position, radiusUnits: 'pixels', getRadius: 5 * factor, getFillColor: ({properties}) => rgba(properties.part === 'cut_off' ? CUT_OFF : ISOLATED), stroked: true, getLineColor: DARK, lineWidthUnits: 'pixels', getLineWidth: 2 * factor, billboard: true, parameters: ON_TOP})]
    : [];
}

function numbered(valves: PipeFeature[], factor: number): Layer[] {
  const at = ({geometry}: PipeFeature): Position => geometry.coordinates as Position;
  return valves.length
    ? [
        new ScatterplotLayer<PipeFeature>({id: 'pipes-valves', data: valves, getPosition: at, radiusUnits: 'pixels', getRadius: 12 * factor, getFillColor: [238, 243, 251, 255], stroked: true, getLineColor: DARK, lineWidthUnits: 'pixels', getLineWidth: 2.5 * factor, billboard: true, parameters: ON_TOP}),
        new TextLayer<PipeFeature>({id: 'pipes-valve-numbers', data: valves, getPosition: at, getText: (_, {index}) => String(index + 1), getSize: 14 * factor, getColor: DARK, fontWeight: 700, fontFamily: 'sans-serif', billboard: true, parameters: ON_TOP}),
      ]
    : [];
}

function digLayers({dig, pipes}: Dig, factor: number): Layer[] {
  return [
    new PolygonLayer({id: 'dig', data: [dig.outline], getPolygon: (outline: {coordinates: Position[][]}) => outline.coordinates as never, filled: true, stroked: true, getFillColor: [238, 243, 251, 40], getLineColor: INK, getLineWidth: 2.5 * factor, lineWidthUnits: 'pixels', parameters: ON_TOP}),
    new ScatterplotLayer({id: 'dig-pipes', data: pipes.filter(({verdict}) => verdict === 'met'), getPosition: ({at}) => at, radiusUnits: 'pixels', getRadius: 6 * factor, getFillColor: rgba(ISOLATED), stroked: true, getLineColor: DARK, lineWidthUnits: 'pixels', getLineWidth: 2 * factor, billboard: true, parameters: ON_TOP}),
  ];
}

/** The box about all that an answer drew; null where it drew nothing. */
export function boxOf(answer: Answer): Box | null {
  const shapes = answer.kind === 'dig' ? [answer.told.dig.outline] : [...answer.told.features, ...(answer.kind === 'isolation' ? answer.told.valves.features : [])].map(({geometry}) => geometry);
  const box: Box = [180, 90, -180, -90];
  const look = (part: unknown): void => {
    if (!Array.isArray(part)) return;
    if (typeof part[0] !== 'number') return part.forEach(look);
    const [lon, lat] = part as Position;
    box[0] = Math.min(box[0], lon);
    box[1] = Math.min(box[1], lat);
    box[2] = Math.max(box[2], lon);
    box[3] = Math.max(box[3], lat);
  };
  shapes.forEach(({coordinates}) => look(coordinates));
  return box[0] <= box[2] ? box : null;
}

function rgba(hex: string): Colour {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).concat(255) as Colour;
}
