// The map itself: MapLibre with deck.gl between its layers, the camera, and the question "has everything been drawn?".
import maplibregl, {type StyleSpecification} from 'maplibre-gl';
import {MapLibreOverlay} from '@deck.gl/maplibre';
import type {Layer, PickingInfo} from '@deck.gl/core';
import {statusWords} from './api';
import {say} from './i18n';
import type {TilePlace} from './basemap';
import type {Box, Camera} from './types';

const FONTS = '"Noto Sans CJK SC","Source Han Sans SC","PingFang SC","Microsoft YaHei","Noto Sans SC",sans-serif';
/** How near, in pixels, a pointer must come to what it means. */
const PICK_PX = 5;
const calm = matchMedia('(prefers-reduced-motion: reduce)');

export interface Handlers {
  /** What lies under a click: of the scene, or null, and of the basemap, the uppermost first. */
  onClick: (info: PickingInfo | null, beneath: {source: string; id: number | string | undefined}[]) => void;
  onHover: (info: PickingInfo) => void;
  onError: (layer: string | null, error: unknown) => void;
  /** A tile of the basemap could not be had: which source, and why in words. */
  onBasemapError: (source: string, tile: TilePlace | null, why: () => string) => void;
  onBasemapTile: (source: string) => void;
}

interface BasemapError {
  error?: {status?: number; message?: string};
  sourceId?: string;
  tile?: {tileID?: {canonical: TilePlace}};
}

interface DeckInside {
  layerManager?: {getLayers(): Layer[]; needsUpdate(): unknown};
}

export class WallMap {
  readonly map: maplibregl.Map;
  private readonly overlay: MapLibreOverlay;

  constructor(container: HTMLElement, style: StyleSpecification, camera: Camera, private readonly handlers: Handlers) {
    this.map = new maplibregl.Map({
      container,
      style,
      center: [camera.longitude, camera.latitude],
      zoom: camera.zoom,
      pitch: camera.pitch,
      bearing: camera.bearing,
      maxPitch: 78,
      maxZoom: 20,
      minZoom: 3,
      attributionControl: false,
      localIdeographFontFamily: FONTS,
      canvasContextAttributes: {antialias: true},
      fadeDuration: calm.matches ? 0 : 200,
      locale: {'Map.Title': say('map')},
    });
    this.overlay = new MapLibreOverlay({
      interleaved: true,
      layers: [],
      pickingRadius: PICK_PX,
      onHover: handlers.onHover,
      onError: (error: Error, layer?: Layer) => handlers.onError(layer?.root?.id ?? null, error),
    });
    // MapLibre's own click: deck.gl's is lost where a slow graphics card makes the press last longer than a tap.
    this.map.on('click', ({point: {x, y}}) => {
      const beneath = this.map.queryRenderedFeatures([[x - PICK_PX, y - PICK_PX], [x + PICK_PX, y + PICK_PX]]);
      handlers.onClick(this.overlay.pickObject({x, y, radius: PICK_PX}), beneath.map(({source, id}) => ({source, id})));
    });
    this.map.on('error', (event) => this.basemapError(event as never));
    this.map.on('data', (event) => {
      const {dataType, tile, sourceId} = event as {dataType?: string; tile?: unknown; sourceId?: string};
      if (dataType === 'source' && tile && sourceId) handlers.onBasemapTile(sourceId);
    });
  }

  /** Resolves when the style stands and layers may be added. */
  async start(): Promise<void> {
    if (!this.map.isStyleLoaded()) await this.map.once('style.load');
    this.map.addControl(this.overlay);
  }

  draw(layers: Layer[]): void {
    this.overlay.setProps({layers});
  }

  camera(): Camera {
    const {lng, lat} = this.map.getCenter();
    return {longitude: lng, latitude: lat, zoom: this.map.getZoom(), pitch: this.map.getPitch(), bearing: this.map.getBearing()};
  }

  /** Metres per CSS pixel at the middle of the screen. */
  metresPerPixel(): number {
    const {latitude, zoom} = this.camera();
    return (78_271.517 * Math.cos((latitude * Math.PI) / 180)) / 2 ** zoom;
  }

  box(): Box {
    const bounds = this.map.getBounds();
    return [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
  }

  move(to: Partial<Camera>, milliseconds = 900): void {
    const {longitude, latitude, ...rest} = to;
    const center = longitude !== undefined && latitude !== undefined ? {center: [longitude, latitude] as [number, number]} : {};
    this.map.easeTo({...rest, ...center, duration: calm.matches ? 0 : milliseconds});
  }

  fly(to: Partial<Camera> & {longitude: number; latitude: number}): void {
    const {longitude, latitude, ...rest} = to;
    if (calm.matches) this.map.jumpTo({center: [longitude, latitude], ...rest});
    else this.map.flyTo({center: [longitude, latitude], ...rest, maxDuration: 2600});
  }

  /** Shows a box between the side panels. */
  fit([west, south, east, north]: Box, margin: {left: number; right: number; y: number}, maxZoom = 18): void {
    const found = this.map.cameraForBounds([west, south, east, north], {
      padding: {left: margin.left, right: margin.right, top: margin.y, bottom: margin.y},
      maxZoom,
      bearing: this.map.getBearing(),
    });
    if (!found?.center) return;
    const center = maplibregl.LngLat.convert(found.center);
    this.fly({longitude: center.lng, latitude: center.lat, zoom: found.zoom ?? maxZoom});
  }

  /** Whether the camera rests and every tile and layer in view is drawn. */
  settled(): boolean {
    const deck = (this.overlay as unknown as {_deck?: DeckInside})._deck;
    const manager = deck?.layerManager;
    if (!manager || manager.needsUpdate()) return false;
    return !this.map.isMoving() && this.map.loaded() && this.map.areTilesLoaded() && manager.getLayers().every((layer) => layer.isLoaded);
  }

  private basemapError(event: BasemapError): void {
    const {status = 0, message = ''} = event.error ?? {};
    if (/abort/i.test(message)) return;
    this.handlers.onBasemapError(event.sourceId ?? '', event.tile?.tileID?.canonical ?? null, () => (status || /fetch/i.test(message) ? statusWords(status) : message));
  }
}
