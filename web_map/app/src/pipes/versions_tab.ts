// The versions that were published, the newest first, each one question away from standing again.
import {words} from '../api';
import {fill, h} from '../dom';
import {instant, number} from '../format';
import {ask, trouble} from './dialogs';
import {inEachLanguage, type Page} from './page';
import {good} from './publishing';
import {CHANGES, restore, versions, type Version} from './surveys';
import {tell, type Said} from './words';

/** The columns of words come first, then those of figures. */
const NAMES = 4;

export function versionsTab(root: HTMLElement, page: Page): void {
  const {desk, catalogue} = page;
  let listed: Version[] = [];
  let failed: unknown = null;
  let done: number | null = null;

  const read = async (): Promise<void> => {
    try {
      const owner = catalogue.viewer.owner ?? desk.open?.owner ?? null;
      listed = [...(await versions(owner))].sort((a, b) => b.number - a.number);
      failed = null;
    } catch (error) {
      failed = error;
    }
    draw();
  };
  const bring = async (version: Version): Promise<void> => {
    if (!(await ask({title: tell('versions.restore'), text: tell('versions.sure', {n: version.number}), go: tell('versions.restore'), testId: 'ask-restore'}))) return;
    try {
      done = (await restore(version.number, version.owner)).version;
      await read();
      if (desk.open) await desk.show(desk.open.id);
    } catch (error) {
      failed = error;
      draw();
    }
  };
  const draw = (): void => {
    if (failed) return fill(root, trouble(words(failed)));
    if (!listed.length) return fill(root, h('p', {class: 'empty'}, tell('versions.none')));
    const heads: Said[] = ['versions.number', 'versions.at', 'versions.by', 'owner', 'count.points', 'count.lines', ...CHANGES.map((change): Said => `change.${change}`)];
    fill(root,
      done !== null && good(tell('versions.restored', {n: done})),
      h('table', {class: 'rows', 'data-testid': 'versions'},
        h('thead', {}, h('tr', {}, ...heads.map((head, i) => h('th', {scope: 'col', class: i < NAMES ? '' : 'figure'}, tell(head))), h('th', {}))),
        h('tbody', {}, ...listed.map((version) =>
          h('tr', {'data-version': version.number, 'data-current': String(version.current)},
            h('td', {class: 'narrow'}, h('strong', {}, String(version.number)), version.current ? h('span', {class: 'badge'}, tell('versions.current')) : null),
            h('td', {class: 'narrow'}, instant(new Date(version.published_at), catalogue.city.time_zone)),
            h('td', {}, version.by),
            h('td', {}, version.owner),
            ...[version.points, version.lines, ...CHANGES.map((change) => version[change] ?? 0)].map((value) => h('td', {class: 'figure'}, number(value))),
            h('td', {class: 'narrow'}, version.current ? null : h('button', {class: 'toggle', type: 'button', 'data-testid': `restore-${version.number}`, onclick: () => void bring(version)}, tell('versions.restore'))),
          ),
        )),
      ),
    );
  };
  inEachLanguage(page, draw);
  desk.on(['open'], () => void read());
  desk.on(['versions'], () => void read());
  void read();
}
