// The dig check: how deep and what shape, then every pipe it would meet, whom to ask, and the sheet to print.
import {words} from '../api';
import {fill, h, icon, mark} from '../dom';
import {number} from '../format';
import {pick} from '../i18n';
import {classOf} from './answers_panel';
import {digSheet, type Dig, type DigPipe, type DigWish, type Position} from './doors';
import {tell} from './words';
import type {App} from '../app';
import type {Sketch} from './sketch';
import type {PipeWork} from './work';

const LISTED = 60;
/** What was last asked for is offered again. */
const last = {depth: '1.5', width: '1', purpose: ''};

export function digForm(work: PipeWork, sketch: Sketch): HTMLElement {
  const depth = h('input', {type: 'number', min: 0.1, max: 50, step: 0.1, value: last.depth, required: true, 'data-testid': 'dig-depth'});
  const width = h('input', {type: 'number', min: 0.1, max: 100, step: 0.1, value: last.width, required: true, 'data-testid': 'dig-width'});
  const purpose = h('input', {type: 'text', maxlength: 80, value: last.purpose, 'data-testid': 'dig-purpose'});
  const draw = async (closed: boolean): Promise<void> => {
    if (!form.reportValidity()) return;
    Object.assign(last, {depth: depth.value, width: width.value, purpose: purpose.value});
    const places = await sketch.draw(closed ? 'sketch.pit' : 'sketch.trench', closed);
    if (!places) return;
    const geometry: DigWish['geometry'] = closed ? {type: 'Polygon', coordinates: [[...places, places[0]!]]} : {type: 'LineString', coordinates: places};
    await work.dig({geometry, depth_m: Number(last.depth), width_m: Number(last.width), purpose: last.purpose.trim()});
  };
  const field = (label: string, control: HTMLElement, unit: string): HTMLElement => h('label', {class: 'field'}, h('span', {}, unit ? `${label} (${unit})` : label), control);
  const form = h('form', {class: 'dig-form', 'data-testid': 'dig-form', onsubmit: (event: SubmitEvent) => {
    event.preventDefault();
    void draw(true);
  }},
    h('div', {class: 'pair even'}, field(tell('dig.depth'), depth, 'm'), field(tell('dig.width'), width, 'm')),
    field(tell('dig.purpose'), purpose, ''),
    h('div', {class: 'pair even'}, h('button', {class: 'primary', type: 'submit', 'data-testid': 'dig-pit'}, tell('dig.pit')), h('button', {class: 'toggle', type: 'button', 'data-testid': 'dig-trench', onclick: () => void draw(false)}, tell('dig.trench'))),
  );
  return form;
}

export function digAnswer(app: App, wish: DigWish, told: Dig): HTMLElement {
  const said = h('div', {});
  const print = h('button', {class: 'link', type: 'button', 'data-testid': 'dig-pdf', onclick: () => void save()}, icon('download'), tell('dig.pdf'));
  const save = async (): Promise<void> => {
    print.disabled = true;
    fill(said, h('p', {class: 'note'}, tell('dig.pdfBusy')));
    try {
      const url = URL.createObjectURL(await digSheet(wish));
      h('a', {href: url, download: 'dig-check.pdf'}).click();
      fill(said);
      window.setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      fill(said, h('p', {class: 'trouble', role: 'alert'}, icon('alert'), words(error)));
    }
    print.disabled = false;
  };
  const {unseen} = told;
  return h('div', {class: 'told', 'data-testid': 'dig-answer'},
    h('p', {class: 'headline'}, told.met ? tell('dig.met', {n: told.met}) : tell('dig.none'), told.simulated ? h('span', {class: 'badge simulated'}, tell('simulated')) : null),
    h('p', {class: 'note'}, tell('dig.size', {depth: number(told.dig.depth_m), area: number(told.dig.area_m2)})),
    print, said,
    h('ul', {class: 'dig-pipes'}, ...told.pipes.slice(0, LISTED).map((pipe) => pipeRow(app, pipe))),
    unseen.count > 0 && h('p', {class: 'trouble'}, icon('alert'), tell('dig.unseen', {n: unseen.count, ask: pick(unseen.ask)})),
    told.owners.length > 0 && h('h3', {}, tell('dig.owners')),
    h('ul', {class: 'dig-owners'}, ...told.owners.map((owner) => h('li', {}, h('strong', {}, owner.name), h('span', {class: 'note'}, owner.classes.map((name) => classOf(app, name)).join('、'))))),
  );
}

function pipeRow(app: App, pipe: DigPipe): HTMLElement {
  const [lon, lat]: Position = pipe.at;
  const legend = app.catalogue.layer('pipe_segments')?.legend.find(({value}) => value === pipe.pipe_class);
  const where = pipe.verdict === 'met' ? tell('verdict.met') : pipe.verdict === 'below' ? tell('verdict.below', {m: pipe.under_m.toFixed(2)}) : tell('verdict.beside', {m: pipe.plan_m.toFixed(2)});
  return h('li', {},
    h('button', {class: `dig-pipe ${pipe.verdict}`, type: 'button', onclick: () => app.goTo(lon, lat, 'pipe_segments')},
      mark('line', legend?.colour ?? '#8ca0be'),
      h('span', {class: 'what'}, h('strong', {}, `${classOf(app, pipe.pipe_class)} ${pipe.size}`), h('span', {class: 'note'}, [pipe.owner, tell('cover', {m: pipe.crown_m.toFixed(2)})].filter(Boolean).join(' · '))),
      h('span', {class: `badge ${pipe.verdict}`}, where),
    ),
  );
}
