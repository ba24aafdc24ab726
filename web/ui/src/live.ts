// Data that follows the server: asked for once, then whenever the event stream says that it has changed.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api';
import type { Topic } from './model';
import { onChange, onTraffic, type Traffic } from './stream';
import { t } from './strings';

// What to tell the user about a failure: the server's sentence, or ours for its kind.
export function errorText(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error && error.message ? error.message : t.errors.internal!;
  const text = error.message || t.errors[error.kind] || t.errors.internal!;
  return text[0]!.toUpperCase() + text.slice(1);  // the server's also stand behind "berth: ", in small letters
}

export interface Live<T> { data: T | undefined; error: string; reload: () => Promise<void>; set: (data: T) => void }

const LATER_MS = 5000;  // after a failure that is not ours to explain: the next try

// `load` is called again whenever one of `topics` has changed on the server or one of `inputs` here.
export function useLive<T>(load: () => Promise<T>, topics: readonly Topic[], inputs: unknown[] = []): Live<T> {
  const [data, setData] = useState<T>();
  const [error, setError] = useState('');
  const round = useRef(0);  // answers that were overtaken by a newer request are dropped
  const later = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const busy = useRef(0), again = useRef(false);

  const reload = useCallback(async () => {
    const mine = ++round.current;
    clearTimeout(later.current);
    busy.current++;
    again.current = false;
    try {
      const fresh = await load();
      if (mine !== round.current) return;
      setData(() => fresh);
      setError('');
    } catch (failure) {
      if (mine !== round.current) return;
      setError(errorText(failure));
      const passing = failure instanceof ApiError && (failure.status === 0 || failure.status >= 500);
      if (passing) later.current = setTimeout(() => void reload(), LATER_MS);
    } finally {
      if (--busy.current === 0 && again.current && mine === round.current) void reload();
    }
  }, inputs);

  useEffect(() => {
    // While an answer is on its way, changes only ask for one more after it: a busy server is not asked faster than it answers.
    const stop = onChange(topics, () => { if (busy.current > 0) again.current = true; else void reload(); });
    void reload();
    return () => { stop(); round.current++; clearTimeout(later.current); };
  }, [reload]);

  const set = useCallback((fresh: T) => { round.current++; setData(() => fresh); }, []);
  return { data, error, reload, set };
}

// The present time, renewed every `intervalMs` while the page is visible.
export function useNow(intervalMs: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) setNow(Date.now()); }, intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs]);
  return now;
}

// The newest byte counters of live sessions, as far as they have moved since this page looks.
export function useTraffic(): Traffic {
  const [traffic, setTraffic] = useState<Traffic>({});
  useEffect(() => onTraffic((moved) => setTraffic((known) => ({ ...known, ...moved }))), []);
  return traffic;
}

// `value`, once it has not changed for `ms`: for what is asked while somebody types.
export function useSettled<T>(value: T, ms = 250): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(() => value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
