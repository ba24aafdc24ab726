// A build of an environment while it runs: how far it is, and what it has said.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { BuildProgress } from '../api';
import { bytes } from '../format';
import { t } from '../strings';
import { Meter } from './basics';

const MOST_LINES = 300;

export interface Build { running: boolean; now: BuildProgress | null; log: string[]; told: (line: string, event: BuildProgress) => void; run: <T>(work: () => Promise<T>) => Promise<T> }

export function useBuild(): Build {
  const [running, setRunning] = useState(false), [now, setNow] = useState<BuildProgress | null>(null), [log, setLog] = useState<string[]>([]);
  const told = (line: string, event: BuildProgress) => {
    if (event.phase) setNow(event);
    setLog((all) => line === '' || all[all.length - 1] === line ? all : [...all, line].slice(-MOST_LINES));
  };
  const run = async <T,>(work: () => Promise<T>) => {
    setRunning(true); setNow(null); setLog([]);
    try {
      const result = await work();
      setLog([]);  // what failed stays to be read
      return result;
    } finally {
      setRunning(false);
    }
  };
  return { running, now, log, told, run };
}

export function BuildView({ of: { running, now, log } }: { of: Build }) {
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => { if (list.current) list.current.scrollTop = list.current.scrollHeight; }, [log.length]);
  if (!running && log.length === 0) return null;
  return (
    <div class="progress build">
      {running && (now?.total ? <Meter label={t.environments.progress} value={now.done ?? 0} max={now.total} tone="busy" /> : <div class="bar" role="progressbar" aria-label={t.environments.progress} />)}
      {running && <p class="facts soft" role="status">{factsOf(now).map((fact) => <span key={fact}>{fact}</span>)}</p>}
      <ol ref={list} tabIndex={0} aria-label={t.environments.log}>{log.map((line, index) => <li key={index}>{line}</li>)}</ol>
    </div>
  );
}

function factsOf(now: BuildProgress | null): string[] {
  if (!now) return [t.environments.phases.waiting];
  const facts = [t.environments.phases[now.phase as keyof typeof t.environments.phases] ?? now.phase];
  if (now.total) facts.push(t.environments.packagesDone(now.done ?? 0, now.total));
  if (now.bytes_total) facts.push(t.environments.bytesDone(bytes(now.bytes ?? 0), bytes(now.bytes_total)));
  if (now.bytes_per_s) facts.push(t.environments.speed(bytes(now.bytes_per_s)));
  if (now.left_s) facts.push(t.environments.left(now.left_s));
  return facts;
}
