// A list that the server gives in pages: the first is followed live, more are added on request.
import { useEffect, useState } from 'preact/hooks';
import type { Paged, Topic } from '../model';
import { errorText, useLive } from '../live';

type After = string | number | null | undefined;

export function usePaged<T>(load: (after?: After) => Promise<Paged<T>>, topics: readonly Topic[], inputs: unknown[]) {
  const first = useLive(() => load(), topics, inputs);
  const [more, setMore] = useState<Paged<T> | null>(null);
  const [moreError, setMoreError] = useState('');
  useEffect(() => { setMore(null); setMoreError(''); }, [first.data]);  // its pages begin anew
  const next = more ? more.next : first.data?.next;
  const showMore = async () => {
    try {
      const page = await load(next);
      setMore({ items: [...(more?.items ?? []), ...page.items], next: page.next ?? null });
    } catch (failure) {
      setMoreError(errorText(failure));
    }
  };
  const items = first.data && [...first.data.items, ...(more?.items ?? [])];
  return { items, error: first.error || moreError, reload: first.reload, showMore: next != null ? showMore : null };
}
