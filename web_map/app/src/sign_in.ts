// Who is looking: the role on the top bar, and behind it a quiet form for a token.
import {call, words} from './api';
import {fill, h, icon} from './dom';
import {instant} from './format';
import {say, sayRole} from './i18n';
import type {City, Viewer} from './types';

/** The button with the viewer's role and the form behind it. `city` is absent where the catalogue could not be read. */
export function signIn(viewer: Viewer | null, city: City | null, notice: 'used' | null): {element: HTMLElement; redraw: () => void} {
  const form = h('div', {id: 'session', class: 'popover', role: 'dialog', 'data-testid': 'session-form', hidden: notice === null});
  const button = h('button', {class: 'who', type: 'button', 'aria-haspopup': 'dialog', 'aria-controls': form.id, 'data-testid': 'viewer', onclick: () => open(Boolean(form.hidden))});
  const element = h('div', {class: 'session'}, button, form);
  const open = (on: boolean): void => {
    form.hidden = !on;
    button.setAttribute('aria-expanded', String(on));
    if (on) form.querySelector<HTMLElement>('input, button')?.focus();
    else notice = null;
  };
  element.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || form.hidden) return;
    open(false);
    button.focus();
  });
  document.addEventListener('pointerdown', (event) => {
    if (!form.hidden && !element.contains(event.target as Node)) open(false);
  });
  const redraw = (): void => {
    const signedIn = viewer !== null && viewer.role !== 'public';
    fill(button, icon('user'), h('span', {}, signedIn ? sayRole(viewer.role) : say('session.signIn')));
    button.setAttribute('aria-expanded', String(!form.hidden));
    form.setAttribute('aria-label', say('session.signIn'));
    fill(
      form,
      notice === 'used' && h('p', {class: 'trouble', role: 'alert', 'data-testid': 'link-used'}, icon('alert'), say('session.linkUsed')),
      viewer && h('p', {class: 'identity'}, h('span', {class: 'note'}, say('session.as')), h('strong', {}, [viewer.name, sayRole(viewer.role)].filter(Boolean).join(' · ')), ...scope(viewer, city)),
      tokenForm(),
      signedIn && h('button', {class: 'link', type: 'button', 'data-testid': 'sign-out', onclick: () => void leave()}, say('session.signOut')),
    );
  };
  redraw();
  return {element, redraw};
}

function scope(viewer: Viewer, city: City | null): HTMLElement[] {
  const said = [viewer.owner, viewer.area].filter((part): part is string => Boolean(part));
  if (viewer.expires_at) {
    said.push(say('session.expires', {at: instant(new Date(viewer.expires_at), city?.time_zone ?? 'UTC')}));
  }
  return said.map((text) => h('span', {class: 'note'}, text));
}

function tokenForm(): HTMLElement {
  const input = h('input', {type: 'password', name: 'token', required: true, autocomplete: 'off', 'aria-label': say('session.token'), placeholder: say('session.token'), 'data-testid': 'token-input'});
  const trouble = h('p', {class: 'trouble', role: 'alert', hidden: true, 'data-testid': 'token-error'});
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const token = input.value.trim();
    if (!token) return;
    try {
      await call('/api/session', {method: 'POST', body: {token}});
      enter();
    } catch (error) {
      fill(trouble, icon('alert'), words(error));
      trouble.hidden = false;
      input.select();
    }
  };
  return h('form', {onsubmit: submit}, h('p', {class: 'note'}, say('session.hint')), h('div', {class: 'pair'}, input, h('button', {class: 'primary', type: 'submit', 'data-testid': 'token-submit'}, say('session.signIn'))), trouble);
}

async function leave(): Promise<void> {
  await call('/api/session', {method: 'DELETE'});
  enter();
}

/** What a viewer may see differs in everything, so the page begins anew; the view is kept by the address. */
function enter(): void {
  history.replaceState(history.state, '', location.pathname + location.hash);
  location.reload();
}
