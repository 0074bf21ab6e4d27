// The panel of answers: what was found, which valves to close in which order, whom it cuts off, what a dig would meet.
import {words} from '../api';
import {fill, h, icon, mark} from '../dom';
import {distance, number} from '../format';
import {pick} from '../i18n';
import {inEachLanguage, type App} from '../app';
import {digAnswer, digForm} from './dig_panel';
import {CUT_OFF, FOUND, ISOLATED, type Answer, type PipeWork} from './work';
import {tell} from './words';
import type {Isolation, PipeFeature, Position, Sums} from './doors';
import type {Sketch} from './sketch';

export function answersPanel(root: HTMLElement, app: App, work: PipeWork, sketch: Sketch): {redraw: () => void} {
  const redraw = (): void => {
    const {answer, asked, error, planning} = work;
    root.hidden = !answer && !asked && !planning;
    if (root.hidden) return root.replaceChildren();
    const kind = asked?.kind ?? 'dig';
    const title = kind === 'isolation' || kind === 'dig' ? tell(kind) : tell(`${kind}.title`);
    root.setAttribute('aria-live', 'polite');
    fill(root,
      h('header', {class: 'panel-head'}, icon(kind === 'isolation' ? 'valve' : kind), h('h2', {}, title), h('button', {class: 'tool small', type: 'button', 'aria-label': tell('close'), 'data-testid': 'pipe-clear', onclick: () => work.clear()}, icon('close'))),
      h('div', {class: 'body', 'data-testid': 'pipe-answer', 'data-kind': answer?.kind ?? ''},
        asked && asked.kind !== 'dig' ? h('p', {class: 'note'}, tell(asked.kind === 'isolation' ? 'at' : 'from', {code: asked.code})) : null,
        work.busy && h('p', {class: 'empty'}, tell('asking')),
        error ? h('p', {class: 'trouble', role: 'alert'}, icon('alert'), words(error)) : null,
        planning || answer?.kind === 'dig' ? digForm(work, sketch) : null,
        answer && told(app, work, answer),
      ),
    );
    root.scrollIntoView({block: 'nearest'});
  };
  inEachLanguage(app, redraw);
  return {redraw};
}

function told(app: App, work: PipeWork, answer: Answer): HTMLElement {
  if (answer.kind === 'dig') return digAnswer(app, answer.wish, answer.told);
  if (answer.kind === 'trace') return h('div', {class: 'told'}, sums(answer.told.found, FOUND, classOf(app, answer.told.network.pipe_class)), drawn(answer.told.features.length, answer.told.matched));
  return isolated(app, work, answer.told, answer.failed, answer.start);
}

function isolated(app: App, work: PipeWork, told: Isolation, failed: string[], start: {layer: string; code: string}): HTMLElement {
  const {closing, hidden_closing, valves, isolated: shut, cut_off, alternatives} = told;
  const drains = valves.features.filter(({properties}) => properties.part === 'drain').length;
  const customers = shut.customers === null ? null : shut.customers + (cut_off.customers ?? 0);
  const said = (phrase: 'valves.passed' | 'valves.restoring', codes: string[]): HTMLElement | null => (codes.length ? h('p', {class: 'note'}, tell(phrase, {codes: codes.join('、')})) : null);
  return h('div', {class: 'told', 'data-testid': 'isolation'},
    h('p', {class: 'headline', 'data-testid': 'closing'}, closing ? tell('close.n', {n: closing}) : tell('close.none'), drains ? h('span', {class: 'badge'}, tell('close.drains', {n: drains})) : null, customers === null ? null : h('span', {'data-testid': 'customers'}, tell('users', {n: number(customers)}))),
    hidden_closing > 0 && h('p', {class: 'note'}, tell('close.hidden', {n: hidden_closing})),
    h('ol', {class: 'valves', 'data-testid': 'valves'}, ...valves.features.map((valve, i) => valveRow(app, work, valve, i, failed, start))),
    failed.length > 0 && h('p', {class: 'note'}, tell('valves.failed', {codes: failed.join('、')}), ' ', h('button', {class: 'link', type: 'button', onclick: () => void work.isolate(start, [])}, tell('valves.reset'))),
    said('valves.passed', valves.passed), said('valves.restoring', valves.restoring),
    h('h3', {}, tell('isolated')), sums(shut, ISOLATED, ''),
    cut_off.pipes + cut_off.hidden.pipes > 0 ? h('h3', {}, tell('cut_off')) : null,
    cut_off.pipes + cut_off.hidden.pipes > 0 ? sums(cut_off, CUT_OFF, '') : null,
    told.network.sources === 0 && h('p', {class: 'note', 'data-testid': 'no-source'}, tell('sources.none')),
    alternatives.length > 0 && h('h3', {}, tell('alternatives')),
    h('ul', {class: 'alternatives'}, ...alternatives.map((one) => h('li', {class: 'note'}, tell('alternative', {code: one.without ?? '—', n: one.closing, customers: one.isolated.customers === null ? tell('customers.hidden') : number(one.isolated.customers + (one.cut_off.customers ?? 0))})))),
    drawn(told.features.length, told.matched),
  );
}

function valveRow(app: App, work: PipeWork, {geometry, properties}: PipeFeature, i: number, failed: string[], start: {layer: string; code: string}): HTMLElement {
  const code = String(properties.code ?? '');
  const part = (['close', 'drain', 'closed'] as const).find((one) => one === properties.part) ?? 'bounds';
  const [lon, lat] = geometry.coordinates as Position;
  return h('li', {'data-testid': 'valve', 'data-code': code},
    h('button', {class: 'valve', type: 'button', onclick: () => app.goTo(lon, lat, 'pipe_points')}, h('span', {class: 'number'}, String(i + 1)), h('span', {class: 'code'}, code), h('span', {class: 'badge'}, tell(`valve.${part}`))),
    part === 'closed' ? null : h('button', {class: 'link', type: 'button', title: tell('valve.failedTitle', {code}), onclick: () => void work.isolate(start, [...failed, code])}, tell('valve.failed')),
  );
}

/** The figures of a part, and what of it belongs to others. */
function sums({pipes, points, length_m, customers, hidden}: Sums, colour: string, name: string): HTMLElement {
  const figure = (label: string, value: string): HTMLElement => h('div', {class: 'tile'}, h('strong', {}, value), h('span', {}, label));
  return h('div', {class: 'sums'},
    h('div', {class: 'tiles'},
      h('div', {class: 'tile line'}, mark('line', colour), h('span', {}, name)),
      figure(tell('length'), distance(Math.round(length_m))), figure(tell('pipes'), number(pipes)),
      customers === null ? figure(tell('points'), number(points)) : figure(tell('customers'), number(customers)),
    ),
    hidden.pipes + hidden.points > 0 && h('p', {class: 'note', 'data-testid': 'hidden'}, tell('hidden', {pipes: number(hidden.pipes), points: number(hidden.points)})),
  );
}

function drawn(n: number, all: number): HTMLElement | null {
  return n < all ? h('p', {class: 'note'}, tell('drawn', {n: number(n), all: number(all)})) : null;
}

/** A pipe class by its name in the catalogue. */
export function classOf(app: App, name: string): string {
  return pick(app.catalogue.field('pipe_segments', 'pipe_class')?.codes?.find((code) => code.value === name)?.label) || name;
}
