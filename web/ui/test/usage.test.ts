import { expect, it } from 'vitest';
import { sparkPoints } from '../src/parts/spark';
import { merge, workspaceUsage, type Usage } from '../src/usage';

const series = (cpu: number[]) => ({ cpus: 2, memory_limit: 1000, cpu, memory: cpu.map((value) => value * 100) });
const usage = (first: boolean, workspaces: Record<string, number[]>, load?: number[]): Usage => ({
  tick: 1, first, every_s: 5, points: 3, workspaces: Object.entries(workspaces).map(([name, cpu]) => ({ user: 'ada', name, ...series(cpu) })),
  ...(load && { box: { ...series(load), load, gpus: [{ name: 'A', tells: true, memory_total: 8, busy: load, memory: load }] } }),
});

it('adds what has come to what is known, and keeps the last points', () => {
  const merged = merge(usage(true, { main: [1, 2], gone: [9] }, [1, 2]), usage(false, { main: [3, 4], fresh: [5] }, [3]));
  expect(workspaceUsage(merged, 'ada', 'main')).toMatchObject({ cpu: [2, 3, 4], memory: [200, 300, 400] });
  expect(workspaceUsage(merged, 'ada', 'fresh')?.cpu).toEqual([5]);
  expect(workspaceUsage(merged, 'ada', 'gone')).toBeUndefined();
  expect(merged.box).toMatchObject({ load: [1, 2, 3], gpus: [{ busy: [1, 2, 3] }] });
});

it('begins anew with a new stream', () => {
  expect(merge(usage(true, { main: [1, 2] }), usage(true, { main: [7] })).workspaces[0]!.cpu).toEqual([7]);
});

it('draws the newest value at the right edge and never above the top', () => {
  expect(sparkPoints([0, 2], 2, 3)).toBe('60.0,25.0 120.0,1.0');
  expect(sparkPoints([1, 4], 2, 2)).toBe('0.0,19.0 120.0,1.0');
  expect(sparkPoints([0, 0], 0, 2)).toBe('0.0,25.0 120.0,25.0');
  expect(sparkPoints([], 1, 60)).toBe('');
});
