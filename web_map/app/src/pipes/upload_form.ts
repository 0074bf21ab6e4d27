// The form for new files: drop or choose one or two, say their datum, send them with a bar that moves.
import {words} from '../api';
import {fill, h, icon} from '../dom';
import {pick} from '../i18n';
import {trouble} from './dialogs';
import {upload} from './surveys';
import {tell} from './words';
import type {Page} from './page';

const MOST = 2;
const ACCEPT = '.xlsx,.xls,.csv,.txt,.dbf,.zip,.shp,.gpkg,.geojson,.json,.dxf,.mdb';
const ENCODINGS = ['utf-8', 'gb18030', 'gbk', 'big5'];
const OTHER = 'other';
const LINES = /(管线|线表|线|line|gx|segment)/i;
const POINTS = /(管点|点表|点|point|gd)/i;

export function uploadForm(page: Page): HTMLElement {
  const {desk} = page;
  let files: File[] = [];
  const input = h('input', {type: 'file', multiple: true, accept: ACCEPT, class: 'unseen', tabindex: -1, 'data-testid': 'survey-files', onchange: () => take([...(input.files ?? [])])});
  const choose = h('button', {class: 'toggle', type: 'button', 'data-testid': 'choose-files', onclick: () => input.click()}, tell('drop.choose'));
  const listed = h('ul', {class: 'files', 'data-testid': 'files'});
  const drop = h('div', {class: 'drop'}, icon('upload'), h('strong', {}, tell('drop')), h('span', {class: 'note'}, tell('drop.or')), choose, input);
  const typed = h('input', {type: 'text', maxlength: 200, 'aria-label': tell('datum.typed'), placeholder: tell('datum.example'), hidden: true, 'data-testid': 'datum-typed'});
  const datum = h('select', {'data-testid': 'datum', onchange: () => void (typed.hidden = datum.value !== OTHER)},
    ...desk.words.datums.map(({value, label}) => h('option', {value}, pick(label))),
    h('option', {value: ''}, tell('datum.none')),
    h('option', {value: OTHER}, tell('datum.other')),
  );
  const encoding = h('select', {'data-testid': 'encoding'}, h('option', {value: ''}, tell('encoding.auto')), ...ENCODINGS.map((value) => h('option', {value}, value.toUpperCase())));
  const name = h('input', {type: 'text', maxlength: 120, placeholder: tell('name.hint'), 'data-testid': 'survey-name'});
  const bound = page.catalogue.viewer.owner;
  const owner = h('input', {type: 'text', maxlength: 120, placeholder: tell('owner.hint'), required: !bound, 'data-testid': 'survey-owner'});
  const said = h('div', {class: 'said', 'aria-live': 'polite'});
  const bar = h('progress', {max: 1, value: 0, hidden: true});
  const send = h('button', {class: 'primary wide', type: 'submit', disabled: true, 'data-testid': 'send'}, tell('send.first'));

  const draw = (): void => {
    const rows = files.map((file, i) =>
      h('li', {},
        h('span', {class: 'badge'}, files.length === 1 ? tell('file.both') : tell(i ? 'file.lines' : 'file.points')),
        h('span', {class: 'file', title: file.name}, file.name),
        h('span', {class: 'note'}, size(file.size)),
        h('button', {class: 'tool small', type: 'button', 'aria-label': tell('file.remove', {name: file.name}), onclick: () => set(files.filter((one) => one !== file))}, icon('close')),
      ),
    );
    const swap = files.length === MOST && h('li', {class: 'swap'}, h('button', {class: 'link', type: 'button', onclick: () => set([...files].reverse())}, tell('file.swap')));
    fill(listed, ...rows, swap);
    send.disabled = files.length === 0;
    fill(send, files.length ? tell('send') : tell('send.first'));
  };
  const set = (next: File[]): void => {
    files = next;
    input.value = '';
    fill(said);
    draw();
  };
  const take = (given: File[]): void => {
    const together = [...files.filter((file) => !given.some((one) => one.name === file.name)), ...given];
    if (together.length > MOST) return fill(said, trouble(tell('drop.tooMany')));
    set(inOrder(together));
  };
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (!files.length || send.dataset.busy) return;
    send.dataset.busy = 'yes';
    send.disabled = true;
    bar.hidden = false;
    fill(said);
    try {
      const {id} = await upload(formOf(), (share) => {
        bar.value = share;
        fill(send, tell('send.busy', {share: `${Math.round(share * 100)}%`}));
      });
      await desk.refresh();
      await desk.show(id);
    } catch (error) {
      fill(said, trouble(words(error)));
    } finally {
      delete send.dataset.busy;
      bar.hidden = true;
      draw();
    }
  };
  const formOf = (): FormData => {
    const form = new FormData();
    form.append('points', files[0]!);
    if (files[1]) form.append('lines', files[1]);
    const system = datum.value === OTHER ? typed.value.trim() : datum.value;
    for (const [key, value] of [['datum', system], ['encoding', encoding.value], ['name', name.value.trim()], ['owner', bound ? '' : owner.value.trim()]] as const) if (value) form.append(key, value);
    return form;
  };

  const over = (event: DragEvent, on: boolean): void => {
    event.preventDefault();
    drop.classList.toggle('over', on);
  };
  drop.addEventListener('dragover', (event) => over(event, true));
  drop.addEventListener('dragleave', (event) => over(event, false));
  drop.addEventListener('drop', (event) => {
    over(event, false);
    take([...(event.dataTransfer?.files ?? [])]);
  });
  draw();
  return h('form', {class: 'upload body', 'data-testid': 'upload-form', onsubmit: submit},
    drop, listed,
    labelled(tell('datum'), datum), typed,
    h('div', {class: 'pair even'}, labelled(tell('name'), name), labelled(tell('encoding'), encoding)),
    bound ? null : labelled(tell('owner'), owner),
    said, bar, send,
    h('p', {class: 'note'}, tell('send.rules', {n: desk.words.rules})),
  );
}

function labelled(text: string, control: HTMLElement): HTMLElement {
  return h('label', {class: 'field'}, h('span', {}, text), control);
}

/** The points first, as far as names tell; the server looks into the tables anyway. */
export function inOrder<F extends {name: string}>(files: F[]): F[] {
  const [a, b] = files;
  if (!a || !b) return files;
  const linesFirst = (LINES.test(a.name) && !LINES.test(b.name)) || (POINTS.test(b.name) && !POINTS.test(a.name));
  return linesFirst ? [b, a] : [a, b];
}

function size(bytes: number): string {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
