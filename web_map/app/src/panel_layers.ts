// The left panel: every layer of the catalogue by group, with its switch, legend, age, count and settings.
import {serverNow} from './api';
import {fill, h, icon, mark} from './dom';
import {age, count, number} from './format';
import {pick, say} from './i18n';
import {inEachLanguage, type App} from './app';
import {simulatedBadge} from './badges';
import type {CatalogLayer, LegendRow} from './types';

const EXPORTS = [
  ['gpkg', 'GeoPackage'],
  ['geoparquet', 'GeoParquet'],
  ['csv', 'CSV'],
] as const;

export function layersPanel(root: HTMLElement, app: App): void {
  const open = new Set<string>();
  inEachLanguage(app, () => draw(root, app, open));
  const rows = (): string => JSON.stringify(app.catalogue.layers.map(({name, group, count: n, simulated}) => [name, group, n > 0, simulated > 0]));
  let drawn = rows();
  app.catalogue.onChange(() => {
    if (rows() === drawn) mirror(root, app);
    else draw(root, app, open);
    drawn = rows();
    tellAges(root, app);
  });
  app.store.on(['switched', 'muted', 'opacity'], () => mirror(root, app));
  app.wall.map.on('zoomend', () => mirror(root, app));
  window.setInterval(() => tellAges(root, app), 1000);
}

