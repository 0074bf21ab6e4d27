// Questions that must be answered before anything goes on: a modal dialog, its focus kept inside, Escape to leave.
import {h, icon} from '../dom';
import {tell} from './words';

interface Question {
  title: string;
  text: string;
  /** The words on the button that goes on. */
  go: string;
  /** What else stands in the dialog. */
  more?: HTMLElement[];
  /** Whether the button may be pressed, asked again at each input. */
  ready?: () => boolean;
  testId: string;
}

/** Asks; answers whether to go on. */
export function ask({title, text, go, more = [], ready = () => true, testId}: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const yes = h('button', {class: 'primary', type: 'submit', value: 'go', 'data-testid': `${testId}-go`}, go);
    const no = h('button', {class: 'toggle', type: 'submit', value: '', formnovalidate: true, 'data-testid': `${testId}-cancel`}, tell('cancel'));
    const form = h('form', {method: 'dialog'}, h('h2', {id: `${testId}-title`}, title), h('p', {}, text), ...more, h('div', {class: 'answers'}, no, yes));
    const dialog = h('dialog', {class: 'ask', 'aria-labelledby': `${testId}-title`, 'data-testid': testId}, form);
    const look = (): void => void (yes.disabled = !ready());
    form.addEventListener('input', look);
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'go');
    });
    document.body.append(dialog);
    look();
    dialog.showModal();
    (yes.disabled ? no : yes).focus();
  });
}

/** A refusal or failure, said where it happened. */
export function trouble(text: string): HTMLElement {
  return h('p', {class: 'trouble', role: 'alert', 'data-testid': 'trouble'}, icon('alert'), h('span', {}, text));
}
