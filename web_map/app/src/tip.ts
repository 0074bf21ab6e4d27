// The few words beside the pointer that say what lies under it.
import type {PickingInfo} from '@deck.gl/core';
import {fill, h, mark} from './dom';
import {number} from './format';
import {pick} from './i18n';
import {HEXAGONS} from './scene';
import type {App} from './app';

export function showTip(element: HTMLElement, app: App, info: PickingInfo): void {
  const said = wordsFor(app, info);
  element.hidden = said === null;
  app.wall.map.getCanvas().style.cursor = said ? 'pointer' : '';
  if (!said) return;
  fill(element, ...said);
  const left = info.x > innerWidth - 320 * app.factor();
  element.style.transform = `translate(${Math.round(info.x)}px, ${Math.round(info.y)}px) translate(${left ? 'calc(-100% - 0.8rem)' : '0.8rem'}, 0.8rem)`;
}

function wordsFor(app: App, info: PickingInfo): Node[] | null {
  const name = info.layer?.root?.id ?? '';
  const {answer} = app.hexagons;
  if (name === HEXAGONS && answer && info.index >= 0) {
    const value = answer.values[info.index];
    return value === undefined ? null : [h('strong', {}, `${number(value)} ${answer.unit}`.trim()), h('span', {}, pick(answer.label))];
  }
  const layer = app.catalogue.layer(name);
  const properties = (info.object as {properties?: Record<string, unknown>} | null)?.properties;
  if (!layer || !properties) return null;
  const title = (layer.name_field && properties[layer.name_field]) || properties[layer.key] || '';
  const row = layer.legend.find((entry) => entry.field && String(properties[entry.field]) === entry.value) ?? layer.legend[0];
  const kind = row?.field ? `${pick(layer.title)} · ${pick(row.label)}` : pick(layer.title);
  return [...(title ? [h('strong', {}, String(title))] : []), h('span', {}, row ? mark(row.mark, row.colour) : '', kind)];
}
