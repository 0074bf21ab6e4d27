// The left panel: which survey is open, how far it has come, and what is to be done next.
import {words} from '../api';
import {fill, h, icon} from '../dom';
import {pick} from '../i18n';
import {ask, trouble} from './dialogs';
import {inEachLanguage, type Page} from './page';
import {publishing} from './publishing';
import {mirrorRules, reportOf} from './rule_report';
import {remove, type Survey} from './surveys';
import {uploadForm} from './upload_form';
import {tell, type Said} from './words';

export function leftPanel(root: HTMLElement, page: Page): void {
  const {desk} = page;
  const head = h('header', {class: 'panel-head'});
  const way = h('ol', {class: 'way', 'data-testid': 'way'});
  const body = h('div', {class: 'scroll'});
  const foot = h('div', {class: 'foot', hidden: true});
  root.setAttribute('aria-label', tell('surveys'));
  fill(root, head, way, body, foot);

  const draw = (): void => {
    const {open, uploading} = desk;
    drawHead(head, page);
    drawWay(way, uploading ? null : open);
    foot.hidden = true;
    if (uploading || (!open && !desk.surveys.length)) fill(body, uploadForm(page));
    else if (open) fill(body, ...states(page, open, foot));
    else fill(body, h('p', {class: 'empty'}, tell('none')));
    mirrorRules(body, desk);
  };
  inEachLanguage(page, draw);
  desk.on(['open', 'uploading'], draw);
  desk.on(['surveys'], () => drawHead(head, page));
  desk.on(['filter'], () => mirrorRules(body, desk));
  desk.on(['progress'], () => desk.open && drawProgress(body, desk.open));
}

function drawHead(head: HTMLElement, page: Page): void {
  const {desk} = page;
  const {open, surveys, uploading} = desk;
  const choose = h('select', {'aria-label': tell('surveys'), 'data-testid': 'survey-choice', onchange: () => void desk.show(choose.value)},
    ...(open && !uploading ? [] : [h('option', {value: '', selected: true, disabled: true}, tell('new'))]),
    ...surveys.map((survey) => h('option', {value: survey.id, selected: !uploading && survey.id === open?.id}, `${survey.name} · ${tell(`state.${survey.state}`)}`)),
  );
  const back = uploading && open;
  fill(head,
    icon('layers'),
    surveys.length ? choose : h('h2', {}, tell('new')),
    surveys.length > 0 && (!uploading || open) && h('button', {class: 'toggle', type: 'button', 'data-testid': 'new-upload', onclick: () => desk.offer(!uploading)}, back ? tell('new.cancel') : tell('new')),
  );
}

/** How far it has come: four steps, told also to those who do not see the line. */
function drawWay(way: HTMLElement, open: Survey | null): void {
  const at = !open ? 0 : open.state === 'reading' || open.state === 'failed' ? 1 : open.state === 'published' ? 4 : open.publishable ? 3 : 1;
  const steps: Said[] = ['step.upload', 'step.check', 'step.compare', 'step.publish'];
  fill(way, ...steps.map((step, i) => h('li', {class: i < at ? 'done' : i === at ? 'now' : '', 'aria-current': i === at ? 'step' : null}, h('span', {class: 'dot'}, i < at ? icon('check') : String(i + 1)), h('span', {}, tell(step)))));
}

function states(page: Page, open: Survey, foot: HTMLElement): HTMLElement[] {
  const facts = h('p', {class: 'note facts-line'}, [open.owner, filesOf(open), open.datum].filter(Boolean).join(' · '));
  const gone = h('button', {class: 'link quiet', type: 'button', 'data-testid': 'delete', onclick: () => void drop(page, open)}, icon('trash'), tell('delete'));
  if (open.state === 'reading') return [h('div', {class: 'body'}, facts, progressOf(open))];
  if (open.state === 'failed') {
    const again = h('button', {class: 'primary wide', type: 'button', onclick: () => page.desk.offer(true)}, tell('mend'));
    return [h('div', {class: 'body', 'data-testid': 'failed'}, facts, h('strong', {}, tell('failed')), trouble(pick(open.why_not) || pick(open.step)), again, gone)];
  }
  foot.hidden = false;
  publishing(foot, page, open);
  return [h('div', {class: 'body'}, facts, ...reportOf(page, open), gone)];
}

function progressOf(open: Survey): HTMLElement {
  const step = h('span', {}, pick(open.step));
  const share = h('span', {class: 'share'}, `${Math.round(open.progress * 100)}%`);
  return h('div', {class: 'progress', role: 'status', 'data-testid': 'progress'}, h('div', {class: 'line'}, step, share), h('progress', {max: 1, value: open.progress, 'aria-label': tell('state.reading')}));
}

function drawProgress(body: HTMLElement, open: Survey): void {
  const found = body.querySelector('.progress');
  if (!found) return;
  found.querySelector('.line span')!.textContent = pick(open.step);
  found.querySelector('.share')!.textContent = `${Math.round(open.progress * 100)}%`;
  found.querySelector('progress')!.value = open.progress;
}

async function drop(page: Page, open: Survey): Promise<void> {
  if (!(await ask({title: tell('delete'), text: tell('delete.sure', {name: open.name}), go: tell('delete'), testId: 'ask-delete'}))) return;
  try {
    await remove(open.id);
    await page.desk.refresh();
    await page.desk.show(page.desk.surveys.find((survey) => survey.id !== open.id)?.id ?? null);
  } catch (error) {
    document.querySelector('#left .body')?.prepend(trouble(words(error)));
  }
}

/** The files' names, however the server tells them. */
function filesOf({files}: Survey): string {
  const named = Array.isArray(files) ? files : files && typeof files === 'object' ? Object.values(files) : [];
  return named.map((file: unknown) => (typeof file === 'string' ? file : String((file as {name?: unknown} | null)?.name ?? ''))).filter(Boolean).join(' + ');
}
