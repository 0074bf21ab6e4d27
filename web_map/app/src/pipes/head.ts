// The page's head: whose desk this is, the way back to the map wall, who is looking, the language and the size.
import {fill, h, icon} from '../dom';
import {pick, say} from '../i18n';
import {signIn} from '../sign_in';
import {tell} from './words';
import type {Catalogue} from '../catalogue';
import type {Store} from '../state';

const STEP = 1.1;

export function head(root: HTMLElement, store: Store, catalogue: Catalogue, factor: () => number, notice: 'used' | null): void {
  const {city, viewer} = catalogue;
  const session = signIn(viewer, city, notice);
  const draw = (): void => {
    const {language} = store.get();
    const resize = (by: number) => (): void => store.set({scale: Math.min(4, Math.max(0.7, Number((factor() * by).toFixed(2))))});
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
    document.title = `${tell('title')} · ${pick(city.title)} · ${say('brand')}`;
    session.redraw();
    fill(root,
      h('div', {class: 'brand'}, icon('brand'), h('span', {class: 'product'}, say('brand')), h('h1', {'data-testid': 'title'}, tell('title')), h('span', {class: 'tagline'}, tell('tagline'))),
      h('div', {class: 'right'},
        viewer.owner ? h('strong', {class: 'whose', 'data-testid': 'owner'}, viewer.owner) : null,
        h('a', {class: 'who', href: '/', 'data-testid': 'to-wall'}, icon('layers'), h('span', {}, `${tell('wall')} · ${pick(city.title)}`)),
        session.element,
        h('div', {class: 'set'},
          h('button', {class: 'tool', type: 'button', 'data-testid': 'language', 'aria-label': say('language.switch'), onclick: () => store.set({language: language === 'zh' ? 'en' : 'zh'})}, language === 'zh' ? 'EN' : '中'),
          h('button', {class: 'tool', type: 'button', 'aria-label': say('scale.smaller'), onclick: resize(1 / STEP)}, 'A−'),
          h('button', {class: 'tool', type: 'button', 'aria-label': say('scale.bigger'), onclick: resize(STEP)}, 'A+'),
        ),
      ),
    );
  };
  draw();
  store.on(['language'], draw);
}
