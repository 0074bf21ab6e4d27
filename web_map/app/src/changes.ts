// The feed of changes: listens, falls back and comes again, and never lets old data pass for new.
import {serverNow} from './api';
import type {Change} from './types';

export type Link = {state: 'live' | 'connecting' | 'lost'; since: number};

const LONGEST_WAIT_MS = 30_000;
/** The server speaks every 15 s. A cable that was pulled closes nothing: only silence tells that nobody is there. */
const LONGEST_SILENCE_MS = 45_000;
const LOOK_EVERY_MS = 5_000;

export class Changes {
  link: Link = {state: 'connecting', since: serverNow()};
  private source: EventSource | null = null;
  private tries = 0;
  private hasBeenLive = false;
  private heardAt = 0;

  constructor(
    private readonly onChanged: (change: Change) => void,
    private readonly onLink: (link: Link) => void,
    /** Called when the feed comes back: what was missed meanwhile must be asked for. */
    private readonly onReturn: () => void,
  ) {
    // A page that is put to sleep loses its feed; it asks again as soon as it is awake.
    window.addEventListener('online', () => this.listen());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.link.state === 'lost') this.listen();
    });
    window.setInterval(() => {
      if (this.source && this.link.state === 'live' && performance.now() - this.heardAt > LONGEST_SILENCE_MS) this.lose(this.source);
    }, LOOK_EVERY_MS);
  }

  listen(): void {
    this.source?.close();
    const source = (this.source = new EventSource('/api/changes'));
    const heard = () => (this.heardAt = performance.now());
    source.onopen = () => {
      heard();
      this.tries = 0;
      this.mark('live');
      if (this.hasBeenLive) this.onReturn();
      this.hasBeenLive = true;
    };
    source.addEventListener('alive', heard);
    source.addEventListener('changed', (event) => {
      heard();
      const change = parse((event as MessageEvent<string>).data);
      if (change) this.onChanged(change);
    });
    source.onerror = () => this.lose(source);
  }

  /** Tell that the feed is gone, and listen again after a while. */
  private lose(source: EventSource): void {
    if (source !== this.source) return;
    source.close();
    this.mark('lost');
    const wait = Math.min(LONGEST_WAIT_MS, 1000 * 2 ** this.tries++) * (0.75 + Math.random() / 2);
    window.setTimeout(() => {
      if (source === this.source) this.listen();
    }, wait);
  }

  private mark(state: Link['state']): void {
    if (state === this.link.state) return;
    this.link = {state, since: serverNow()};
    this.onLink(this.link);
  }
}

function parse(text: string): Change | null {
  try {
    const change = JSON.parse(text) as Partial<Change>;
    return typeof change.layer === 'string' && typeof change.version === 'number' ? {updated_at: null, ...change} as Change : null;
  } catch {
    return null;
  }
}
