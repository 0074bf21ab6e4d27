// The report of an examined survey: a verdict, four counts, and every broken rule with its clause and how sure that is.
import {h, icon} from '../dom';
import {count, number} from '../format';
import {pick} from '../i18n';
import {remarks, type RuleCount, type Severity, type Survey} from './surveys';
import {tell, type Said} from './words';
import type {Desk} from './desk';
import type {Page} from './page';

const ORDER: readonly Severity[] = ['error', 'warning'];
/** Only of a norm's text can be said that it was verified. */
const NORM = /^(GB|CJJ|CJ)/;
/** How a rule's source begins that survey offices share without a norm. */
const COMMON = 'survey tool';

export function reportOf(page: Page, open: Survey): HTMLElement[] {
  const {points = 0, lines = 0, errors = 0, warnings = 0} = open.counts ?? {};
  const tile = (name: Said, value: number, kind = ''): HTMLElement => h('div', {class: `tile ${kind}`, 'data-testid': name}, h('strong', {}, count(value)), h('span', {}, tell(name)));
  return [
    verdict(open, errors, warnings),
    h('div', {class: 'tiles'}, tile('count.points', points), tile('count.lines', lines), tile('count.errors', errors, errors ? 'error' : ''), tile('count.warnings', warnings, warnings ? 'warning' : '')),
    h('div', {class: 'actions'}, h('a', {class: 'link', href: remarks(open.id), download: '', 'data-testid': 'remarks'}, icon('download'), tell('remarks')), errors > 0 && h('button', {class: 'link', type: 'button', 'data-testid': 'mend', onclick: () => page.desk.offer(true)}, icon('upload'), tell('mend'))),
    ...(errors + warnings > 0 ? [rules(page, open)] : []),
    ...untried(open),
  ];
}

function verdict(open: Survey, errors: number, warnings: number): HTMLElement {
  const [kind, text] =
    open.state === 'published' ? ['good', tell('verdict.published', {n: open.version ?? '?'})]
    : errors ? ['bad', tell('verdict.errors', {n: number(errors)})]
    : warnings ? ['fair', tell('verdict.warnings', {n: number(warnings)})]
    : ['good', tell('verdict.clean')];
  const why = open.state !== 'published' && !errors && !open.publishable && open.why_not ? h('span', {class: 'note'}, pick(open.why_not)) : null;
  return h('div', {class: `verdict ${kind}`, role: 'status', 'data-testid': 'verdict'}, icon(kind === 'good' ? 'check' : 'alert'), h('div', {}, h('strong', {}, text), why));
}

/** What could not be tried, and what reading had to say: nothing is passed over in silence. */
function untried({skipped = {}, notes = []}: Survey): HTMLElement[] {
  const said = [...Object.entries(skipped).map(([rule, why]) => `${rule}: ${why}`), ...notes];
  return said.length ? [h('details', {class: 'untried', 'data-testid': 'untried'}, h('summary', {}, tell('untried', {n: said.length})), h('ul', {}, ...said.map((line) => h('li', {class: 'note'}, line))))] : [];
}

function rules(page: Page, open: Survey): HTMLElement {
  const {desk} = page;
  const list = h('div', {class: 'rules', 'data-testid': 'rules'});
  for (const severity of ORDER) {
    const group = (open.rules ?? []).filter((rule) => rule.severity === severity).sort((a, b) => b.count - a.count);
    if (group.length) list.append(h('h3', {class: severity}, h('span', {class: `sign ${severity}`}), tell(`rules.${severity}`)), h('ul', {}, ...group.map((rule) => h('li', {}, ruleButton(page, rule)))));
  }
  const all = h('button', {class: 'link', type: 'button', 'data-testid': 'rules-all', onclick: () => desk.choose(null, null)}, tell('rules.all'));
  return h('section', {}, h('div', {class: 'rules-head'}, h('h2', {}, tell('rules')), all), list);
}

/** Shows which rule the list of problems is limited to. */
export function mirrorRules(root: HTMLElement, {filter}: Desk): void {
  const all = root.querySelector<HTMLElement>('[data-testid="rules-all"]');
  if (all) all.hidden = !filter.rule;
  for (const button of root.querySelectorAll<HTMLElement>('button.rule')) {
    button.setAttribute('aria-pressed', String(button.dataset.rule === filter.rule && button.dataset.severity === filter.severity));
  }
}

function ruleButton({desk}: Page, rule: RuleCount): HTMLElement {
  const norm = NORM.test(rule.standard);
  const source = norm ? [rule.standard, rule.clause].filter(Boolean).join(' ') : tell(rule.standard.startsWith(COMMON) ? 'rule.common' : 'rule.own');
  const grade = rule.grade === 'M' ? tell('grade.M') : norm ? tell('grade.V') : '';
  const pressed = (): boolean => desk.filter.rule === rule.id && desk.filter.severity === rule.severity;
  return h('button', {class: 'rule', type: 'button', 'data-rule': rule.id, 'data-severity': rule.severity, 'data-testid': `rule-${rule.id}`, onclick: () => (pressed() ? desk.choose(null, null) : desk.choose(rule.id, rule.severity))},
    h('span', {class: 'id'}, rule.id),
    h('span', {class: 'what'}, h('span', {}, pick(rule.title)), h('span', {class: 'note'}, [source, grade].filter(Boolean).join(' · '))),
    h('strong', {}, count(rule.count)),
  );
}
