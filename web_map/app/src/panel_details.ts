// The lower right panel: what is known of the selected feature or hexagon, in words, with its source and age.
import {serverNow} from './api';
import {fill, h, icon, mark} from './dom';
import {age, fieldValue, instant, number} from './format';
import {pick, say} from './i18n';
import {inEachLanguage, type App} from './app';
import {simulatedBadge} from './badges';
import {middle} from './places';
import type {Picked, PickedCell} from './selection';
import type {CatalogLayer} from './types';

/** What can be done with a feature, if anything: buttons below its name. */
export type Tools = (layer: string, properties: Record<string, unknown>) => HTMLElement | null;

export function detailsPanel(root: HTMLElement, app: App, tools: Tools): {redraw: () => void} {
  const redraw = (): void => draw(root, app, tools);
  inEachLanguage(app, redraw);
  return {redraw};
}

function draw(root: HTMLElement, app: App, tools: Tools): void {
  const {current} = app.selection;
  const close = h('button', {class: 'tool small', type: 'button', 'aria-label': say('details.close'), 'data-testid': 'details-close', onclick: () => app.selection.clear()}, icon('close'));
  root.setAttribute('aria-live', 'polite');
  fill(
    root,
    h('header', {class: 'panel-head'}, icon('target'), h('h2', {}, say('details')), current && close),
    !current && h('p', {class: 'empty'}, say('details.none')),
    current?.kind === 'cell' && cellDetails(app, current),
    current?.kind === 'feature' && featureDetails(app, current, tools),
  );
}

function cellDetails(app: App, {cell, value}: PickedCell): HTMLElement {
  const {answer} = app.hexagons;
  const unit = answer?.unit ?? '';
  return h(
    'div',
    {class: 'body', 'data-testid': 'details-cell'},
    h('div', {class: 'name'}, icon('hexagon'), h('div', {}, h('strong', {}, `${number(value)} ${unit}`.trim()), h('span', {class: 'kind'}, answer ? pick(answer.label) : ''))),
    h('dl', {class: 'facts'},
      h('dt', {}, say('hexagons.cell')), h('dd', {class: 'code'}, cell),
      h('dt', {}, say('hexagons.layer')), h('dd', {}, pick(answer && app.catalogue.layer(answer.layer)?.title), ' ', answer?.simulated && simulatedBadge()),
    ),
  );
}

function featureDetails(app: App, picked: Picked, tools: Tools): HTMLElement | null {
  const layer = app.catalogue.layer(picked.layer);
  if (!layer) return null;
  const properties = picked.item?.properties ?? {};
  const title = String((layer.name_field && properties[layer.name_field]) || properties[layer.key] || picked.id);
  const row = layer.legend.find((entry) => entry.field && String(properties[entry.field]) === entry.value) ?? layer.legend[0];
  const place = picked.item?.geometry ? middle(picked.item.geometry) : null;
  return h(
    'div',
    {class: 'body', 'data-testid': 'details-feature', 'data-layer': layer.name, 'data-id': picked.id},
    h('div', {class: 'name'},
      row ? mark(row.mark, row.colour) : null,
      h('div', {}, h('strong', {'data-testid': 'details-title'}, title), h('span', {class: 'kind'}, pick(layer.title), properties.simulated === true && simulatedBadge())),
      place && h('button', {class: 'link', type: 'button', 'data-testid': 'details-fly', onclick: () => app.goTo(...place, layer.name)}, icon('target'), say('details.flyTo')),
    ),
    picked.loading && h('p', {class: 'empty'}, say('details.loading')),
    picked.error && h('p', {class: 'trouble', role: 'alert'}, icon('alert'), say('error.details', {why: picked.error()})),
    picked.item && tools(layer.name, properties),
    picked.item && facts(app, layer, properties),
  );
}

const MOST_SHOWN_EMPTY = 16;

function facts(app: App, layer: CatalogLayer, properties: Record<string, unknown>): HTMLElement {
  const zone = app.catalogue.city.time_zone;
  const list = h('dl', {class: 'facts', 'data-testid': 'details-facts'});
  for (const field of layer.fields) {
    if (!(field.name in properties)) continue;
    const value = properties[field.name];
    // A register of forty columns is not read for the thirty that are empty.
    if (layer.fields.length > MOST_SHOWN_EMPTY && (value === null || value === '')) continue;
    const code = field.codes?.find((entry) => entry.value === String(value));
    const swatch = code?.colour ? mark(layer.legend[0]?.mark ?? 'fill', code.colour) : null;
    list.append(h('dt', {}, pick(field.label), field.live ? h('span', {class: 'badge'}, say('details.live')) : null), h('dd', {'data-field': field.name}, swatch, fieldValue(value, field, zone)));
  }
  const updated = typeof properties.updated_at === 'string' ? properties.updated_at : null;
  list.append(h('dt', {}, say('details.updated')), h('dd', {}, ...(updated ? [instant(new Date(updated), zone), h('span', {class: 'note'}, age(Date.parse(updated), serverNow()))] : [say('layer.noDate')])));
  const source = properties.source;
  const said = source && typeof source === 'object' ? String((source as {title?: unknown}).title ?? '') : source ? String(source) : layer.sources.map((s) => s.title).join('; ');
  if (said) list.append(h('dt', {}, say('details.source')), h('dd', {}, said));
  return list;
}
