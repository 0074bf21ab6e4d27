// Publishing: one button with the reason why not beneath it, a question with the difference, and what came of it.
import {words} from '../api';
import {fill, h, icon} from '../dom';
import {number} from '../format';
import {pick} from '../i18n';
import {ask, trouble} from './dialogs';
import {CHANGES, publish, type Difference, type Survey} from './surveys';
import {SIGN} from './colours';
import {tell} from './words';
import type {Page} from './page';

export function publishing(foot: HTMLElement, page: Page, open: Survey): void {
  if (open.state === 'published') {
    const box = open.bounds;
    const hash = box ? `#c=${((box[0] + box[2]) / 2).toFixed(5)},${((box[1] + box[3]) / 2).toFixed(5)},16,0,0&hex=off&on=pipe_segments,pipe_points` : '';
    fill(foot, h('a', {class: 'primary wide as-button', href: `/${hash}`, 'data-testid': 'see'}, tell('publish.see')));
    return;
  }
  const {errors = 0, warnings = 0} = open.counts ?? {};
  const said = h('div', {'aria-live': 'polite'});
  const may = open.publishable || (errors === 0 && warnings > 0);
  const button = h('button', {class: 'primary wide', type: 'button', disabled: !may, 'data-testid': 'publish', onclick: () => void go()}, tell('publish'));
  const why = !may && h('p', {class: 'note', 'data-testid': 'why-not'}, pick(open.why_not) || tell('verdict.errors', {n: number(errors)}));
  const go = async (): Promise<void> => {
    const accept = h('input', {type: 'checkbox', required: warnings > 0, 'data-testid': 'accept-warnings'});
    const more = [counts(open.difference), ...(warnings ? [h('label', {class: 'accept'}, accept, tell('publish.accept', {n: number(warnings)}))] : [])];
    const sure = await ask({title: tell('publish.title', {name: open.name}), text: tell('publish.what'), go: tell('publish.do'), more, ready: () => !warnings || accept.checked, testId: 'ask-publish'});
    if (!sure) return;
    button.disabled = true;
    fill(button, tell('publish.busy'));
    try {
      await publish(open.id, accept.checked);
      await page.desk.show(open.id);
      page.desk.say('versions');
    } catch (error) {
      fill(said, trouble(words(error)));
      button.disabled = false;
      fill(button, tell('publish'));
    }
  };
  fill(foot, why, said, button);
}

/** The four counts of a difference, each with its sign. */
export function counts(difference: Difference | null): HTMLElement {
  return h('ul', {class: 'changes', 'data-testid': 'change-counts'}, ...CHANGES.map((change) => h('li', {class: change, 'data-change': change}, h('span', {class: 'sign'}, SIGN[change]), h('strong', {}, number(difference?.[change] ?? 0)), h('span', {}, tell(`change.${change}`)))));
}

/** A sentence on success, for the list of versions. */
export function good(text: string): HTMLElement {
  return h('p', {class: 'good', role: 'status'}, icon('check'), text);
}
