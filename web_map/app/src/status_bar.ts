// The bottom line: what is wrong just now, and where the pointer, the zoom and the scale are.
import {fill, h, icon} from './dom';
import {distance, position, scaleBar} from './format';
import {say} from './i18n';
import {onNotices, present} from './notices';
import {inEachLanguage, type App} from './app';

const SCALE_PX = 110;

export function statusBar(root: HTMLElement, app: App): void {
  const words = h('div', {class: 'words', role: 'status', 'aria-live': 'polite', 'data-testid': 'status'});
  const place = h('span', {class: 'place', 'data-testid': 'coordinates'});
  const zoom = h('span', {class: 'zoom', 'data-testid': 'zoom'});
  const bar = h('span', {class: 'scale-line', 'data-testid': 'scale-bar'});
  const {city} = app.catalogue;
  const all = [...new Set([...city.attribution, ...app.catalogue.layers.flatMap((layer) => layer.sources.map((source) => source.attribution ?? ''))])].filter(Boolean);
  const sources = all.filter((one) => !all.some((other) => other !== one && other.includes(one)));
  fill(root, words, place, h('span', {class: 'datum'}, city.datum), zoom, bar, h('span', {class: 'attribution', title: sources.join('\n'), 'data-testid': 'attribution'}, sources.join(' · ')));

  const tell = (): void => tellNotices(words);
  onNotices(tell);
  inEachLanguage(app, tell);

  const {map} = app.wall;
  const measure = (): void => {
    zoom.textContent = say('status.zoom', {z: map.getZoom().toFixed(1)});
    const {metres, px} = scaleBar(app.wall.metresPerPixel(), SCALE_PX * app.factor());
    bar.style.width = `${px}px`;
    bar.textContent = distance(metres);
  };
  const locate = (longitude: number, latitude: number): void => {
    place.textContent = position(longitude, latitude);
  };
  map.on('move', measure);
  map.on('mousemove', (event) => locate(event.lngLat.lng, event.lngLat.lat));
  map.on('moveend', () => locate(map.getCenter().lng, map.getCenter().lat));
  inEachLanguage(app, measure);
  locate(map.getCenter().lng, map.getCenter().lat);
}

/** Shows the newest trouble; a click unfolds the others. */
function tellNotices(element: HTMLElement): void {
  const notices = [...new Set(present().map((notice) => notice()))];
  element.classList.toggle('trouble', notices.length > 0);
  const [newest, ...others] = notices;
  if (!newest) {
    fill(element, h('span', {class: 'calm'}, say('status.ready')));
    return;
  }
  const more = others.length
    ? h('details', {}, h('summary', {}, say('status.more', {n: others.length})), h('ul', {}, ...others.map((notice) => h('li', {}, notice))))
    : null;
  fill(element, icon('alert'), h('span', {}, newest), more);
}
