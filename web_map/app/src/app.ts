// What the panels share: the state, the catalogue, the map and the few things a panel may ask for.
import type {Basemap} from './basemap';
import type {Catalogue} from './catalogue';
import type {Changes} from './changes';
import type {HexagonView} from './hexagons';
import type {Scene} from './scene';
import type {Selection} from './selection';
import type {Store} from './state';
import type {WallMap} from './wall_map';
import type {Box} from './types';

export interface App {
  store: Store;
  catalogue: Catalogue;
  scene: Scene;
  wall: WallMap;
  basemap: Basemap;
  hexagons: HexagonView;
  selection: Selection;
  changes: Changes;
  /** The factor on all sizes now in force. */
  factor: () => number;
  /** Moves the camera so that a box is seen between the panels. */
  fit: (box: Box) => void;
  /** Moves the camera to a place, close enough to see the given layer. */
  goTo: (longitude: number, latitude: number, layer: string | null) => void;
}

/** Draws a panel again whenever the language changes. */
export function inEachLanguage(app: App, draw: () => void): void {
  draw();
  app.store.on(['language'], draw);
}
