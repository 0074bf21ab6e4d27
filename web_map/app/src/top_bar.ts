// The top bar: the city, the search, the connection, who is looking, the language, the size and the city's clock.
import {serverNow} from './api';
import {fill, h, icon} from './dom';
import {age, moment} from './format';
import {pick, say} from './i18n';
import {searchBox} from './search';
import {signIn} from './sign_in';
import {inEachLanguage, type App} from './app';
import type {Link} from './changes';

const STEP = 1.1;

export function topBar(root: HTMLElement, app: App, notice: 'used' | null): void {
  const {city, viewer} = app.catalogue;
  const brand = h('div', {class: 'brand'});
  const link = h('div', {class: 'connection', role: 'status', 'data-testid': 'connection'});
  const session = signIn(viewer, city, notice);
  const language = h('button', {class: 'tool', type: 'button', 'data-testid': 'language', onclick: () => app.store.set({language: app.store.get().language === 'zh' ? 'en' : 'zh'})});
  const resize = (by: number) => (): void => app.store.set({scale: Math.min(4, Math.max(0.7, Number((app.factor() * by).toFixed(2))))});
  const smaller = h('button', {class: 'tool', type: 'button', 'data-testid': 'scale-smaller', onclick: resize(1 / STEP)}, 'A−');
  const bigger = h('button', {class: 'tool', type: 'button', 'data-testid': 'scale-bigger', onclick: resize(STEP)}, 'A+');
  const time = h('span', {class: 'time'});
  const date = h('span', {class: 'date'});
  fill(root, brand, searchBox(app), h('div', {class: 'right'}, link, session.element, h('div', {class: 'set'}, language, smaller, bigger), h('div', {class: 'clock', 'data-testid': 'clock', title: city.time_zone}, date, time)));

  const tick = (): void => {
    const now = moment(new Date(serverNow()), city.time_zone);
    if (time.textContent !== now.time) time.textContent = now.time;
    if (date.textContent !== now.date) date.textContent = now.date;
    tellLink(link, app.changes.link);
  };
  inEachLanguage(app, () => {
    const {language: spoken} = app.store.get();
    document.documentElement.lang = spoken === 'zh' ? 'zh-CN' : 'en';
    document.title = `${pick(city.title)} · ${say('brand')}`;
    fill(brand, icon('brand'), h('span', {class: 'product'}, say('brand')), h('h1', {'data-testid': 'city'}, pick(city.title)), h('span', {class: 'tagline'}, say('tagline')));
    fill(language, spoken === 'zh' ? 'EN' : '中');
    language.setAttribute('aria-label', say('language.switch'));
    smaller.setAttribute('aria-label', say('scale.smaller'));
    bigger.setAttribute('aria-label', say('scale.bigger'));
    session.redraw();
    link.dataset.state = '';
    tick();
  });
  window.setInterval(tick, 500);
}

/** Says the connection's state in words and by a sign; `data-state` is for the style sheet and for tests. */
function tellLink(element: HTMLElement, {state, since}: Link): void {
  const text = state === 'lost' ? say('link.lost', {age: age(since, serverNow())}) : say(`link.${state}`);
  if (element.dataset.state !== state) {
    element.dataset.state = state;
    fill(element, icon(state === 'lost' ? 'lost' : 'live'), h('span', {}));
  }
  const label = element.querySelector('span')!;
  if (label.textContent !== text) label.textContent = text;
}
