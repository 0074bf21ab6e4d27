// The wall starts here: read catalogue, scene and style, draw them, and keep map, panels and address in step.
import 'maplibre-gl/dist/maplibre-gl.css';
import './style/tokens.css';
import './style/frame.css';
import './style/panels.css';
import './style/controls.css';
import './style/pipe_tools.css';
import type {PickingInfo} from '@deck.gl/core';
import {ApiError, call, statusWords, words} from './api';
import {Basemap, readStyle} from './basemap';
import {Catalogue} from './catalogue';
import {Changes, type Link} from './changes';
import {showCurtain} from './curtain';
import {moment} from './format';
import {firstChoice, HexagonView} from './hexagons';
import {pick, say, speak} from './i18n';
import {report, settle} from './notices';
import {detailsPanel} from './panel_details';
import {hexagonsPanel} from './panel_hexagons';
import {layersPanel} from './panel_layers';
import {PipeBench} from './pipe_tools/bench';
import {Retries} from './retries';
import {dotFactor, HEXAGONS, Scene} from './scene';
import {Selection} from './selection';
import {covered, sidePanels, unfold} from './side_panels';
import {screenFactor} from './sizes';
import {fromHash, keepInUrl, Store, type State} from './state';
import {statusBar} from './status_bar';
import type {Depths} from './stretches';
import {showTip} from './tip';
import {mapTools} from './tools';
import {topBar} from './top_bar';
import {WallMap} from './wall_map';
import type {App} from './app';
import type {Camera, SceneJson} from './types';

declare global {
  interface Window {
    chengtu: {map: WallMap['map'] | null; ready: Promise<void>; idle: () => Promise<void>};
  }
}

const RECOUNT_MS = 4000;

interface Panel {
  redraw: () => void;
}

const el = (id: string): HTMLElement => document.getElementById(id)!;

