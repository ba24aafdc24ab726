// What workspaces and the machine use, as the event stream tells it (docs/api.md, Usage): the last minutes, oldest first.
import { useEffect, useState } from 'preact/hooks';
import { onUsage } from './stream';

export interface Series { cpus: number; memory_limit: number; cpu: number[]; memory: number[] }
export interface Gpu { name: string; tells: boolean; memory_total: number; busy: number[]; memory: number[] }
export interface Box extends Series { load: number[]; gpus: Gpu[] }
export interface Usage { tick: number; first: boolean; every_s: number; points: number; workspaces: (Series & { user: string; name: string })[]; box?: Box }

// `known` with what has come since. What the news do not name any more has ended.
export function merge(known: Usage | undefined, news: Usage): Usage {
  if (!known || news.first) return news;
  const join = (before: number[] | undefined, after: number[]) => [...(before ?? []), ...after].slice(-news.points);
  const series = <T extends Series>(before: Series | undefined, after: T): T => ({ ...after, cpu: join(before?.cpu, after.cpu), memory: join(before?.memory, after.memory) });
  const workspaces = news.workspaces.map((w) => series(workspaceUsage(known, w.user, w.name), w));
  if (!news.box) return { ...news, workspaces };
  const gpus = news.box.gpus.map((gpu, i) => ({ ...gpu, busy: join(known.box?.gpus[i]?.busy, gpu.busy), memory: join(known.box?.gpus[i]?.memory, gpu.memory) }));
  return { ...news, workspaces, box: { ...series(known.box, news.box), load: join(known.box?.load, news.box.load), gpus } };
}

export function workspaceUsage(usage: Usage | undefined, user: string, name: string) {
  return usage?.workspaces.find((w) => w.user === user && w.name === name);
}

// undefined until the server has told something.
export function useUsage(): Usage | undefined {
  const [usage, setUsage] = useState<Usage>();
  useEffect(() => onUsage((news) => setUsage((known) => merge(known, news))), []);
  return usage;
}
