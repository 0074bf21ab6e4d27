// A drawing from the server across the lower half of the map: a section or a profile, to look at and to keep.
import {words} from '../api';
import {fill, h, icon} from '../dom';
import {tell} from './words';
import type {App} from '../app';

export class DrawingSheet {
  private readonly element = h('section', {id: 'sheet', class: 'sheet', hidden: true, tabindex: -1, 'data-testid': 'sheet'});
  private url = '';
  private again: (() => Promise<void>) | null = null;
  private left: HTMLElement | null = null;

  constructor(
    app: App,
    private readonly onClose: () => void,
  ) {
    document.body.append(this.element);
    this.element.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      this.close();
    });
    // A drawing has words in it, so another language is another drawing.
    app.store.on(['language'], () => void this.again?.());
  }

  /** How much of the map it covers, CSS pixels. */
  get height(): number {
    return this.element.offsetHeight;
  }

  /** Shows what `ask` brings. */
  async show(kind: 'section' | 'profile', ask: () => Promise<Blob>): Promise<void> {
    const head = (...more: (HTMLElement | null)[]): HTMLElement =>
      h('header', {class: 'panel-head'}, icon(kind), h('h2', {}, tell(`sheet.${kind}`)), ...more, h('button', {class: 'tool small', type: 'button', 'aria-label': tell('sheet.close'), 'data-testid': 'sheet-close', onclick: () => this.close()}, icon('close')));
    this.again = () => this.show(kind, ask);
    this.left ??= document.activeElement as HTMLElement | null;
    this.element.hidden = false;
    this.element.setAttribute('aria-label', tell(`sheet.${kind}`));
    fill(this.element, head(), h('p', {class: 'empty'}, tell('asking')));
    try {
      const drawing = await ask();
      URL.revokeObjectURL(this.url);
      this.url = URL.createObjectURL(drawing);
      const save = h('a', {class: 'link', href: this.url, download: `${kind}.svg`, 'data-testid': 'sheet-save'}, icon('download'), tell('sheet.save'));
      fill(this.element, head(save), h('img', {src: this.url, alt: tell(`sheet.${kind}`), 'data-testid': 'drawing'}));
      this.element.focus({preventScroll: true});
    } catch (error) {
      fill(this.element, head(), h('p', {class: 'trouble', role: 'alert'}, icon('alert'), words(error)));
    }
  }

  close(): void {
    this.element.hidden = true;
    this.again = null;
    this.left?.focus({preventScroll: true});
    this.left = null;
    this.onClose();
  }
}
