// The small parts that every page is made of.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { absoluteTime, relativeTime } from '../format';
import { errorText, useNow } from '../live';
import { t } from '../strings';

interface ButtonProps {
  kind?: 'primary' | 'danger' | 'quiet';
  label?: string;
  type?: 'button' | 'submit';
  busy?: boolean;
  disabled?: boolean;
  onClick?: () => void | Promise<unknown>;
  children: ComponentChildren;
}

// While the promise of onClick is pending the button says so and does nothing. aria-disabled keeps the keyboard's focus where it was.
export function Button({ kind, label, type = 'button', busy = false, disabled = false, onClick, children }: ButtonProps) {
  const [pending, setPending] = useState(false);
  const waiting = pending || busy;
  const click = async (event: MouseEvent) => {
    if (waiting || disabled) return event.preventDefault();
    const result = onClick?.();
    if (!(result instanceof Promise)) return;
    setPending(true);
    try { await result; } finally { setPending(false); }
  };
  return (
    <button type={type} class={`button ${kind ?? ''}`} aria-label={label} aria-busy={waiting} aria-disabled={waiting || disabled} onClick={click}>
      {waiting && <span class="spinner" aria-hidden="true" />}{children}
    </button>
  );
}

export function Copy({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 2000);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = () => navigator.clipboard.writeText(text).then(() => setDone(true));
  return (
    <button type="button" class="button quiet copy" aria-label={`${t.copy}: ${label}`} onClick={() => void copy().catch(() => {})}>
      <span aria-live="polite">{done ? t.copied : t.copy}</span>
    </button>
  );
}

// Something to paste into a terminal or a file, with its copy button.
export function Snippet({ text, label }: { text: string; label: string }) {
  return (
    <div class="snippet">
      <pre tabIndex={0} aria-label={label}><code>{text}</code></pre>
      <Copy text={text} label={label} />
    </div>
  );
}

export function Notice({ kind = 'info', children }: { kind?: 'info' | 'error' | 'good' | 'warn'; children: ComponentChildren }) {
  return <div class={`notice ${kind}`} role={kind === 'error' ? 'alert' : 'status'}>{children}</div>;
}

export function Badge({ tone, children }: { tone: 'good' | 'bad' | 'busy' | 'calm'; children: ComponentChildren }) {
  return <span class={`badge ${tone}`}><span class="dot" aria-hidden="true" />{children}</span>;
}

export function When({ at }: { at: string | null }) {
  const now = useNow(15000);
  return at ? <time dateTime={at} title={absoluteTime(at)}>{relativeTime(at, now)}</time> : <span class="soft">{t.never}</span>;
}

export function Fingerprint({ value }: { value: string }) {
  return value ? <code class="fingerprint" title={value}>{value.replace(/^(SHA256:.{10}).+$/, '$1…')}</code> : <span class="soft">{t.none}</span>;
}

// One of several views of a page, chosen by a link of its own.
export function Tabs({ label, children }: { label: string; children: ComponentChildren }) {
  return <nav class="tabs" aria-label={label}>{children}</nav>;
}

export function Field({ label, hint, wrong, class: kind, children }: { label: string; hint?: string; wrong?: string; class?: string; children: ComponentChildren }) {
  return (
    <label class={`field ${kind ?? ''}`}>
      <span>{label}</span>{children}
      {(wrong || hint) && <span class={wrong ? 'hint wrong' : 'hint'} role={wrong ? 'alert' : undefined}>{wrong || hint}</span>}
    </label>
  );
}

// How much of something is done or in use.
export function Meter({ label, value, max, tone = 'good' }: { label: string; value: number; max: number; tone?: 'good' | 'busy' | 'bad' }) {
  return <progress class={`meter ${tone}`} aria-label={label} value={Math.min(value, max)} max={max || 1} />;
}

export function Page({ title, lead, aside, children }: { title: string; lead?: string; aside?: ComponentChildren; children: ComponentChildren }) {
  useEffect(() => { document.title = `${title} · Berth`; }, [title]);
  return (
    <>
      <header class="page-head">
        <div><h1>{title}</h1>{lead && <p class="soft">{lead}</p>}</div>
        {aside && <div class="page-aside">{aside}</div>}
      </header>
      {children}
    </>
  );
}

// What is shown instead of data that is not there yet; with data, only that it is out of date.
export function Loading({ data, error, retry }: { data: unknown; error: string; retry: () => Promise<void> }) {
  if (data !== undefined) return error ? <Notice kind="error">{t.stale} {error}</Notice> : null;
  if (error) return <Notice kind="error"><span>{error}</span> <Button onClick={retry}>{t.retry}</Button></Notice>;
  return <p class="soft loading" role="status"><span class="spinner" aria-hidden="true" />{t.loading}</p>;
}

// Runs actions and keeps the sentence of the last failure.
export interface Action { error: string; busy: boolean; run: (action: () => Promise<unknown>) => Promise<boolean>; clear: () => void }

export function useAction(): Action {
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const run = async (action: () => Promise<unknown>) => {
    setError('');
    setBusy(true);
    try {
      await action();
      return true;
    } catch (failure) {
      setError(errorText(failure));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { error, busy, run, clear: () => setError('') };
}
