// Hexagons of one measure: fetched for what is in view, classed by the server's breaks, coloured, and read out.
import {call, words} from './api';
import {say} from './i18n';
import {report, settle} from './notices';
import {ramp} from './palettes';
import type {Catalogue} from './catalogue';
import type {HexagonChoice, State} from './state';
import type {Box, Hexagons} from './types';

/** Mean distance between opposite sides of an H3 cell by resolution, metres (edge lengths of h3geo.org times sqrt 3). */
const ACROSS_M = [2_220_000, 838_000, 316_000, 119_600, 45_200, 17_085, 6_457, 2_441, 922, 349, 132, 50, 19, 7.1, 2.7, 1];
/** The finest level the server has: lines and areas lie in many cells and are kept to level 10. */
const FINEST = {points: 11, others: 10};
const COARSEST = 4;
const SMALLEST_PX = 30;
/** How opaque a cell of a class is, 0..255: flat ones let the streets through, low values most; columns stand solid. */
export function alphaOf(index: number, {colours}: Classes, extruded: boolean): number {
  return extruded ? 225 : Math.round(105 + (65 * index) / Math.max(1, colours.length - 1));
}

export interface Classes {
  /** Edges from the least to the greatest value: one more than there are classes. */
  edges: number[];
  colours: [number, number, number][];
}

/** The finest H3 resolution whose cells are still wide enough to be told apart. `metresPerPixel` is of the screen's centre. */
export function resolutionFor(metresPerPixel: number, factor: number, geometry = 'POINT'): number {
  for (let level = geometry === 'POINT' ? FINEST.points : FINEST.others; level > COARSEST; level--) {
    if (ACROSS_M[level]! / metresPerPixel >= SMALLEST_PX * factor) return level;
  }
  return COARSEST;
}

/** A cell's width at a resolution, metres. */
export function cellWidth(resolution: number): number {
  return ACROSS_M[resolution] ?? 1;
}

/** Classes between the least and the greatest value; breaks that repeat or lie outside (many equal values) fall away. */
export function classesOf(answer: Pick<Hexagons, 'breaks' | 'min' | 'max'>, palette: string | undefined): Classes {
  const least = answer.min ?? answer.breaks[0] ?? 0;
  const most = answer.max ?? answer.breaks.at(-1) ?? least;
  const inner = [...new Set(answer.breaks)].sort((a, b) => a - b).filter((value) => value > least && value < most);
  const edges = [least, ...inner, most];
  return {edges, colours: ramp(palette, edges.length - 1)};
}

/** The class of a value: the first whose upper edge is not below it. */
export function classOf(value: number, {edges}: Classes): number {
  const last = edges.length - 2;
  for (let i = 0; i < last; i++) if (value < edges[i + 1]!) return i;
  return Math.max(last, 0);
}

/** The choice to start with: the layer with most rows that has a measure, summed rather than counted if it can be. */
export function firstChoice(catalogue: Catalogue): HexagonChoice | null {
  const measured = catalogue.layers.filter((layer) => layer.measures.length && layer.count > 0);
  const layer = measured.sort((a, b) => b.count - a.count)[0];
  const measure = layer?.measures.find((m) => m.name !== 'count') ?? layer?.measures[0];
  return layer && measure ? {layer: layer.name, measure: measure.name, resolution: null, extruded: false} : null;
}

export interface View {
  box: Box;
  metresPerPixel: number;
  factor: number;
}

/** Keeps the hexagons in step with choice and view. Only the newest answer counts; older ones are dropped. */
export class HexagonView {
  answer: Hexagons | null = null;
  classes: Classes | null = null;
  loading = false;
  /** The resolution the zoom asks for. */
  resolution = 8;
  private running: AbortController | null = null;
  private asked = '';
  private timer = 0;

  constructor(
    private readonly catalogue: Catalogue,
    private readonly onChange: () => void,
  ) {}

  /** Whether an answer is awaited or about to be asked for. */
  get busy(): boolean {
    return this.loading || this.timer !== 0;
  }

  /** Asks again for this state and view, shortly after the last call. `renewed` asks even where nothing has moved. */
  update(state: State, view: View, renewed = false): void {
    if (renewed) this.asked = '';
    const geometry = state.hexagons ? this.catalogue.layer(state.hexagons.layer)?.geometry : undefined;
    this.resolution = resolutionFor(view.metresPerPixel, view.factor, geometry);
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      void this.ask(state.hexagons || null, view);
    }, 180);
  }

  /** The drawn layer's props, or null where there is nothing to draw. */
  props(state: State): Record<string, unknown> | null {
    const {answer, classes} = this;
    if (!state.hexagons || !answer || !classes || !answer.cells.length) return null;
    const {extruded} = state.hexagons;
    const most = Math.max(Math.abs(answer.max ?? 0), 1e-9);
    return {
      data: answer.cells,
      getHexagon: (cell: string) => cell,
      getFillColor: (_: string, {index}: {index: number}) => {
        const rank = classOf(answer.values[index]!, classes);
        return [...classes.colours[rank]!, alphaOf(rank, classes, extruded)];
      },
      getElevation: (_: string, {index}: {index: number}) => Math.max(0, answer.values[index]! / most),
      elevationScale: cellWidth(answer.resolution) * 3,
      extruded,
      filled: true,
      stroked: false,
      opacity: state.opacity.hexagons ?? 1,
      coverage: 0.92,
      pickable: true,
      autoHighlight: true,
      highlightColor: [255, 255, 255, 90],
      updateTriggers: {getFillColor: extruded},
    };
  }

  private async ask(choice: HexagonChoice | null, view: View): Promise<void> {
    if (!choice || !this.catalogue.measure(choice.layer, choice.measure)) {
      this.running?.abort();
      this.running = null;
      this.asked = '';
      this.take(null);
      return;
    }
    const level = choice.resolution ?? this.resolution;
    const question = new URLSearchParams({
      resolution: String(level),
      measure: choice.measure,
      bbox: wider(view.box, cellWidth(level)).map((degrees) => degrees.toFixed(5)).join(','),
    });
    const url = `/api/hexagons/${encodeURIComponent(choice.layer)}?${question}`;
    if (url === this.asked) return;
    this.asked = url;
    this.running?.abort();
    const running = (this.running = new AbortController());
    this.loading = true;
    this.onChange();
    try {
      const answer = await call<Hexagons>(url, {signal: running.signal});
      if (running !== this.running) return;
      settle('hexagons');
      this.take(answer);
    } catch (error) {
      if (running !== this.running) return;
      this.asked = '';
      report('hexagons', () => say('error.hexagons', {why: words(error)}));
      this.loading = false;
      this.onChange();
    }
  }

  private take(answer: Hexagons | null): void {
    this.loading = false;
    this.answer = answer;
    const measure = answer && this.catalogue.measure(answer.layer, answer.measure);
    this.classes = answer && classesOf(answer, measure?.palette);
    this.onChange();
  }
}

/** A box widened by one cell on each side, so that cells at the edge are whole. */
function wider([west, south, east, north]: Box, metres: number): Box {
  const lat = metres / 111_320;
  const lon = lat / Math.max(0.1, Math.cos((((south + north) / 2) * Math.PI) / 180));
  return [Math.max(-180, west - lon), Math.max(-85, south - lat), Math.min(180, east + lon), Math.min(85, north + lat)];
}
