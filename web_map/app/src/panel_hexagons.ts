// The upper right panel: which measure of which layer is summed by hexagon, and the scale that tells its colours.
import {fill, h, icon} from './dom';
import {distance, number} from './format';
import {alphaOf, cellWidth, firstChoice} from './hexagons';
import {pick, say} from './i18n';
import {css} from './palettes';
import {inEachLanguage, type App} from './app';
import {simulatedBadge} from './badges';
import type {HexagonChoice} from './state';

const LEVELS = [6, 7, 8, 9, 10];

export function hexagonsPanel(root: HTMLElement, app: App): {redraw: () => void} {
  const redraw = (): void => draw(root, app);
  inEachLanguage(app, redraw);
  app.catalogue.onChange(redraw);
  app.store.on(['hexagons', 'underground'], redraw);
  return {redraw};
}

/** Switches the hexagons on, with the last choice or the one to start with, or off. */
export function switchHexagons(app: App, on: boolean, last: HexagonChoice | null = null): void {
  app.store.set({hexagons: on ? (last ?? firstChoice(app.catalogue) ?? false) : false});
}

function draw(root: HTMLElement, app: App): void {
  const choice = app.store.get().hexagons || null;
  // The choices are rebuilt only when they differ: an open list must not close because an answer has come.
  const drawn = JSON.stringify([app.store.get().language, choice, app.catalogue.layers.map((layer) => layer.name)]);
  if (root.dataset.drawn === drawn) {
    root.querySelector<HTMLElement>('.busy')!.hidden = !app.hexagons.loading;
    const auto = root.querySelector('option[value="auto"]');
    if (auto) auto.textContent = say('hexagons.auto', {r: app.hexagons.resolution});
    if (choice) root.querySelector('[data-testid="hexagons-scale"]')?.replaceWith(scale(app, choice));
    return;
  }
  root.dataset.drawn = drawn;
  const focused = (document.activeElement as HTMLElement | null)?.dataset.testid;
  const able = firstChoice(app.catalogue) !== null;
  const toggle = h('button', {class: 'switch', type: 'button', role: 'switch', 'aria-checked': String(Boolean(choice)), 'aria-label': say('hexagons'), disabled: !able, 'data-testid': 'hexagons-toggle', onclick: () => switchHexagons(app, !choice)}, h('span', {class: 'knob'}));
  fill(
    root,
    h('header', {class: 'panel-head'}, icon('hexagon'), h('h2', {}, say('hexagons')), h('span', {class: 'busy', hidden: !app.hexagons.loading}, say('hexagons.loading')), toggle),
    choice ? h('div', {class: 'body'}, ...controls(app, choice), scale(app, choice)) : h('p', {class: 'empty'}, say(able ? 'hexagons.off' : 'hexagons.noMeasure')),
  );
  if (focused) root.querySelector<HTMLElement>(`[data-testid="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
}

function controls(app: App, choice: HexagonChoice): HTMLElement[] {
  const change = (patch: Partial<HexagonChoice>): void => app.store.set({hexagons: {...choice, ...patch}});
  const option = (value: string, text: string, now: string): HTMLOptionElement => h('option', {value, selected: value === now}, text);
  const groups = app.catalogue.groups().map((group) => {
    const layers = group.layers.filter((layer) => layer.measures.length);
    return layers.length ? h('optgroup', {label: pick(group.title)}, ...layers.map((layer) => option(layer.name, pick(layer.title), choice.layer))) : null;
  });
  const toLayer = (event: Event): void => {
    const layer = (event.target as HTMLSelectElement).value;
    const measures = app.catalogue.layer(layer)?.measures ?? [];
    const same = measures.find((measure) => measure.name === choice.measure) ?? measures.find((measure) => measure.name !== 'count') ?? measures[0];
    if (same) change({layer, measure: same.name});
  };
  const measures = app.catalogue.layer(choice.layer)?.measures ?? [];
  const level = choice.resolution === null ? 'auto' : String(choice.resolution);
  const levels = [...new Set([...LEVELS, ...(choice.resolution === null ? [] : [choice.resolution])])].sort((a, b) => a - b);
  const field = (phrase: 'hexagons.layer' | 'hexagons.measure' | 'hexagons.resolution', select: HTMLSelectElement): HTMLElement => h('label', {class: 'field'}, h('span', {}, say(phrase)), select);
  return [
    field('hexagons.layer', h('select', {'data-testid': 'hexagons-layer', onchange: toLayer}, ...groups)),
    field('hexagons.measure', h('select', {'data-testid': 'hexagons-measure', onchange: (event: Event) => change({measure: (event.target as HTMLSelectElement).value})}, ...measures.map((measure) => option(measure.name, measure.unit ? `${pick(measure.label)} (${measure.unit})` : pick(measure.label), choice.measure)))),
    h('div', {class: 'pair'},
      field('hexagons.resolution', h('select', {'data-testid': 'hexagons-resolution', onchange: (event: Event) => change({resolution: Number((event.target as HTMLSelectElement).value) || null})}, option('auto', say('hexagons.auto', {r: app.hexagons.resolution}), level), ...levels.map((r) => option(String(r), `H3 ${r} · ${distance(cellWidth(r))}`, level)))),
      h('button', {class: 'toggle', type: 'button', 'aria-pressed': String(choice.extruded), 'data-testid': 'hexagons-extruded', onclick: () => change({extruded: !choice.extruded})}, say('hexagons.extruded')),
    ),
  ];
}

function scale(app: App, {extruded}: HexagonChoice): HTMLElement {
  const {answer, classes} = app.hexagons;
  if (!answer || !classes) return h('div', {class: 'scale', 'data-testid': 'hexagons-scale'});
  if (!answer.cells.length) return h('p', {class: 'empty', 'data-testid': 'hexagons-scale'}, say('hexagons.none'));
  const steps = classes.colours.map((colour, i) => {
    const step = h('span', {class: 'step'});
    step.style.background = css(colour, alphaOf(i, classes, extruded));
    return step;
  });
  const edges = classes.edges.map((edge) => h('span', {}, number(edge)));
  const legend = classes.colours.map((_, i) => `${number(classes.edges[i]!)}–${number(classes.edges[i + 1]!)}`).join(', ');
  return h(
    'div',
    {class: 'scale', 'data-testid': 'hexagons-scale', role: 'img', 'aria-label': `${pick(answer.label)} ${answer.unit}: ${legend}`},
    h('div', {class: 'scale-head'}, h('strong', {}, pick(answer.label)), answer.unit && h('span', {class: 'unit'}, answer.unit), answer.simulated && simulatedBadge(), h('span', {class: 'how'}, say('hexagons.scale'))),
    h('div', {class: 'steps'}, ...steps),
    h('div', {class: 'edges'}, ...edges),
    h('p', {class: 'note'}, say('hexagons.cells', {n: number(answer.cells.length), r: answer.resolution, size: distance(cellWidth(answer.resolution))})),
  );
}