function draw(root: HTMLElement, app: App, open: Set<string>): void {
  const focused = (document.activeElement as HTMLElement | null)?.dataset.testid;
  const top = root.querySelector('.scroll')?.scrollTop ?? 0;
  const groups = app.catalogue.groups().map((group) => {
    const id = `group-${group.name}`;
    return h('section', {class: 'group', 'aria-labelledby': id}, h('h3', {id}, pick(group.title)), h('ul', {}, ...group.layers.map((layer) => row(app, layer, open))));
  });
  fill(
    root,
    h('header', {class: 'panel-head'}, icon('layers'), h('h2', {}, say('layers')), h('span', {class: 'summary', 'data-testid': 'layers-summary'})),
    h('div', {class: 'stale', role: 'status', 'data-testid': 'stale', hidden: true}),
    h('div', {class: 'scroll', tabindex: -1}, ...(groups.length ? groups : [h('p', {class: 'empty'}, say('layers.none'))])),
  );
  root.setAttribute('aria-label', say('layers'));
  root.querySelector('.scroll')!.scrollTop = top;
  if (focused) root.querySelector<HTMLElement>(`[data-testid="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
  mirror(root, app);
  tellAges(root, app);
}

function row(app: App, layer: CatalogLayer, open: Set<string>): HTMLElement {
  const name = pick(layer.title);
  const drawer = settings(app, layer);
  drawer.hidden = !open.has(layer.name);
  const more = h('button', {class: 'more', type: 'button', 'aria-label': say('layer.more', {name}), 'aria-expanded': String(!drawer.hidden), 'aria-controls': drawer.id, 'data-testid': `layer-more-${layer.name}`, onclick: toggle}, icon('chevron'));
  function toggle(): void {
    drawer.hidden = !drawer.hidden;
    more.setAttribute('aria-expanded', String(!drawer.hidden));
    if (drawer.hidden) open.delete(layer.name);
    else open.add(layer.name);
  }
  const flip = (): void => {
    const on = !app.catalogue.isOn(app.store.get(), layer.name);
    app.store.set({switched: {...app.store.get().switched, [layer.name]: on}});
  };
  return h(
    'li',
    {class: layer.count > 0 ? 'layer' : 'layer bare', 'data-layer': layer.name, 'data-testid': `layer-${layer.name}`},
    h('div', {class: 'row'},
      h('button', {class: 'switch', type: 'button', role: 'switch', 'aria-label': say('layer.show', {name}), 'data-testid': `layer-toggle-${layer.name}`, onclick: flip}, h('span', {class: 'knob'})),
      h('div', {class: 'names', onclick: flip},
        h('span', {class: 'title'}, ...marks(layer.legend), h('span', {}, name)),
        h('span', {class: 'sub'}, layer.simulated > 0 && simulatedBadge(), h('span', {class: 'age', 'data-testid': `layer-age-${layer.name}`}), h('span', {class: 'far'})),
      ),
      h('span', {class: 'count', title: say('layer.count', {n: number(layer.count)}), 'data-testid': `layer-count-${layer.name}`}, count(layer.count)),
      more,
    ),
    legend(app, layer),
    drawer,
  );
}

function marks(rows: LegendRow[]): Node[] {
  const single = rows.length === 1 ? rows[0] : undefined;
  return single ? [mark(single.mark, single.colour)] : [];
}

function legend(app: App, layer: CatalogLayer): HTMLElement | null {
  if (layer.legend.length < 2) return null;
  const chips = layer.legend.map((entry) => {
    const label = pick(entry.label);
    const value = entry.value;
    if (!entry.field || value === null || value === undefined) return h('li', {class: 'chip plain'}, mark(entry.mark, entry.colour), label);
    const flip = (): void => {
      const muted = new Set(app.store.get().muted[layer.name] ?? []);
      if (!muted.delete(value)) muted.add(value);
      const {[layer.name]: _, ...others} = app.store.get().muted;
      app.store.set({muted: muted.size ? {...others, [layer.name]: [...muted].sort()} : others});
    };
    return h('li', {}, h('button', {class: 'chip', type: 'button', role: 'switch', 'aria-label': say('legend.show', {name: label}), 'data-value': value, 'data-testid': `legend-${layer.name}-${value}`, onclick: flip}, mark(entry.mark, entry.colour), h('span', {}, label)));
  });
  return h('ul', {class: 'legend', 'data-testid': `legend-${layer.name}`}, ...chips);
}

function settings(app: App, layer: CatalogLayer): HTMLElement {
  const slide = (event: Event): void => {
    const value = Number((event.target as HTMLInputElement).value) / 100;
    const {[layer.name]: _, ...others} = app.store.get().opacity;
    app.store.set({opacity: value < 1 ? {...others, [layer.name]: value} : others});
  };
  const opacity = h('input', {type: 'range', min: 10, max: 100, step: 5, class: 'opacity', id: `opacity-${layer.name}`, 'data-testid': `layer-opacity-${layer.name}`, oninput: slide});
  const facts: HTMLElement[] = [];
  const tell = (term: string, ...said: (Node | string)[]): void => void facts.push(h('dt', {}, term), h('dd', {}, ...said));
  for (const source of layer.sources) {
    tell(say('layer.source'), source.title);
    if (source.licence) tell(say('layer.licence'), source.licence);
  }
  if (layer.simulated > 0) tell(say('simulated'), say('layer.simulatedShare', {n: number(layer.simulated)}), ' / ', number(layer.count));
  return h(
    'div',
    {class: 'drawer', id: `drawer-${layer.name}`},
    app.scene.draws(layer.name) && h('div', {class: 'slider'}, h('label', {for: opacity.id}, say('layer.opacity')), opacity),
    h('dl', {class: 'facts'}, ...facts),
    h('div', {class: 'actions'},
      layer.bounds && h('button', {class: 'link', type: 'button', 'data-testid': `layer-zoom-${layer.name}`, onclick: () => app.fit(layer.bounds!)}, icon('target'), say('layer.zoomTo')),
      h('span', {class: 'exports'}, say('layer.export'), ...EXPORTS.map(([format, title]) => h('a', {href: `/api/export/${encodeURIComponent(layer.name)}?format=${format}`, download: true}, title))),
    ),
  );
}

/** Brings switches, chips and sliders into line with the state, without rebuilding what may have the focus. */
function mirror(root: HTMLElement, app: App): void {
  const state = app.store.get();
  const zoom = app.wall.map.getZoom();
  let on = 0;
  for (const element of root.querySelectorAll<HTMLElement>('[data-layer]')) {
    const layer = app.catalogue.layer(element.dataset.layer!);
    if (!layer) continue;
    const shown = app.catalogue.isOn(state, layer.name);
    if (shown) on += 1;
    element.classList.toggle('on', shown);
    element.querySelector('.switch')!.setAttribute('aria-checked', String(shown));
    const far = shown && layer.count > 0 && zoom < layer.min_zoom - 0.01;
    element.classList.toggle('far-off', far);
    element.querySelector('.count')!.textContent = count(layer.count);
    element.querySelector('.far')!.textContent = far ? say('layer.fromZoom', {z: layer.min_zoom}) : '';
    const muted = new Set(state.muted[layer.name] ?? []);
    for (const chip of element.querySelectorAll<HTMLElement>('.chip[data-value]')) chip.setAttribute('aria-checked', String(!muted.has(chip.dataset.value!)));
    const slider = element.querySelector<HTMLInputElement>('.opacity');
    if (slider) slider.value = String(Math.round((state.opacity[layer.name] ?? 1) * 100));
  }
  const summary = root.querySelector('.summary');
  if (summary) summary.textContent = say('layers.on', {on, all: app.catalogue.layers.length});
}

function tellAges(root: HTMLElement, app: App): void {
  const now = serverNow();
  for (const element of root.querySelectorAll<HTMLElement>('[data-layer]')) {
    const layer = app.catalogue.layer(element.dataset.layer!);
    const target = element.querySelector('.age');
    if (!layer || !target) continue;
    const text = layer.count === 0 ? say('layer.empty') : layer.updated_at ? say('layer.updated', {age: age(Date.parse(layer.updated_at), now)}) : say('layer.noDate');
    if (target.textContent !== text) target.textContent = text;
  }
}
