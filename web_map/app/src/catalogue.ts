// The catalogue as the client uses it: look a layer up, ask whether it is on, take a change in.
import {call} from './api';
import type {Catalog, CatalogLayer, Change, City, Field, Measure} from './types';
import type {State} from './state';

type Listener = (changedLayers: string[]) => void;

export class Catalogue {
  private readonly listeners = new Set<Listener>();
  private byName = new Map<string, CatalogLayer>();

  private constructor(private data: Catalog) {
    this.index();
  }

  static async read(): Promise<Catalogue> {
    return new Catalogue(await call<Catalog>('/api/catalog'));
  }

  get city(): City {
    return this.data.city;
  }

  get viewer(): Catalog['viewer'] {
    return this.data.viewer;
  }

  get layers(): readonly CatalogLayer[] {
    return this.data.layers;
  }

  layer(name: string): CatalogLayer | undefined {
    return this.byName.get(name);
  }

  field(layer: string, name: string): Field | undefined {
    return this.byName.get(layer)?.fields.find((field) => field.name === name);
  }

  measure(layer: string, name: string): Measure | undefined {
    return this.byName.get(layer)?.measures.find((measure) => measure.name === name);
  }

  /** Groups in their order, each with its layers; layers of a group that is not listed come last. */
  groups(): {name: string; title: Catalog['groups'][number]['title']; layers: CatalogLayer[]}[] {
    const listed = this.data.groups.map((group) => ({...group, layers: this.data.layers.filter((l) => l.group === group.name)}));
    const known = new Set(this.data.groups.map((group) => group.name));
    for (const layer of this.data.layers) {
      if (known.has(layer.group)) continue;
      const group = listed.find((g) => g.name === layer.group);
      if (group) group.layers.push(layer);
      else listed.push({name: layer.group, title: {zh: layer.group, en: layer.group}, layers: [layer]});
    }
    return listed.filter((group) => group.layers.length > 0);
  }

  isOn(state: State, name: string): boolean {
    return state.switched[name] ?? this.byName.get(name)?.visible ?? false;
  }

  /** Calls `listener` with the names of the layers whose rows have changed. */
  onChange(listener: Listener): void {
    this.listeners.add(listener);
  }

  /** Takes in what the feed says of one layer: its tiles have a new version from now on. */
  take(change: Change): void {
    const layer = this.byName.get(change.layer);
    if (!layer || (layer.version === change.version && layer.updated_at === change.updated_at)) return;
    layer.version = change.version;
    layer.updated_at = change.updated_at ?? layer.updated_at;
    layer.tiles = withVersion(layer.tiles, change.version);
    this.tell([layer.name]);
  }

  /** Reads the catalogue again (counts change with the rows) and tells which layers are newer than what was held. */
  async refresh(): Promise<void> {
    const next = await call<Catalog>('/api/catalog');
    const before = new Map([...this.byName].map(([name, layer]) => [name, layer.version]));
    this.data = next;
    this.index();
    this.tell(next.layers.filter((layer) => before.get(layer.name) !== layer.version).map((layer) => layer.name));
  }

  private index(): void {
    this.byName = new Map(this.data.layers.map((layer) => [layer.name, layer]));
  }

  private tell(names: string[]): void {
    for (const listener of [...this.listeners]) listener(names);
  }
}

/** A tile address with another version, so that no cache answers for the old one. */
export function withVersion(tiles: string, version: number): string {
  if (/[?&]v=/.test(tiles)) return tiles.replace(/([?&]v=)[^&]*/, `$1${version}`);
  return `${tiles}${tiles.includes('?') ? '&' : '?'}v=${version}`;
}
