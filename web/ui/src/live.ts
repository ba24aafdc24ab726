// Data that stays fresh while somebody looks: reloaded every few seconds, not at all while the page is hidden.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api';
import { t } from './strings';

// What to tell the user about a failure: the server's sentence, or ours for its kind.
export function errorText(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error && error.message ? error.message : t.errors.internal!;
  const text = error.message || t.errors[error.kind] || t.errors.internal!;
  return text[0]!.toUpperCase() + text.slice(1);  // the server's also stand behind "berth: ", in small letters
}

export interface Live<T> { data: T | undefined; error: string; reload: () => Promise<void>; set: (data: T) => void }

// `load` is called again whenever one of `inputs` changes.
export function useLive<T>(load: () => Promise<T>, intervalMs = 0, inputs: unknown[] = []): Live<T> {
  const [data, setData] = useState<T>();
  const [error, setError] = useState('');
  const round = useRef(0);  // answers that were overtaken by a newer request are dropped

  const reload = useCallback(async () => {
    const mine = ++round.current;
    try {
      const fresh = await load();
      if (mine !== round.current) return;
      setData(() => fresh);
      setError('');
    } catch (failure) {
      if (mine === round.current) setError(errorText(failure));
    }
  }, inputs);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let ended = false;
    const tick = async () => {
      clearTimeout(timer);
      if (!document.hidden) await reload();
      if (!ended && intervalMs && !document.hidden) timer = setTimeout(tick, intervalMs);
    };
    const shown = () => { if (!document.hidden) void tick(); };
    document.addEventListener('visibilitychange', shown);
    void tick();
    return () => { ended = true; round.current++; clearTimeout(timer); document.removeEventListener('visibilitychange', shown); };
  }, [reload, intervalMs]);

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
