// Every problem as a row: read page by page, a click flies there, a click on a dot comes back here.
import {words} from '../api';
import {fill, h, icon} from '../dom';
import {pick} from '../i18n';
import {trouble} from './dialogs';
import {inEachLanguage, type Page} from './page';
import {isExamined, problems, type Problem} from './surveys';
import {tell, type Said} from './words';

const PAGE = 200;
const NEAR_END_PX = 400;
const HEADS: readonly Said[] = ['problem.severity', 'problem.rule', 'problem.table', 'problem.row', 'problem.field', 'problem.message'];

export function problemsTab(root: HTMLElement, page: Page): void {
  const {desk} = page;
  let rows: Problem[] = [];
  let next: number | null = null;
  let from: number | null = null;
  let reading: AbortController | null = null;
  const bar = h('div', {class: 'filtered', hidden: true});
  const body = h('tbody', {'data-testid': 'problems'});
  const table = h('table', {class: 'rows'}, h('thead', {}, h('tr', {})), body);
  const said = h('div', {class: 'said'});
  fill(root, bar, table, said);

  const begin = (after: number | null = null): void => {
    reading?.abort();
    reading = null;
    rows = [];
    next = null;
    from = after;
    body.replaceChildren();
    fill(said);
    tellFilter();
    const {open} = desk;
    const found = isExamined(open) && open.counts ? open.counts.errors + open.counts.warnings : 0;
    table.hidden = found === 0;
    if (!isExamined(open)) fill(said, h('p', {class: 'empty'}, tell('problems.wait')));
    else if (table.hidden) fill(said, h('p', {class: 'empty'}, tell('problems.none')));
    else void more(after);
  };
  const more = async (after: number | null): Promise<void> => {
    const {open} = desk;
    if (!open || reading) return;
    const mine = (reading = new AbortController());
    fill(said, h('p', {class: 'empty'}, tell('problems.more')));
    try {
      const answer = await problems(open.id, desk.filter, after, PAGE, mine.signal);
      if (mine.signal.aborted) return;
      next = answer.next;
      rows.push(...answer.problems);
      body.append(...answer.problems.map((problem) => row(page, problem)));
      fill(said, rows.length === 0 && h('p', {class: 'empty'}, tell('problems.none')));
      mark(false);
    } catch (error) {
      if (!mine.signal.aborted) fill(said, trouble(tell('error.read', {why: words(error)})));
    } finally {
      if (reading === mine) reading = null;
    }
  };
  const tellFilter = (): void => {
    const {rule} = desk.filter;
    const known = desk.open?.rules?.find((one) => one.id === rule);
    bar.hidden = !rule && from === null;
    fill(bar,
      rule && h('span', {}, tell('problems.filtered', {rule: `${rule} ${pick(known?.title)}`})),
      h('button', {class: 'link', type: 'button', onclick: () => (rule ? desk.choose(null, null) : begin())}, rule ? tell('rules.all') : tell('problems.fromTop')),
    );
  };
  /** Marks the picked row; one that is not read yet becomes the first of a new reading. */
  const mark = (scroll: boolean): void => {
    const {picked} = desk;
    for (const element of body.querySelectorAll<HTMLElement>('[aria-selected="true"]')) element.setAttribute('aria-selected', 'false');
    if (!picked) return;
    const found = body.querySelector<HTMLElement>(`[data-n="${picked.n}"]`);
    found?.setAttribute('aria-selected', 'true');
    if (found && scroll) found.scrollIntoView({block: 'nearest'});
    else if (!found && scroll) begin(picked.n - 1);
  };
  root.addEventListener('scroll', () => {
    if (next !== null && root.scrollHeight - root.scrollTop - root.clientHeight < NEAR_END_PX) void more(next);
  });
  body.addEventListener('keydown', (event) => {
    const here = (event.target as HTMLElement).closest('tr');
    const to = event.key === 'ArrowDown' ? here?.nextElementSibling : event.key === 'ArrowUp' ? here?.previousElementSibling : null;
    if (to) {
      event.preventDefault();
      (to as HTMLElement).focus();
    } else if (event.key === 'Enter') here?.click();
  });
  desk.on(['open', 'filter'], () => begin());
  desk.on(['picked'], () => mark(true));
  inEachLanguage(page, () => {
    fill(table.querySelector('thead tr')!, ...HEADS.map((head) => h('th', {scope: 'col'}, tell(head))));
    begin(from);
  });
}

function row(page: Page, problem: Problem): HTMLElement {
  const {rule, severity, table, row: number, field, lon, lat} = problem;
  const known = page.desk.words.tables[table]?.fields.find((one) => one.name === field);
  const placed = lon !== null && lat !== null;
  const fly = (): void => {
    page.desk.pick(problem);
    if (placed) page.map.goTo(lon, lat);
  };
  return h('tr', {tabindex: 0, 'aria-selected': 'false', 'data-n': problem.n, 'data-rule': rule, 'data-testid': 'problem', title: placed ? tell('problem.fly') : tell('problem.noPlace'), onclick: fly},
    h('td', {class: 'narrow'}, h('span', {class: `sign ${severity}`}), tell(`severity.${severity}`)),
    h('td', {class: 'narrow code'}, rule),
    h('td', {class: 'narrow'}, tell(`file.${table}`)),
    h('td', {class: 'narrow figure'}, number === null ? tell('problem.whole') : String(number)),
    h('td', {class: 'narrow', title: field}, known ? pick(known.label) : field),
    h('td', {}, h('span', {class: 'with-place'}, pick(problem.message), placed ? icon('target') : null)),
  );
}
