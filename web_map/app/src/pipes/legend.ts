// The key upon the map: what each colour and sign means, and a switch for each sheet.
import {fill, h, icon, mark} from '../dom';
import {pick} from '../i18n';
import {CHANGE, css, SEVERITY, SIGN} from './colours';
import {inEachLanguage, type Page} from './page';
import {CHANGES, isExamined} from './surveys';
import {tell} from './words';
import type {Part} from './survey_map';

const PARTS: readonly Part[] = ['features', 'problems', 'difference', 'standing'];

export function legend(root: HTMLElement, page: Page): void {
  const {map, desk} = page;
  const draw = (): void => {
    const open = desk.uploading ? null : desk.open;
    const there = {features: isExamined(open), problems: isExamined(open), difference: Boolean(open?.difference), standing: true};
    root.setAttribute('aria-label', tell('key'));
    root.setAttribute('role', 'group');
    fill(root,
      h('div', {class: 'chips'},
        ...PARTS.filter((part) => there[part]).map((part) => h('button', {class: 'chip', type: 'button', role: 'switch', 'aria-checked': String(map.shown[part]), 'data-testid': `show-${part}`, onclick: () => map.show({[part]: !map.shown[part]})}, tell(`key.${part}`))),
        open?.bounds ? h('button', {class: 'chip plain', type: 'button', 'data-testid': 'fit', onclick: () => map.fit(open.bounds!)}, icon('home'), tell('key.fit')) : null,
      ),
      there.problems && map.shown.problems && h('ul', {class: 'signs'}, ...(['error', 'warning'] as const).map((severity) => h('li', {}, h('span', {class: `sign ${severity}`, style: `--sign:${css(SEVERITY[severity])}`}), tell(`severity.${severity}`)))),
      there.difference && map.shown.difference && h('ul', {class: 'signs'}, ...CHANGES.map((change) => h('li', {}, mark('line', css(CHANGE[change])), h('span', {class: 'sign-letter'}, SIGN[change]), tell(`change.${change}`)))),
      there.features && map.shown.features && !map.shown.difference && h('ul', {class: 'signs'}, ...classes(page)),
    );
  };
  inEachLanguage(page, draw);
  desk.on(['open', 'uploading'], draw);
  map.onData(draw);
}

/** The pipe classes that this survey has. */
function classes({catalogue, map}: Page): HTMLElement[] {
  const held = new Set(map.data.features?.features.map(({properties}) => String(properties.pipe_class)));
  const rows = catalogue.layer('pipe_segments')?.legend ?? [];
  return rows.filter(({value}) => value && held.has(value)).map(({label, colour}) => h('li', {}, mark('line', colour), pick(label)));
}
