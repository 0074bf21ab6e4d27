// What the parts of the page share.
import type {Catalogue} from '../catalogue';
import type {Store} from '../state';
import type {WallMap} from '../wall_map';
import type {Desk} from './desk';
import type {SurveyMap} from './survey_map';

export interface Page {
  store: Store;
  catalogue: Catalogue;
  wall: WallMap;
  desk: Desk;
  map: SurveyMap;
  /** The factor on all sizes now in force. */
  factor: () => number;
}

/** Draws a part again whenever the language changes. */
export function inEachLanguage(page: Page, draw: () => void): void {
  draw();
  page.store.on(['language'], draw);
}
