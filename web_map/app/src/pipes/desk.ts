// What lies on the desk: the surveys, the one that is open, which of its problems are looked at; and who is to be told.
import {ApiError} from '../api';
import {report, settle} from '../notices';
import {words} from '../api';
import {list, read, type Filter, type Problem, type Severity, type Survey, type Words} from './surveys';
import {tell} from './words';

export type Tab = 'problems' | 'mapping' | 'difference' | 'versions';
export type Topic = 'surveys' | 'open' | 'progress' | 'filter' | 'picked' | 'tab' | 'uploading' | 'versions';

const LOOK_AGAIN_MS = 700;

export class Desk {
  surveys: Survey[] = [];
  open: Survey | null = null;
  filter: Filter = {rule: null, severity: null};
  picked: Problem | null = null;
  tab: Tab = 'problems';
  /** Whether the form for new files is shown. */
  uploading = false;
  private looking = 0;
  private readonly listeners: {topics: readonly Topic[]; listener: () => void}[] = [];

  constructor(readonly words: Words) {}

  on(topics: readonly Topic[], listener: () => void): void {
    this.listeners.push({topics, listener});
  }

  say(...topics: Topic[]): void {
    for (const {topics: wanted, listener} of [...this.listeners]) if (topics.some((topic) => wanted.includes(topic))) listener();
  }

  /** Reads the list again; what is open stays open. */
  async refresh(): Promise<void> {
    try {
      this.surveys = await list();
      settle('surveys');
      this.say('surveys');
    } catch (error) {
      report('surveys', () => tell('error.list', {why: words(error)}));
    }
  }

  /** Opens a survey and follows it while it is examined. */
  async show(id: string | null): Promise<void> {
    window.clearTimeout(this.looking);
    this.filter = {rule: null, severity: null};
    this.picked = null;
    this.uploading = id === null;
    if (id === null) {
      this.open = null;
      this.say('open', 'filter', 'picked', 'uploading');
      return;
    }
    if (this.open?.id !== id) this.open = this.surveys.find((survey) => survey.id === id) ?? null;
    await this.look(id, true);
  }

  offer(on: boolean): void {
    this.uploading = on;
    this.say('uploading');
  }

  choose(rule: string | null, severity: Severity | null): void {
    this.filter = {rule, severity};
    this.tab = 'problems';
    this.say('filter', 'tab');
  }

  pick(problem: Problem | null): void {
    this.picked = problem;
    this.say('picked');
  }

  turn(tab: Tab): void {
    this.tab = tab;
    this.say('tab');
  }

  private async look(id: string, first: boolean): Promise<void> {
    let found: Survey;
    try {
      found = await read(id);
      settle('survey');
    } catch (error) {
      report('survey', () => tell('error.read', {why: words(error)}));
      if (error instanceof ApiError && error.status !== 0 && error.status < 500) await this.lost(id);
      else this.looking = window.setTimeout(() => void this.look(id, first), LOOK_AGAIN_MS * 4);
      return;
    }
    const before = first ? null : this.open?.state;
    this.open = found;
    if (found.state === 'reading') this.looking = window.setTimeout(() => void this.look(id, false), LOOK_AGAIN_MS);
    if (before === found.state) this.say('progress');
    else {
      this.say('open', 'filter', 'picked', 'uploading');
      void this.refresh();
    }
  }

  private async lost(id: string): Promise<void> {
    if (this.open?.id === id) this.open = null;
    await this.refresh();
    this.say('open', 'uploading');
  }
}
