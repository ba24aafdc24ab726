// Starts that this page has begun: their progress lines stay while the list around them is reloaded.
import { useCallback, useState } from 'preact/hooks';
import { api } from '../api';
import { errorText } from '../live';

export interface Start { lines: string[]; running: boolean; error: string }
interface Id { user: string; name: string }
const MOST_LINES = 200;

export function useStarts(changed: () => Promise<void>) {
  const [starts, setStarts] = useState<Record<string, Start>>({});

  const begin = useCallback(async (id: Id) => {
    const key = `${id.user}/${id.name}`;
    const update = (change: (start: Start) => Start) =>
      setStarts((all) => ({ ...all, [key]: change(all[key] ?? { lines: [], running: true, error: '' }) }));
    update(() => ({ lines: [], running: true, error: '' }));
    const soon = setTimeout(() => void changed(), 300);  // a new workspace gets its card while it starts
    try {
      await api.start(id, (line) => update((start) => ({ ...start, lines: [...start.lines, line].slice(-MOST_LINES) })));
      await changed();
      update((start) => ({ ...start, running: false, lines: [] }));
    } catch (failure) {
      await changed();
      update((start) => ({ ...start, running: false, error: errorText(failure) }));
      throw failure;
    } finally {
      clearTimeout(soon);
    }
  }, [changed]);

  const of = (id: Id) => ({ ...starts[`${id.user}/${id.name}`], begin: () => begin(id).catch(() => {}) });
  return { begin, of };
}
