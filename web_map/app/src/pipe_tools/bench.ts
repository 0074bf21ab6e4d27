// The pipe tools put together: the buttons beside a clicked pipe, the drawing upon the map, and the panel of answers.
import {h, icon, type IconName} from '../dom';
import {answersPanel} from './answers_panel';
import {profile, section, type Place, type Position, type Question} from './doors';
import {DrawingSheet} from './drawing_sheet';
import {sectionLine, Sketch} from './sketch';
import {tell, type Said} from './words';
import {PipeWork} from './work';
import {covered, unfold} from '../side_panels';
import type {Layer} from '@deck.gl/core';
import type {App} from '../app';
import type {Depths} from '../stretches';

/** Classes whose pipes valves shut off; the others are followed instead. */
const SHUT_OFF = new Set(['water', 'gas', 'heat', 'industrial', 'other']);
const GRAVITY = new Set(['storm', 'sewage', 'combined']);
const PIPES = new Set(['pipe_segments', 'pipe_points']);
const TRACES: readonly Question[] = ['upstream', 'downstream', 'connected'];

export class PipeBench {
  readonly work: PipeWork;
  readonly sketch: Sketch;
  private readonly sheet: DrawingSheet;
  /** The line of the section that is shown. */
  private line: Position[] | null = null;
  private readonly panel: {redraw: () => void};

  constructor(
    root: HTMLElement,
    private readonly app: App,
    private readonly redraw: () => void,
  ) {
    this.sketch = new Sketch(app.wall, redraw);
    this.sheet = new DrawingSheet(app, () => {
      this.line = null;
      redraw();
    });
    this.work = new PipeWork(() => {
      this.panel.redraw();
      redraw();
    }, app.fit);
    this.panel = answersPanel(root, app, this.work, this.sketch);
  }

  layers(factor: number, depths: Depths | null): Layer[] {
    return [...this.work.layers(factor, depths), ...(this.line ? sectionLine(this.line, factor) : []), ...this.sketch.layers(factor)];
  }

  /** The tools for a feature: none unless it is of the pipes. */
  toolsFor(layer: string, properties: Record<string, unknown>): HTMLElement | null {
    const code = properties.code;
    const pipeClass = String(properties.pipe_class);
    if (!PIPES.has(layer) || typeof code !== 'string') return null;
    const start: Place = {layer, code};
    return h('div', {class: 'pipe-tools', role: 'group', 'aria-label': tell('tools'), 'data-testid': 'pipe-tools'},
      ...TRACES.map((question) => this.button(question, question, () => void this.work.trace(question, start))),
      SHUT_OFF.has(pipeClass) ? this.button('valve', 'isolation', () => void this.work.isolate(start, [])) : null,
      GRAVITY.has(pipeClass) ? this.button('profile', 'profile', () => void this.sheet.show('profile', () => profile(start))) : null,
      ...this.general(),
    );
  }

  private general(): HTMLElement[] {
    return [this.button('section', 'section', () => void this.cut()), this.button('dig', 'dig', () => this.plan())];
  }

  private plan(): void {
    unfold(document.getElementById('right')!);
    this.work.plan();
  }

  /** Draws a line and shows the section along it. */
  private async cut(): Promise<void> {
    const line = await this.sketch.draw('sketch.section', false);
    if (!line) return;
    this.line = line;
    this.redraw();
    await this.sheet.show('section', () => section(line));
    this.clear(line);
  }

  /** Moves the map so that the line is seen above the drawing. */
  private clear(line: Position[]): void {
    const {map} = this.app.wall;
    const lons = line.map(([lon]) => lon);
    const lats = line.map(([, lat]) => lat);
    const {left, right} = covered();
    const margin = 48 * this.app.factor();
    const camera = map.cameraForBounds([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)], {
      padding: {left: left + margin, right: right + 3 * margin, top: 2.5 * margin, bottom: this.sheet.height + 1.5 * margin},
      maxZoom: map.getZoom(),
      bearing: map.getBearing(),
    });
    if (camera) map.easeTo({...camera, pitch: map.getPitch(), duration: 600});
  }

  private button(picture: IconName, phrase: Said, onclick: () => void): HTMLElement {
    return h('button', {class: 'pipe-tool', type: 'button', 'data-testid': `pipe-${phrase}`, onclick}, icon(picture), h('span', {}, tell(phrase)));
  }
}
