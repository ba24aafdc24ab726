// The one event stream of this page (GET /events): tells which topics have changed. Only a visible page holds one, since a browser opens few
// connections to a host; a page that comes back to view, or whose stream broke, asks for everything anew.
import { ApiError, send } from './api';
import type { Topic } from './model';
import { readEvents, type ServerEvent } from './sse';
import type { Usage } from './usage';

export type Traffic = Record<string, [number, number]>;
interface Listener { topics: readonly Topic[]; changed: () => void }

const listeners = new Set<Listener>();
const trafficListeners = new Set<(traffic: Traffic) => void>();
const usageListeners = new Set<(usage: Usage) => void>();
const stateListeners = new Set<(connected: boolean) => void>();
const QUIET_MS = 40_000;  // the server says something every 15 s
const SETTLE_MS = 50;     // pages come and go with their listeners within one step

let abort: AbortController | null = null;
let asked = '', connected = false, settling: ReturnType<typeof setTimeout> | undefined;

// Milliseconds until try number `attempt` (0: the first after a loss): doubled each time up to 30 s, with a random part so that a restarted
// berthd is not met by everybody at once.
export function backoff(attempt: number, random: number = Math.random()): number {
  return Math.min(30_000, 500 * 2 ** attempt) * (0.5 + random / 2);
}

// `topics` as the server names them; what else it may say is for later versions.
export function topicsOf(data: string): string[] {
  try {
    const { topics } = JSON.parse(data) as { topics?: unknown };
    return Array.isArray(topics) ? topics.filter((topic) => typeof topic === 'string') : [];
  } catch {
    return [];
  }
}

function setConnected(now: boolean) {
  if (connected === now) return;
  connected = now;
  stateListeners.forEach((tell) => tell(now));
}

function tellAll() { listeners.forEach(({ changed }) => changed()); }

function hear(event: ServerEvent): boolean {
  if (event.name === 'ended') { tellAll(); return false; }  // the requests find out why: a login that is over leads to the login page
  if (event.name === 'changed') {
    const topics = topicsOf(event.data);
    for (const listener of [...listeners]) if (listener.topics.some((topic) => topics.includes(topic))) listener.changed();
  }
  if (event.name === 'traffic') {
    const traffic = JSON.parse(event.data) as Traffic;
    trafficListeners.forEach((tell) => tell(traffic));
  }
  if (event.name === 'usage') {
    const usage = JSON.parse(event.data) as Usage;
    usageListeners.forEach((tell) => tell(usage));
  }
  return true;
}

async function listen(control: AbortController, again: boolean): Promise<void> {
  let quiet: ReturnType<typeof setTimeout> | undefined;
  const life = new AbortController();  // of this one connection
  const stop = () => life.abort();
  control.signal.addEventListener('abort', stop);
  const heard = () => { clearTimeout(quiet); quiet = setTimeout(stop, QUIET_MS); };
  try {
    heard();
    const response = await send('GET', asked, { accept: 'text/event-stream', signal: life.signal });
    setConnected(true);
    if (again) tellAll();
    for await (const event of readEvents(response.body!, heard)) if (!hear(event)) return;
  } finally {
    clearTimeout(quiet);
    control.signal.removeEventListener('abort', stop);
    if (abort === control) setConnected(false);
  }
}

async function keepListening(control: AbortController): Promise<void> {
  for (let attempt = 0, again = false; !control.signal.aborted; attempt++, again = true) {
    const began = Date.now();
    try {
      await listen(control, again);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;  // the app shows the login page
    }
    if (control.signal.aborted) return;
    if (Date.now() - began > 30_000) attempt = 0;
    await new Promise((resolve) => setTimeout(resolve, backoff(attempt)));
  }
}

function settle() {
  const wanted = !document.hidden && listeners.size > 0;
  const extras = [trafficListeners.size > 0 && 'traffic=1', usageListeners.size > 0 && 'usage=1'].filter(Boolean).join('&');
  const path = extras ? `/events?${extras}` : '/events';
  if (abort && (!wanted || path !== asked)) {
    abort.abort();
    abort = null;
  }
  if (!wanted || abort) return;
  asked = path;
  abort = new AbortController();
  void keepListening(abort);
}

function settleSoon() { settling ??= setTimeout(() => { settling = undefined; settle(); }, SETTLE_MS); }

if (typeof document !== 'undefined') document.addEventListener('visibilitychange', () => { settleSoon(); if (!document.hidden) tellAll(); });

// Calls `changed` whenever one of `topics` has changed, or may have. Answers how to stop.
export function onChange(topics: readonly Topic[], changed: () => void): () => void {
  const listener = { topics, changed };
  listeners.add(listener);
  settleSoon();
  return () => { listeners.delete(listener); settleSoon(); };
}

export function onTraffic(tell: (traffic: Traffic) => void): () => void {
  trafficListeners.add(tell);
  settleSoon();
  return () => { trafficListeners.delete(tell); settleSoon(); };
}

export function onUsage(tell: (usage: Usage) => void): () => void {
  usageListeners.add(tell);
  settleSoon();
  return () => { usageListeners.delete(tell); settleSoon(); };
}

export function onConnection(tell: (connected: boolean) => void): () => void {
  stateListeners.add(tell);
  tell(connected);
  return () => stateListeners.delete(tell);
}
