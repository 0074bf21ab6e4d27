// When to ask again for tiles that could not be had: ever less often, and at once when the server is back.

const FIRST_WAIT_MS = 8_000;
const LONGEST_WAIT_MS = 60_000;

export class Retries {
  private readonly counts = new Map<string, number>();
  private readonly failed = new Set<string>();
  private readonly waiting = new Map<string, number>();

  /** `again` is called when it is time to ask for a layer's tiles; `able` says whether asking makes sense just now. */
  constructor(
    private readonly again: (layer: string) => void,
    private readonly able: () => boolean,
  ) {}

  /** How often a layer has been asked for again; a new number makes the drawn layer ask. */
  count(layer: string): number {
    return this.counts.get(layer) ?? 0;
  }

  /** A tile of this layer could not be had. */
  fail(layer: string): void {
    this.failed.add(layer);
    if (this.waiting.has(layer)) return;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.count(layer), 8));
    this.waiting.set(layer, window.setTimeout(() => {
      this.waiting.delete(layer);
      if (this.able()) this.ask(layer);
    }, wait));
  }

  /** Asks for all that failed, now. */
  now(): void {
    for (const layer of [...this.failed]) {
      window.clearTimeout(this.waiting.get(layer));
      this.waiting.delete(layer);
      this.ask(layer);
    }
  }

  private ask(layer: string): void {
    this.failed.delete(layer);
    this.counts.set(layer, this.count(layer) + 1);
    this.again(layer);
  }
}
