// What is seen before the map stands: what is being read, and if that fails why, with a countdown to the next try.
import {ApiError, words} from './api';
import {fill, h, icon} from './dom';
import {say} from './i18n';
import {signIn} from './sign_in';

const FIRST_WAIT_S = 3;
const LONGEST_WAIT_S = 30;

export interface Curtain {
  /** Tries `work` until it succeeds; says each failure in words and offers to try at once, or to sign in. */
  until<T>(phrase: (why: string) => string, work: () => Promise<T>): Promise<T>;
  fail(why: string): void;
  lift(): void;
}

export function showCurtain(root: HTMLElement, notice: 'used' | null): Curtain {
  const loading = (): void => fill(root, h('div', {class: 'card'}, icon('brand'), h('p', {class: 'product'}, say('brand')), h('p', {class: 'note'}, say('loading'))));
  const trouble = (text: string, ...more: (Node | null)[]): void => fill(root, h('div', {class: 'card', role: 'alert'}, icon('alert'), h('p', {'data-testid': 'curtain-error'}, text), ...more));
  root.hidden = false;
  loading();

  /** Waits `seconds`, telling them down, or until the button is pressed. */
  const wait = (text: string, refused: boolean, seconds: number): Promise<void> =>
    new Promise((resolve) => {
      let left = seconds;
      const note = h('p', {class: 'note'}, say('retry.in', {n: left}));
      const timer = window.setInterval(() => {
        left -= 1;
        note.textContent = say('retry.in', {n: left});
        if (left <= 0) finish();
      }, 1000);
      const finish = (): void => {
        window.clearInterval(timer);
        loading();
        resolve();
      };
      if (refused) window.clearInterval(timer);
      trouble(text, refused ? signIn(null, null, notice).element : note, h('button', {class: 'primary', type: 'button', 'data-testid': 'retry', onclick: finish}, say('retry')));
    });

  return {
    async until(phrase, work) {
      for (let seconds = FIRST_WAIT_S; ; seconds = Math.min(LONGEST_WAIT_S, seconds * 2)) {
        try {
          return await work();
        } catch (error) {
          const refused = error instanceof ApiError && (error.status === 401 || error.status === 403);
          await wait(phrase(words(error)), refused, seconds);
        }
      }
    },
    fail: (why) => trouble(why, h('button', {class: 'primary', type: 'button', onclick: () => location.reload()}, say('retry'))),
    lift: () => {
      root.hidden = true;
      root.replaceChildren();
    },
  };
}
