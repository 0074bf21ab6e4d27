// Building elements by hand: one function for HTML, one for our own line icons, one for a legend's marks.
import type {Mark} from './types';

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | ((event: never) => void)>;

/** Makes an element. `on...` functions listen, `true` sets a bare attribute, `false`/`null` leaves it out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child): child is Node | string => Boolean(child)));
  return element;
}

/** Replaces an element's children. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...children.filter((child): child is Node | string => Boolean(child)));
}

const PATHS = {
  brand: 'M3 21V8h3v3h3V8h6v3h3V8h3v13h-7v-4a2 2 0 0 0-4 0v4z M3 4h18',
  layers: 'M12 3 2.5 8.2 12 13.4l9.5-5.2z M2.5 12.4 12 17.6l9.5-5.2 M2.5 16.4 12 21.6l9.5-5.2',
  hexagon: 'M12 2.6 20.2 7.3v9.4L12 21.4 3.8 16.7V7.3z',
  underground: 'M2 7h20 M5 7V3h5v4 M13 7V4.5h6V7 M3 12.5h8l4 6h6 M6 16.5v0 M17 11.5v0 M20 14.5v0',
  search: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z M15.4 15.4 21 21',
  close: 'M5 5l14 14 M19 5 5 19',
  plus: 'M12 4v16 M4 12h16',
  minus: 'M4 12h16',
  north: 'M12 2.5 17.5 21 12 17.2 6.5 21z',
  tilt: 'M7.5 6h9L22 18H2z M12 6v12 M4.6 12.5h14.8',
  home: 'M3.5 8.5V3.5h5 M15.5 3.5h5v5 M20.5 15.5v5h-5 M8.5 20.5h-5v-5 M9 12h6 M12 9v6',
  chevron: 'M6 9.5l6 6 6-6',
  left: 'M15 5l-7 7 7 7',
  right: 'M9 5l7 7-7 7',
  target: 'M12 6.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z M12 1.5v5 M12 17.5v5 M1.5 12h5 M17.5 12h5',
  user: 'M12 3.5a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4z M3.5 21c.8-4.3 4.2-6.3 8.5-6.3s7.7 2 8.5 6.3',
  live: 'M4.9 19.1a10 10 0 0 1 0-14.2 M19.1 4.9a10 10 0 0 1 0 14.2 M8 16a5.7 5.7 0 0 1 0-8 M16 8a5.7 5.7 0 0 1 0 8 M12 12v0',
  lost: 'M4.9 19.1a10 10 0 0 1-1.5-12 M19.1 4.9a10 10 0 0 1 1.5 12 M3 3l18 18',
  alert: 'M12 3 22 20.5H2z M12 9.5v5 M12 17.6v0',
  depth: 'M3 4h18 M8 8v11 M4.5 15.5 8 19l3.5-3.5 M15 9h6 M15 14h4 M15 19h2',
  upload: 'M12 16V4 M6.5 9.5 12 4l5.5 5.5 M4 15.5V20h16v-4.5',
  download: 'M12 4v12 M6.5 10.5 12 16l5.5-5.5 M4 15.5V20h16v-4.5',
  check: 'M4.5 12.5 10 18 20 6.5',
  valve: 'M3 7v10l9-5z M21 7v10l-9-5z M12 12V4 M8.5 4h7',
  upstream: 'M12 20V5 M6 10.5 12 4.5l6 6',
  downstream: 'M12 4v15 M6 13.5l6 6 6-6',
  connected: 'M5 12h14 M5 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z M19 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z',
  section: 'M3 5h18 M3 20h18 M8 10.5a2 2 0 1 0 0 4 2 2 0 0 0 0-4z M16 12.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z',
  profile: 'M3 6l6 3 6-1 6 3 M3 13l6 2.5 6 1.5 6 3',
  dig: 'M14 4l6 6 M17 7 8.5 15.5 M10.5 17.5 4 20l2.5-6.5z',
  history: 'M4 12a8 8 0 1 0 2.6-5.9 M4 4v4.5h4.5 M12 7.5V12l3.2 2',
  trash: 'M5 7h14 M9.5 7V4.5h5V7 M7 7l1 13h8l1-13',
} as const;

export type IconName = keyof typeof PATHS;

const SVG = 'http://www.w3.org/2000/svg';

/** One of our own line icons, as tall as the text's line; hidden from screen readers. */
export function icon(name: IconName): SVGSVGElement {
  return svg('icon', '0 0 24 24', [{tag: 'path', d: PATHS[name]}]);
}

/** A legend's mark: the colour and, for those who cannot tell colours, the shape of what is on the map. */
export function mark(kind: Mark, colour: string): SVGSVGElement {
  if (kind === 'line') return svg('mark', '0 0 20 16', [{tag: 'path', d: 'M2 12 8 5l5 5 5-6', fill: 'none', stroke: colour, 'stroke-width': '3'}]);
  if (kind === 'fill') {
    return svg('mark', '0 0 20 16', [{tag: 'rect', x: '3', y: '2.5', width: '14', height: '11', fill: colour, 'fill-opacity': '0.35', stroke: colour, 'stroke-width': '1.6'}]);
  }
  if (kind === 'extrusion') {
    return svg('mark', '0 0 20 16', [
      {tag: 'path', d: 'M4 6 10 3l6 3v6l-6 3-6-3z', fill: colour},
      {tag: 'path', d: 'M4 6l6 3 6-3-6-3z', fill: '#ffffff', 'fill-opacity': '0.35'},
      {tag: 'path', d: 'M10 9v6l6-3V6z', fill: '#000000', 'fill-opacity': '0.28'},
    ]);
  }
  return svg('mark', '0 0 20 16', [{tag: 'circle', cx: '10', cy: '8', r: '5', fill: colour, stroke: '#060a12', 'stroke-width': '1'}]);
}

function svg(className: string, viewBox: string, shapes: ({tag: string} & Record<string, string>)[]): SVGSVGElement {
  const root = document.createElementNS(SVG, 'svg');
  root.setAttribute('class', className);
  root.setAttribute('viewBox', viewBox);
  root.setAttribute('aria-hidden', 'true');
  for (const {tag, ...attributes} of shapes) {
    const shape = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
    root.append(shape);
  }
  return root;
}
