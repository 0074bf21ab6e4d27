// The search box: find by name or code, choose with the keyboard, fly there and show it.
import {call, words} from './api';
import {fill, h, icon} from './dom';
import {pick, say} from './i18n';
import {report, settle} from './notices';
import type {App} from './app';
import type {SearchResult} from './types';

const LIMIT = 10;

export function searchBox(app: App): HTMLElement {
  const list = h('ul', {id: 'search-list', role: 'listbox', class: 'results', 'aria-label': say('search.results'), 'data-testid': 'search-results', hidden: true});
  const said = h('span', {class: 'unseen', role: 'status'});
  const input = h('input', {type: 'search', role: 'combobox', autocomplete: 'off', spellcheck: 'false', 'aria-autocomplete': 'list', 'aria-expanded': 'false', 'aria-controls': list.id, 'aria-label': say('search'), placeholder: say('search'), 'data-testid': 'search-input'});
  let results: SearchResult[] = [];
  let at = -1;
  let timer = 0;
  let running: AbortController | null = null;

  const show = (open: boolean): void => {
    list.hidden = !open;
    input.setAttribute('aria-expanded', String(open));
  };
  const mark = (index: number): void => {
    at = index;
    [...list.children].forEach((child, i) => child.setAttribute('aria-selected', String(i === at)));
    list.children[at]?.scrollIntoView({block: 'nearest'});
    if (at >= 0) input.setAttribute('aria-activedescendant', `search-${at}`);
    else input.removeAttribute('aria-activedescendant');
  };
  const choose = (result: SearchResult): void => {
    show(false);
    input.value = result.name || result.key || '';
    if (!app.catalogue.isOn(app.store.get(), result.layer)) app.store.set({switched: {...app.store.get().switched, [result.layer]: true}});
    const size = result.bounds ? Math.max(result.bounds[2] - result.bounds[0], result.bounds[3] - result.bounds[1]) : 0;
    if (result.bounds && size > 0.004) app.fit(result.bounds);
    else app.goTo(...result.center, result.layer);
    void app.selection.open(result.layer, String(result.id));
  };
  const draw = (query: string): void => {
    const rows = results.map((result, i) =>
      h('li', {id: `search-${i}`, role: 'option', 'data-testid': 'search-result', onclick: () => choose(result), onpointermove: () => mark(i)},
        h('span', {class: 'what'}, result.name || result.key || String(result.id)),
        h('span', {class: 'where'}, [pick(result.label), result.name && result.key ? result.key : ''].filter(Boolean).join(' · ')),
      ),
    );
    fill(list, ...(rows.length ? rows : [h('li', {class: 'empty'}, say('search.none', {q: query}))]));
    said.textContent = rows.length ? say('search.found', {n: rows.length}) : say('search.none', {q: query});
    show(true);
    mark(rows.length ? 0 : -1);
  };
  const ask = async (): Promise<void> => {
    const query = input.value.trim();
    running?.abort();
    if (!query) {
      results = [];
      show(false);
      return;
    }
    const mine = (running = new AbortController());
    try {
      const question = new URLSearchParams({q: query, limit: String(LIMIT)});
      const answer = await call<{results: SearchResult[]}>(`/api/search?${question}`, {signal: mine.signal});
      if (mine !== running) return;
      settle('search');
      results = answer.results;
      draw(query);
    } catch (error) {
      if (mine === running) report('search', () => say('error.search', {why: words(error)}));
    }
  };

  input.addEventListener('input', () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void ask(), 160);
  });
  input.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      if (!results.length) return;
      event.preventDefault();
      show(true);
      mark((at + (event.key === 'ArrowDown' ? 1 : results.length - 1)) % results.length);
    } else if (event.key === 'Enter') {
      const result = results[at];
      if (result && !list.hidden) choose(result);
    } else if (event.key === 'Escape') {
      if (list.hidden) input.value = '';
      show(false);
    }
  });
  input.addEventListener('focus', () => void (results.length && input.value && show(true)));
  const box = h('div', {class: 'search', role: 'search'}, icon('search'), input, h('kbd', {'aria-hidden': 'true'}, '/'), list, said);
  box.addEventListener('focusout', (event) => void (box.contains(event.relatedTarget as Node | null) || show(false)));
  // A press on a result must not take the focus from the box, which would close the list first.
  list.addEventListener('pointerdown', (event) => event.preventDefault());
  app.store.on(['language'], () => {
    input.placeholder = say('search');
    input.setAttribute('aria-label', say('search'));
    list.setAttribute('aria-label', say('search.results'));
    if (!list.hidden) draw(input.value.trim());
  });
  return box;
}
