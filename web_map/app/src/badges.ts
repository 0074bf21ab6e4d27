// The badge that says data are made up: dashed, so that it is told apart without colour.
import {h} from './dom';
import {say} from './i18n';

export function simulatedBadge(): HTMLElement {
  return h('span', {class: 'badge simulated', title: say('simulated.title')}, say('simulated'));
}
