// The tools beside the map: underground, hexagons, zoom, north, tilt and the whole city.
import {fill, h, icon, type IconName} from './dom';
import {say, type Phrase} from './i18n';
import {switchHexagons} from './panel_hexagons';
import {placeNear} from './places';
import {inEachLanguage, type App} from './app';
import type {HexagonChoice} from './state';
import type {Camera} from './types';

const LOOKING_DOWN = 64;
const STREET = 16.6;

export function mapTools(root: HTMLElement, depth: HTMLElement, app: App): void {
  const below = new Below(app);
  let lastChoice: HexagonChoice | null = null;
  app.store.on(['hexagons'], ({hexagons}) => {
    if (hexagons) lastChoice = hexagons;
  });
  const flipHexagons = (): void => switchHexagons(app, !app.store.get().hexagons, lastChoice);
  const {map} = app.wall;
  const turn = (): void => {
    const needle = root.querySelector<SVGElement>('[data-testid="north-up"] svg');
    if (needle) needle.style.transform = `rotate(${-map.getBearing()}deg)`;
  };

  inEachLanguage(app, () => {
    root.setAttribute('aria-label', say('tools'));
    const underground = mode('underground', 'underground', 'underground-toggle', () => below.flip(), 'U');
    if (!below.able) {
      underground.setAttribute('disabled', '');
      underground.title = say('underground.none');
    }
    fill(
      root,
      underground,
      mode('hexagon', 'hexagons.short', 'hexagons-tool', flipHexagons, 'H'),
      h('div', {class: 'stack'},
        tool('plus', 'tools.zoomIn', 'zoom-in', () => app.wall.move({zoom: map.getZoom() + 1}, 300)),
        tool('minus', 'tools.zoomOut', 'zoom-out', () => app.wall.move({zoom: map.getZoom() - 1}, 300)),
        tool('north', 'tools.north', 'north-up', () => app.wall.move({bearing: 0}, 500)),
        tool('tilt', 'tools.tilt', 'tilt', () => app.wall.move({pitch: map.getPitch() > 5 ? 0 : 50}, 600)),
        tool('home', 'tools.home', 'home', () => app.fit(app.catalogue.city.bounds)),
      ),
    );
    mirror();
  });
  function mirror(): void {
    const {underground, hexagons} = app.store.get();
    root.querySelector('[data-testid="underground-toggle"]')!.setAttribute('aria-pressed', String(underground));
    root.querySelector('[data-testid="hexagons-tool"]')!.setAttribute('aria-pressed', String(Boolean(hexagons)));
    tellDepth(depth, app);
    turn();
  }
  app.store.on(['underground', 'hexagons'], mirror);
  map.on('rotate', turn);
  map.on('zoomend', () => tellDepth(depth, app));
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as Element).closest('input, select, textarea')) return;
    if (event.key === 'u' && below.able) below.flip();
    else if (event.key === 'h') flipHexagons();
    else if (event.key === 'Escape') app.selection.clear();
    else if (event.key === '/') {
      event.preventDefault();
      document.querySelector<HTMLElement>('[data-testid="search-input"]')?.focus();
    }
  });
}

/** Looking below the ground: the camera leans over, hidden pipes are switched on, and all goes back as it was. */
class Below {
  private before: {camera: Camera; hexagons: HexagonChoice | false | null; flown: boolean} | null = null;

  constructor(private readonly app: App) {}

  private get layers(): string[] {
    return this.app.catalogue.layers.filter((layer) => layer.underground && this.app.scene.draws(layer.name)).map((layer) => layer.name);
  }

  get able(): boolean {
    return this.layers.length > 0;
  }

  flip(): void {
    const {app} = this;
    const state = app.store.get();
    if (state.underground) {
      app.store.set({underground: false, hexagons: this.before?.hexagons ?? state.hexagons});
      const {camera, flown} = this.before ?? {camera: {pitch: 45, zoom: 20}, flown: false};
      app.wall.move(flown ? camera : {pitch: camera.pitch, zoom: Math.min(app.wall.camera().zoom, camera.zoom)});
      this.before = null;
      return;
    }
    const camera = app.wall.camera();
    this.before = {camera, hexagons: state.hexagons, flown: false};
    const on = this.layers.some((name) => app.catalogue.isOn(state, name));
    const switched = on ? state.switched : {...state.switched, ...Object.fromEntries(this.layers.map((name) => [name, true]))};
    app.store.set({underground: true, hexagons: false, switched});
    void this.lean(camera);
  }

  /** Leans the camera over, and from far away brings it to where something lies below. */
  private async lean(camera: Camera): Promise<void> {
    const {app} = this;
    const zoom = STREET + Math.log2(app.factor());
    const to = {pitch: Math.max(camera.pitch, LOOKING_DOWN), zoom: Math.max(camera.zoom, zoom)};
    const layer = camera.zoom < zoom - 1 ? app.catalogue.layer(this.layers[0] ?? '') : undefined;
    // Without an answer the camera leans over where it is: the view is never worth an error.
    const place = layer ? await placeNear(layer, camera.longitude, camera.latitude).catch(() => null) : null;
    if (!app.store.get().underground) return;
    if (this.before) this.before.flown = place !== null;
    app.wall.move(place ? {...to, longitude: place[0], latitude: place[1]} : to, 1400);
  }
}

/** How far the depths are from true is always said where they are shown. */
function tellDepth(element: HTMLElement, app: App): void {
  const {underground} = app.store.get();
  const factor = app.scene.exaggeration;
  element.hidden = !underground || factor === null;
  if (element.hidden) return;
  const layers = app.catalogue.layers.filter((layer) => layer.underground);
  const from = Math.min(...layers.map((layer) => layer.min_zoom));
  const far = app.wall.map.getZoom() < from;
  fill(element, icon('depth'), h('strong', {'data-testid': 'exaggeration'}, say('underground.exaggeration', {n: factor!})), far && h('span', {}, say('underground.zoomIn', {z: from})));
}

function mode(picture: IconName, phrase: Phrase, testId: string, onclick: () => void, key: string): HTMLButtonElement {
  return h('button', {class: 'mode', type: 'button', 'aria-pressed': 'false', 'aria-keyshortcuts': key, 'data-testid': testId, onclick}, icon(picture), h('span', {}, say(phrase)));
}

function tool(picture: IconName, phrase: Phrase, testId: string, onclick: () => void): HTMLButtonElement {
  return h('button', {class: 'tool', type: 'button', 'aria-label': say(phrase), title: say(phrase), 'data-testid': testId, onclick}, icon(picture));
}
