// What publishing would change: counts, and the changed things one by one, a click away from their place.
import {words} from '../api';
import {fill, h} from '../dom';
import {fieldValue, number} from '../format';
import {pick} from '../i18n';
import {SIGN} from './colours';
import {trouble} from './dialogs';
import {inEachLanguage, type Page} from './page';
import {counts} from './publishing';
import {CHANGES, type Change, type Features} from './surveys';
import {tell} from './words';

const LISTED = 500;
type Changed = Features['features'][number];

export function differenceTab(root: HTMLElement, page: Page): void {
  const {desk, map} = page;
  const draw = (): void => {
    const {open} = desk;
    if (!open?.difference) return fill(root, h('p', {class: 'empty'}, tell('difference.wait')));
    const found = map.data.difference?.features ?? [];
    const total = CHANGES.reduce((sum, change) => sum + (open.difference?.[change] ?? 0), 0);
    fill(root,
      h('div', {class: 'difference-bar'}, counts(open.difference), h('p', {class: 'note'}, total ? tell('difference.scope') : tell('difference.none'))),
      map.failed.difference ? trouble(tell('error.read', {why: words(map.failed.difference)})) : null,
      found.length > 0 && h('table', {class: 'rows', 'data-testid': 'difference'},
        h('thead', {}, h('tr', {}, ...(['step.compare', 'difference.what', 'difference.code', 'difference.fields'] as const).map((head) => h('th', {scope: 'col'}, tell(head))))),
        h('tbody', {}, ...found.slice(0, LISTED).map((feature) => row(page, feature))),
      ),
      found.length > LISTED && h('p', {class: 'empty'}, tell('difference.more', {n: LISTED})),
    );
  };
  inEachLanguage(page, draw);
  desk.on(['open'], draw);
  map.onData(draw);
}

function row(page: Page, {geometry, properties}: Changed): HTMLElement {
  const change = properties.change as Change;
  const line = /Line/.test(geometry?.type ?? '');
  const fly = (): void => void (geometry && page.map.showShape(geometry));
  const table = line ? 'lines' : 'points';
  return h('tr', {tabindex: 0, 'data-change': change, onclick: fly, onkeydown: (event: KeyboardEvent) => void (event.key === 'Enter' && fly())},
    h('td', {class: `narrow change ${change}`}, h('span', {class: 'sign'}, SIGN[change] ?? ''), tell(`change.${change}`)),
    h('td', {class: 'narrow'}, tell(`what.${table}`)),
    h('td', {class: 'narrow code'}, String(properties.code ?? '')),
    h('td', {}, [typeof properties.moved_m === 'number' ? tell('difference.moved', {m: number(properties.moved_m)}) : '', ...fieldsOf(page, line ? 'pipe_segments' : 'pipe_points', properties)].filter(Boolean).join('；')),
  );
}

/** The fields that differ, each with what it was and what it becomes, codes by their names. */
function fieldsOf({catalogue}: Page, layer: string, {changes}: Record<string, unknown>): string[] {
  const told = Array.isArray(changes) ? (changes as {field: string; zh: string; en: string; before: unknown; after: unknown}[]) : [];
  return told.map(({field: name, zh, en, before, after}) => {
    const field = catalogue.field(layer, name);
    const said = (value: unknown): string => fieldValue(value, field, catalogue.city.time_zone);
    return `${pick({zh, en})} ${said(before)} → ${said(after)}`;
  });
}
