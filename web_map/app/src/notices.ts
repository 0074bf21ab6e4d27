// What is wrong just now, by cause: said once, kept until it is over, shown by the status bar.

/** A notice says itself anew at each drawing, so that it follows the language. */
export type Notice = () => string;

const notices = new Map<string, Notice>();
const listeners = new Set<() => void>();

/** States a trouble; the same cause said again replaces what was said. */
export function report(cause: string, notice: Notice): void {
  const before = notices.get(cause)?.();
  notices.delete(cause);
  notices.set(cause, notice);
  if (before !== notice()) announce();
}

/** The trouble with this cause is over. */
export function settle(cause: string): void {
  if (notices.delete(cause)) announce();
}

/** All present troubles, the newest first. */
export function present(): Notice[] {
  return [...notices.values()].reverse();
}

export function onNotices(listener: () => void): void {
  listeners.add(listener);
}

function announce(): void {
  for (const listener of [...listeners]) listener();
}
