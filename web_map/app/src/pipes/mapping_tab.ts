// Which column is which field: as recognised, with how sure that is; corrected here, remembered, and examined anew.
import {words} from '../api';
import {fill, h} from '../dom';
import {pick} from '../i18n';
import {trouble} from './dialogs';
import {inEachLanguage, type Page} from './page';
import {remap, TABLES, type ColumnMapping, type Table} from './surveys';
import {tell} from './words';

type Chosen = Record<Table, Record<string, string | null>>;

export function mappingTab(root: HTMLElement, page: Page): void {
  const {desk} = page;
  const draw = (): void => {
    const {open} = desk;
    const mapping = open?.mapping;
    if (!open || !mapping || open.state === 'reading') return fill(root, h('p', {class: 'empty'}, tell('mapping.none')));
    const chosen: Chosen = {points: {}, lines: {}};
    const said = h('div', {class: 'said', 'aria-live': 'polite'});
    const save = h('input', {type: 'checkbox', checked: true, 'data-testid': 'mapping-save'});
    const apply = h('button', {class: 'primary', type: 'submit', disabled: true, 'data-testid': 'mapping-apply'}, tell('mapping.apply'));
    const change = (table: Table, column: string, field: string | null): void => {
      chosen[table][column] = field;
      const twice = TABLES.flatMap((one) => repeated(mapping[one], chosen[one]).map((name) => label(page, one, name)));
      fill(said, ...(twice.length ? [trouble(twice.map((name) => tell('mapping.twice', {name})).join(' '))] : []));
      apply.disabled = twice.length > 0;
    };
    const send = async (event: SubmitEvent): Promise<void> => {
      event.preventDefault();
      apply.disabled = true;
      try {
        await remap(open.id, chosen, save.checked);
        await desk.show(open.id);
      } catch (error) {
        fill(said, trouble(words(error)));
        apply.disabled = false;
      }
    };
    const scroll = root.scrollTop;
    fill(root, h('form', {class: 'mapping', 'data-testid': 'mapping', onsubmit: send},
      h('div', {class: 'mapping-bar'}, h('p', {class: 'note'}, tell('mapping.intro')), h('label', {class: 'accept'}, save, tell('mapping.save')), apply),
      said,
      h('div', {class: 'both'}, ...TABLES.map((table) => columns(page, table, mapping[table], (column, field) => change(table, column, field)))),
    ));
    root.scrollTop = scroll;
  };
  inEachLanguage(page, draw);
  desk.on(['open'], draw);
}

function columns(page: Page, table: Table, mapping: ColumnMapping | undefined, onChange: (column: string, field: string | null) => void): HTMLElement {
  const {title, fields} = page.desk.words.tables[table];
  const known = mapping?.columns ?? [];
  const missing = mapping?.missing ?? [];
  const rows = [...known.map(({column, field, confidence}) => ({column, field, confidence})), ...(mapping?.unused ?? []).map((column) => ({column, field: '', confidence: 0}))];
  const options = (chosen: string): HTMLElement[] => [
    h('option', {value: '', selected: chosen === ''}, tell('mapping.unused')),
    ...fields.map(({name, label: said, essential}) => h('option', {value: name, selected: name === chosen}, `${pick(said)}${essential ? ' *' : ''}`)),
  ];
  return h('section', {'data-testid': `mapping-${table}`},
    h('h3', {}, pick(title)),
    missing.length > 0 && h('p', {class: 'lacking'}, tell('mapping.missing', {names: missing.map((one) => pick({zh: one.zh, en: one.en}) + (one.essential ? ' *' : '')).join('、')})),
    h('table', {class: 'rows'},
      h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, tell('mapping.column')), h('th', {scope: 'col'}, tell('mapping.field')), h('th', {scope: 'col'}, tell('mapping.sure')))),
      h('tbody', {}, ...rows.map(({column, field, confidence}) => {
        const select = h('select', {'aria-label': column, 'data-column': column, onchange: () => onChange(column, select.value || null)}, ...options(field));
        return h('tr', {class: field ? '' : 'unused'}, h('td', {class: 'code'}, column), h('td', {}, select), h('td', {class: 'narrow'}, field ? h('span', {class: 'sure', title: `${Math.round(confidence * 100)}%`}, h('i', {style: `width:${Math.round(confidence * 100)}%`})) : null));
      })),
    ),
  );
}

/** Fields that two columns would be, after the corrections. */
function repeated(mapping: ColumnMapping | undefined, chosen: Record<string, string | null>): string[] {
  const now = new Map((mapping?.columns ?? []).map(({column, field}) => [column, field as string | null]));
  for (const [column, field] of Object.entries(chosen)) now.set(column, field);
  const named = [...now.values()].filter((field): field is string => Boolean(field));
  return [...new Set(named.filter((field, i) => named.indexOf(field) !== i))];
}

function label(page: Page, table: Table, name: string): string {
  return pick(page.desk.words.tables[table].fields.find((field) => field.name === name)?.label) || name;
}