async function start(): Promise<void> {
  const store = new Store(fromHash(location.hash));
  speak(store.get().language);
  const factor = (): number => store.get().scale ?? screenFactor(innerWidth, innerHeight);
  const size = (): void => document.documentElement.style.setProperty('--factor', String(factor()));
  size();
  window.addEventListener('resize', size);
  store.on(['scale'], size);
  store.on(['language'], (state) => speak(state.language));

  const curtain = showCurtain(el('curtain'), location.search.includes('link=used') ? 'used' : null);
  const catalogue = await curtain.until((why) => say('error.catalog', {why}), () => Catalogue.read());
  const scene = await curtain.until((why) => say('error.scene', {why}), async () => new Scene(await call<SceneJson>('/api/scenes/wall')));
  const style = await curtain.until((why) => say('error.style', {why}), () => readStyle(scene.json.mapStyle || '/api/styles/dark', factor()));
  if (scene.unknown.length) report('classes', () => say('error.unknownClass', {names: scene.unknown.join(', ')}));
  if (store.get().hexagons === null) store.set({hexagons: (scene.beginsWithHexagons && firstChoice(catalogue)) || false});

  let counting = 0;
  let scheduled = 0;
  const redraw = (): void => {
    scheduled ||= requestAnimationFrame(() => {
      scheduled = 0;
      draw();
    });
  };
  let panels: {hexagons: Panel; details: Panel} | null = null;
  let pipes: PipeBench | null = null;
  const hexagons = new HexagonView(catalogue, () => {
    redraw();
    panels?.hexagons.redraw();
    if (selection.current?.kind === 'cell') panels?.details.redraw();
  });
  const selection = new Selection(catalogue, () => {
    const {current} = selection;
    if (current) unfold(el('right'));
    store.set({selected: current?.kind === 'feature' && current.id ? {layer: current.layer, id: current.id} : null});
    redraw();
    panels?.details.redraw();
  });

  const wall = new WallMap(el('map'), style, firstCamera(store.get(), catalogue, scene, factor()), {
    onClick: (info, beneath) => {
      if (!pipes?.sketch.active) selection.pick(info, beneath, hexagons.answer?.values ?? []);
    },
    onHover: (info: PickingInfo) => showTip(el('tip'), app, info),
    onBasemapError: (source, tile, why) => {
      if (tile) basemap.miss(source, tile);
      tileTrouble(source, why);
    },
    onBasemapTile: tileArrived,
    onError: (layer, error) => report(`drawing/${layer}`, () => say('error.drawing', {layer: titleOf(layer), why: words(error)})),
  });
  const basemap = new Basemap(wall.map);
  const retries = new Retries((layer) => {
    basemap.retry(layer);
    redraw();
  }, () => changes.link.state !== 'lost');
  const changes = new Changes((change) => {
    catalogue.take(change);
    recount();
  }, tellLink, comeBack);
  const app: App = {store, catalogue, scene, wall, basemap, hexagons, selection, changes, factor, fit, goTo};

  function titleOf(layer: string | null): string {
    return layer === HEXAGONS ? say('hexagons') : pick(layer ? catalogue.layer(layer)?.title : null) || (layer || say('status.basemap'));
  }
  function tileTrouble(layer: string, why: () => string): void {
    report(`tiles/${layer}`, () => say('status.tiles', {layer: titleOf(layer), why: why()}));
    retries.fail(layer);
  }
  function tileArrived(layer: string): void {
    settle(`tiles/${layer}`);
  }
  /** Counts change with the rows; a burst of changes asks for them once. */
  function recount(): void {
    counting ||= window.setTimeout(() => {
      counting = 0;
      catalogue.refresh().catch((error: unknown) => console.warn(error));
    }, RECOUNT_MS);
  }
  function comeBack(): void {
    retries.now();
    catalogue.refresh().catch((error: unknown) => console.warn(error));
    hexagons.update(store.get(), view(), true);
  }
  function fit(box: Parameters<App['fit']>[0]): void {
    const {left, right} = covered();
    const y = 90 * factor();
    wall.fit(box, {left: left + y / 2, right: right + y / 2, y});
  }
  function goTo(longitude: number, latitude: number, layer: string | null): void {
    const near = Math.max(16.4, catalogue.layer(layer ?? '')?.min_zoom ?? 0) + Math.log2(factor());
    wall.fly({longitude, latitude, zoom: Math.max(wall.map.getZoom(), near)});
  }
  function view(): Parameters<HexagonView['update']>[1] {
    return {box: wall.box(), metresPerPixel: wall.metresPerPixel(), factor: factor()};
  }
  /** How the lines of a layer hang while we look below the ground; null where they lie on the plan. */
  function depths(layer: string | null): Depths | null {
    const props = store.get().underground && layer ? scene.json.layers.find((l) => l.id === layer && l['@@type'] === 'UndergroundLayer') : null;
    if (!props) return null;
    return {startDepth: 'start_depth_m', endDepth: 'end_depth_m', exaggeration: 6, ...props, lifted: true} as unknown as Depths;
  }
  function draw(): void {
    const state = store.get();
    for (const layer of catalogue.layers) if (basemap.draws(layer.name)) basemap.show(layer.name, catalogue.isOn(state, layer.name));
    basemap.dim(state.underground);
    const layers = scene.drawn({
      state,
      catalogue,
      factor: factor(),
      zoom: wall.map.getZoom() - Math.log2(factor()),
      hasBasemapLayer: (id) => basemap.has(id),
      hexagons: hexagons.props(state),
      attempt: (layer) => retries.count(layer),
      onTileError: (layer, error) => tileTrouble(layer, () => whyOf(error)),
      onTileLoad: tileArrived,
    });
    const picked = selection.current?.kind === 'feature' ? selection.current.layer : null;
    wall.draw([...layers, ...(pipes?.layers(factor(), depths('pipe_segments')) ?? []), ...selection.layers(factor(), depths(picked))]);
  }
  function tellLink(link: Link): void {
    const stale = document.querySelector<HTMLElement>('[data-testid="stale"]');
    if (!stale) return;
    stale.hidden = link.state !== 'lost';
    stale.textContent = link.state === 'lost' ? say('link.stale', {at: moment(new Date(link.since), catalogue.city.time_zone).time}) : '';
  }

  await wall.start();
  window.chengtu.map = wall.map;
  topBar(el('top'), app, location.search.includes('link=used') ? 'used' : null);
  layersPanel(el('left'), app);
  el('right').append(...['hexagons-panel', 'pipes-panel', 'details-panel'].map((id) => Object.assign(document.createElement('section'), {id})));
  const bench = (pipes = new PipeBench(el('pipes-panel'), app, redraw));
  panels = {hexagons: hexagonsPanel(el('hexagons-panel'), app), details: detailsPanel(el('details-panel'), app, (layer, properties) => bench.toolsFor(layer, properties))};
  sidePanels(el('left'), el('right'), app);
  mapTools(el('tools'), el('depth'), app);
  statusBar(el('status'), app);

  store.on(['switched', 'opacity', 'muted', 'underground', 'hexagons', 'scale'], redraw);
  store.on(['hexagons', 'scale'], (state) => hexagons.update(state, view()));
  store.on(['language'], () => tellLink(changes.link));
  catalogue.onChange((names) => {
    for (const name of names) basemap.renew(name, catalogue.layer(name)?.version ?? 0);
    const {hexagons: choice} = store.get();
    if (choice && names.includes(choice.layer)) hexagons.update(store.get(), view(), true);
    selection.renew(names);
    tellLink(changes.link);
    redraw();
  });
  let dots = 1;
  wall.map.on('zoomend', () => {
    const now = dotFactor(wall.map.getZoom() - Math.log2(factor()));
    if (now !== dots) redraw();
    dots = now;
  });
  wall.map.on('movestart', () => void (el('tip').hidden = true));
  wall.map.on('moveend', () => {
    store.set({camera: wall.camera()});
    hexagons.update(store.get(), view());
  });
  keepInUrl(store, (state) => {
    store.set({...state, hexagons: state.hexagons ?? store.get().hexagons});
    if (state.camera) wall.move(state.camera);
    if (state.selected) void selection.open(state.selected.layer, state.selected.id);
  });

  draw();
  hexagons.update(store.get(), view());
  const {selected} = store.get();
  if (selected) void selection.open(selected.layer, selected.id);
  changes.listen();
  curtain.lift();

  window.chengtu.idle = async () => {
    for (let calm = 0; calm < 3; ) {
      await new Promise((next) => setTimeout(next, 60));
      calm = !scheduled && !hexagons.busy && !bench.work.busy && wall.settled() ? calm + 1 : 0;
    }
  };
  await window.chengtu.idle();
}

/** The camera of the link, else the scene's, else the city's; a larger screen shows the same ground, not more of it. */
function firstCamera(state: State, catalogue: Catalogue, scene: Scene, factor: number): Camera {
  if (state.camera) return state.camera;
  const [longitude, latitude] = catalogue.city.center;
  const camera = {longitude, latitude, zoom: catalogue.city.zoom, pitch: 0, bearing: 0, ...scene.json.initialViewState};
  return {...camera, zoom: camera.zoom + Math.log2(factor)};
}

/** Why a tile could not be had. loaders.gl puts the status into the error's words, a lost server is a TypeError. */
function whyOf(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  const status = /\((\d{3})\)/.exec(String((error as Error)?.message ?? error))?.[1];
  if (status) return statusWords(Number(status));
  return error instanceof TypeError ? say('error.unreachable') : words(error);
}

const ready = start();
window.chengtu = {map: null, ready, idle: () => ready};
ready.catch((error: unknown) => {
  console.error(error);
  report('start', () => (/webgl/i.test(String(error)) ? say('error.webgl') : words(error)));
  showCurtain(el('curtain'), null).fail(words(error));
});
