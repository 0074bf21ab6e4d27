// The two side panels' handles: each panel folds away to give the map its room, and narrow screens begin folded.
import {fill, h, icon} from './dom';
import {say} from './i18n';
import {inEachLanguage, type App} from './app';

const NARROW_REM = 84;

export function sidePanels(left: HTMLElement, right: HTMLElement, app: App): void {
  const narrow = innerWidth / (16 * app.factor()) < NARROW_REM;
  handle(left, 'left', false, app);
  handle(right, 'right', narrow, app);
}

function handle(panel: HTMLElement, side: 'left' | 'right', folded: boolean, app: App): void {
  const button = h('button', {class: `handle ${side}`, type: 'button', 'aria-controls': panel.id, 'data-testid': `fold-${side}`, onclick: () => fold(!panel.classList.contains('folded'))});
  panel.after(button);
  const fold = (on: boolean): void => {
    panel.classList.toggle('folded', on);
    panel.inert = on;
    document.body.classList.toggle(`${side}-folded`, on);
    button.setAttribute('aria-expanded', String(!on));
    const phrase = side === 'left' ? (on ? 'layers.show' : 'layers.hide') : on ? 'panel.show' : 'panel.hide';
    button.setAttribute('aria-label', say(phrase));
    fill(button, icon((side === 'left') === on ? 'right' : 'left'));
  };
  fold(folded);
  inEachLanguage(app, () => fold(panel.classList.contains('folded')));
}

/** Opens a folded panel, as when it has something new to say. */
export function unfold(panel: HTMLElement): void {
  if (panel.classList.contains('folded')) document.querySelector<HTMLElement>(`[aria-controls="${panel.id}"].handle`)?.click();
}

/** How much of the screen each open panel covers, CSS pixels. */
export function covered(): {left: number; right: number} {
  const width = (id: string): number => {
    const panel = document.getElementById(id);
    return panel && !panel.classList.contains('folded') ? panel.offsetWidth : 0;
  };
  return {left: width('left'), right: width('right')};
}
