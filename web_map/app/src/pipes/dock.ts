// The dock below the map: four tabs, arrow keys between them, and a handle that gives the map its room.
import {fill, h, icon} from '../dom';
import {number} from '../format';
import {inEachLanguage, type Page} from './page';
import {differenceTab} from './difference_tab';
import {mappingTab} from './mapping_tab';
import {problemsTab} from './problems_tab';
import {versionsTab} from './versions_tab';
import {CHANGES, isExamined} from './surveys';
import {tell} from './words';
import type {Tab} from './desk';

const TABS: readonly Tab[] = ['problems', 'difference', 'mapping', 'versions'];

export function dock(root: HTMLElement, page: Page): void {
  const {desk} = page;
  const tabs = h('div', {class: 'tabs', role: 'tablist'});
  const fold = h('button', {class: 'tool small', type: 'button', 'data-testid': 'fold-dock', onclick: () => flip()}, icon('chevron'));
  const panes = Object.fromEntries(TABS.map((tab) => [tab, h('div', {id: `pane-${tab}`, class: 'pane', role: 'tabpanel', tabindex: -1, 'aria-labelledby': `tab-${tab}`, 'data-testid': `pane-${tab}`})])) as unknown as Record<Tab, HTMLElement>;
  fill(root, h('header', {}, tabs, fold), ...Object.values(panes));

  const flip = (on = !document.body.classList.contains('dock-folded')): void => {
    document.body.classList.toggle('dock-folded', on);
    fold.setAttribute('aria-expanded', String(!on));
    fold.setAttribute('aria-label', tell(on ? 'dock.show' : 'dock.hide'));
    page.wall.map.resize();
  };
  const counted = (tab: Tab): number | null => {
    if (!isExamined(desk.open)) return null;
    const {counts, difference} = desk.open;
    if (tab === 'problems' && counts) return counts.errors + counts.warnings;
    if (tab === 'difference' && difference) return CHANGES.reduce((sum, change) => sum + (difference[change] ?? 0), 0);
    return null;
  };
  const draw = (): void => {
    const focused = tabs.contains(document.activeElement);
    fill(tabs, ...TABS.map((tab) => {
      const n = counted(tab);
      const here = desk.tab === tab;
      return h('button', {id: `tab-${tab}`, type: 'button', role: 'tab', 'aria-selected': String(here), 'aria-controls': `pane-${tab}`, tabindex: here ? 0 : -1, 'data-testid': `tab-${tab}`, onclick: () => desk.turn(tab)}, tell(`tab.${tab}`), n === null ? null : h('span', {class: 'badge'}, number(n)));
    }));
    for (const tab of TABS) panes[tab].hidden = desk.tab !== tab;
    if (focused) document.getElementById(`tab-${desk.tab}`)?.focus();
    flip(document.body.classList.contains('dock-folded'));
  };
  tabs.addEventListener('keydown', (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step) return;
    event.preventDefault();
    desk.turn(TABS[(TABS.indexOf(desk.tab) + step + TABS.length) % TABS.length]!);
  });
  desk.on(['tab'], () => flip(false));
  // Without a survey there is nothing to list, and the map has the room.
  desk.on(['open', 'uploading'], () => flip(desk.uploading || desk.open === null));
  desk.on(['tab', 'open', 'uploading'], draw);
  problemsTab(panes.problems, page);
  mappingTab(panes.mapping, page);
  differenceTab(panes.difference, page);
  versionsTab(panes.versions, page);
  inEachLanguage(page, draw);
}
