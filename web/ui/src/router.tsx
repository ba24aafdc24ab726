// Paths to pages with the History API; the server answers every path of the portal with index.html.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';

const listeners = new Set<() => void>();

export function navigate(path: string, replace = false) {
  history[replace ? 'replaceState' : 'pushState'](null, '', path);
  listeners.forEach((listener) => listener());
  if (!replace) scrollTo(0, 0);
}

// What `read` answers for the present address, anew whenever it changes.
function useLocation<T>(read: () => T): T {
  const [value, setValue] = useState(read);
  useEffect(() => {
    const update = () => setValue(read);
    update();
    listeners.add(update);
    addEventListener('popstate', update);
    return () => { listeners.delete(update); removeEventListener('popstate', update); };
  }, []);
  return value;
}

export const usePath = (): string => useLocation(() => location.pathname);
export const useSearch = (): URLSearchParams => new URLSearchParams(useLocation(() => location.search));

// Notes state of a page in its address, so that a reload and a shared link show the same.
export function setSearch(values: Record<string, string>) {
  const search = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) value ? search.set(name, value) : search.delete(name);
  const text = search.toString();
  navigate(location.pathname + (text ? `?${text}` : ''), true);
}

interface LinkProps { to: string; class?: string; current?: boolean; label?: string; children: ComponentChildren }

export function Link({ to, current, label, children, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  };
  return <a href={to} onClick={follow} aria-current={current ? 'page' : undefined} aria-label={label} {...rest}>{children}</a>;
}
