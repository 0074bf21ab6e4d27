// The utility's page starts here: who is looking and may they, then the desk, the map and the tables in step.
import 'maplibre-gl/dist/maplibre-gl.css';
import '../style/tokens.css';
import '../style/frame.css';
import '../style/panels.css';
import '../style/controls.css';
import '../style/desk.css';
import '../style/report.css';
import '../style/tables.css';
import {ApiError, call, words} from '../api';
import {Basemap, readStyle} from '../basemap';
import {Catalogue} from '../catalogue';
import {showCurtain} from '../curtain';
import {fill, h, icon} from '../dom';
import {say, sayRole, speak} from '../i18n';
import {onNotices, present, report} from '../notices';
import {Scene} from '../scene';
import {screenFactor} from '../sizes';
import {fromHash, keepInUrl, Store} from '../state';
import {WallMap} from '../wall_map';
import {Desk} from './desk';
import {dock} from './dock';
import {head} from './head';
import {leftPanel} from './left_panel';
import {legend} from './legend';
import {readWords, type Words} from './surveys';
import {SurveyMap} from './survey_map';
import {tell} from './words';
import type {Camera, SceneJson} from '../types';

declare global {
  interface Window {
    chengtu: {map: WallMap['map'] | null; ready: Promise<void>; idle: () => Promise<void>};
  }
}

const STANDING = 'pipe_segments';
const FAINT = 0.4;
const el = (id: string): HTMLElement => document.getElementById(id)!;

async function start(): Promise<void> {
  const store = new Store({...fromHash(location.hash), hexagons: false, underground: false});
  speak(store.get().language);
  const factor = (): number => store.get().scale ?? screenFactor(innerWidth, innerHeight);
  const size = (): void => document.documentElement.style.setProperty('--factor', String(factor()));
  size();
  window.addEventListener('resize', size);
  store.on(['scale'], size);
  store.on(['language'], (state) => speak(state.language));

  const notice = location.search.includes('link=used') ? 'used' : null;
  const curtain = showCurtain(el('curtain'), notice);
  const catalogue = await curtain.until((why) => say('error.catalog', {why}), () => Catalogue.read());
  head(el('top'), store, catalogue, factor, notice);
  const known = await curtain.until((why) => tell('error.list', {why}), permitted);
  if (known instanceof ApiError) return refuse(store, catalogue, known);
  const scene = await curtain.until((why) => say('error.scene', {why}), async () => new Scene(await call<SceneJson>('/api/scenes/wall')));
  const style = await curtain.until((why) => say('error.style', {why}), () => readStyle(scene.json.mapStyle || '/api/styles/dark', factor()));

  let scheduled = 0;
  const redraw = (): void => {
    scheduled ||= requestAnimationFrame(() => {
      scheduled = 0;
      draw();
    });
  };
  const [longitude, latitude] = catalogue.city.center;
  const camera: Camera = store.get().camera ?? {longitude, latitude, zoom: catalogue.city.zoom + Math.log2(factor()), pitch: 0, bearing: 0};
  const desk = new Desk(known);
  const wall: WallMap = new WallMap(el('map'), style, camera, {
    onClick: (info) => map.pick(info),
    onHover: (info) => void (wall.map.getCanvas().style.cursor = info.object ? 'pointer' : ''),
    onError: (layer, error) => report(`drawing/${layer}`, () => say('error.drawing', {layer: layer ?? '', why: words(error)})),
    onBasemapError: (source, _tile, why) => report(`tiles/${source}`, () => say('status.tiles', {layer: source, why: why()})),
    onBasemapTile: () => undefined,
  });
  const map = new SurveyMap(wall, desk, catalogue, factor, redraw);
  const page = {store, catalogue, wall, desk, map, factor};
  const basemap = new Basemap(wall.map);

  function draw(): void {
    const switched = Object.fromEntries(catalogue.layers.map(({name}) => [name, name === STANDING && map.shown.standing]));
    const standing = scene.drawn({
      state: {...store.get(), switched, opacity: {[STANDING]: FAINT}},
      catalogue,
      factor: factor(),
      zoom: wall.map.getZoom() - Math.log2(factor()),
      hasBasemapLayer: (id) => basemap.has(id),
      hexagons: null,
      attempt: () => 0,
      onTileError: (layer, error) => report(`tiles/${layer}`, () => say('status.tiles', {layer, why: words(error)})),
      onTileLoad: () => undefined,
    });
    wall.draw([...standing, ...map.layers()]);
  }

  await wall.start();
  window.chengtu.map = wall.map;
  leftPanel(el('left'), page);
  legend(el('key'), page);
  dock(el('dock'), page);
  statusLine(el('status'), store);
  store.on(['scale'], redraw);
  wall.map.on('zoomend', redraw);
  wall.map.on('moveend', () => store.set({camera: wall.camera()}));
  new ResizeObserver(() => wall.map.resize()).observe(el('map'));
  keepInUrl(store, (state) => {
    store.set({...state, hexagons: false, underground: false});
    if (state.camera) wall.move(state.camera);
  });
  await desk.refresh();
  await desk.show(desk.surveys[0]?.id ?? null);
  draw();
  curtain.lift();

  window.chengtu.idle = async () => {
    for (let calm = 0; calm < 3; ) {
      await new Promise((next) => setTimeout(next, 60));
      calm = !scheduled && map.reading === 0 && wall.settled() ? calm + 1 : 0;
    }
  };
}

/** The words of surveys, or the refusal: who may not upload is told so, not asked to try again. */
async function permitted(): Promise<Words | ApiError> {
  try {
    return await readWords();
  } catch (error) {
    if (error instanceof ApiError && [401, 403, 404].includes(error.status)) return error;
    throw error;
  }
}

/** Says on the whole page why this is not for the one who looks, and what they may do instead. */
function refuse(store: Store, {viewer}: Catalogue, error: ApiError): void {
  const draw = (): void => {
    const why = error.status === 404 ? tell('missing') : viewer.role === 'public' ? tell('refused.public') : tell('refused.role', {role: sayRole(viewer.role)});
    const away = h('a', {class: 'primary as-button', href: '/'}, tell('wall'));
    const enter = viewer.role !== 'public' ? null : h('button', {class: 'primary', type: 'button', onclick: (event: Event) => {
      event.stopPropagation();
      document.querySelector<HTMLElement>('[data-testid="viewer"]')?.click();
    }}, say('session.signIn'));
    fill(el('curtain'), h('div', {class: 'card', role: 'alert', 'data-testid': 'refused'}, icon('user'), h('p', {class: 'product'}, tell('refused.title')), h('p', {}, why), h('div', {class: 'answers'}, enter, away)));
  };
  document.body.classList.add('refused');
  draw();
  store.on(['language'], draw);
}

function statusLine(root: HTMLElement, store: Store): void {
  const line = h('div', {class: 'words', role: 'status', 'aria-live': 'polite', 'data-testid': 'status'});
  const draw = (): void => {
    const newest = present().at(0);
    line.classList.toggle('trouble', Boolean(newest));
    fill(line, newest ? icon('alert') : null, h('span', {class: newest ? '' : 'calm'}, newest ? newest() : say('status.ready')));
  };
  fill(root, line, h('span', {class: 'datum'}, 'CJJ 61-2017 · GB 50289-2016 · GB 50014-2021'));
  onNotices(draw);
  draw();
  store.on(['language'], draw);
}

const ready = start();
window.chengtu = {map: null, ready, idle: () => ready};
ready.catch((error: unknown) => {
  console.error(error);
  showCurtain(el('curtain'), null).fail(/webgl/i.test(String(error)) ? say('error.webgl') : words(error));
});
