// One workspace as a card: what it is, what it does, and what can be done with it now.
import { useEffect, useRef } from 'preact/hooks';
import { api, type Workspace, type WorkspaceState } from '../api';
import { duration } from '../format';
import { useNow } from '../live';
import { t } from '../strings';
import { Badge, Button, Notice, When } from './basics';
import { Link } from '../router';
import { useConfirm } from './confirm';
import { Icon } from './icons';
import { WorkspaceGauges } from './spark';
import { ImageChoice } from './image';
import type { Start } from './starts';
import type { Series } from '../usage';

export const STATE_TONE: Record<WorkspaceState, 'good' | 'bad' | 'busy' | 'calm'> = {
  running: 'good', starting: 'busy', stopping: 'busy', stopped: 'calm', failed: 'bad',
};

interface CardProps { workspace: Workspace; start: Partial<Start> & { begin: () => Promise<unknown> }; usage: Series | undefined; changed: () => Promise<void> }

export function WorkspaceCard({ workspace: w, start, usage, changed }: CardProps) {
  const confirm = useConfirm();
  const state = start.running ? 'starting' : w.state;
  const then = (action: () => Promise<unknown>) => async () => { await action(); await changed(); };
  const ask = {
    stop: () => confirm.ask({ title: t.home.stopAsk(w.name), text: t.home.stopText, verb: t.home.stop, act: then(() => api.stop(w)) }),
    reset: () => confirm.ask({ title: t.home.resetAsk(w.name), text: t.home.resetText, verb: t.home.reset, act: then(() => api.reset(w)) }),
    remove: () => confirm.ask({ title: t.home.removeAsk(w.name), text: t.home.removeText, verb: t.home.remove, act: then(() => api.remove(w)) }),
  };
  const down = state === 'stopped' || state === 'failed';
  return (
    <article class="card" aria-label={w.name}>
      <header><h2>{w.name}</h2><Badge tone={STATE_TONE[state]}>{t.state[state]}</Badge></header>
      <Facts workspace={w} state={state} />
      {state === 'running' && <WorkspaceGauges series={usage} />}
      {state === 'failed' && !start.error && w.detail && <Notice kind="error">{w.detail}</Notice>}
      {start.error && !start.running && state !== 'running' && <Notice kind="error"><strong>{t.home.startFailed}.</strong> {start.error}</Notice>}
      {start.running ? <Progress name={w.name} lines={start.lines ?? []} /> : state === 'starting' && <Progress name={w.name} lines={w.detail ? [w.detail] : []} />}
      <ImageChoice workspace={w} />
      <div class="actions" role="group" aria-label={t.home.moreActions(w.name)}>
        {state === 'running' && (
          <>
            <a class="button primary" href={w.jupyter_url} target="_blank" rel="noopener">{t.home.openJupyter}<Icon name="external" /><span class="hidden"> {t.home.newTab}</span></a>
            <Link class="button" to={`/terminal/${encodeURIComponent(w.name)}`}>{t.nav.terminal}</Link>
            <Link class="button quiet" to={`/connect?workspace=${encodeURIComponent(w.name)}`}>{t.nav.connect}</Link>
          </>
        )}
        {down && <Button kind="primary" onClick={start.begin}>{t.home.start}</Button>}
        {(state === 'running' || state === 'starting') && <Button onClick={ask.stop}>{t.home.stop}</Button>}
        {w.created_at && (down || state === 'running') && <Button kind="quiet" onClick={ask.reset}>{t.home.reset}</Button>}
        {w.created_at && down && w.name !== 'main' && <Button kind="quiet" onClick={ask.remove}>{t.home.remove}</Button>}
      </div>
      {confirm.dialog}
    </article>
  );
}

function Facts({ workspace: w, state }: { workspace: Workspace; state: WorkspaceState }) {
  const now = useNow(5000);
  const up = state === 'running' && w.started_at ? t.home.upFor(duration((now - Date.parse(w.started_at)) / 1000)) : '';
  return (
    <p class="facts soft">
      {w.image && <span><span class="hidden">{t.home.image} </span><code>{w.image}</code></span>}
      {up && <span>{up}</span>}
      {!up && state !== 'starting' && (w.created_at ? <span>{t.home.created('')}<When at={w.created_at} /></span> : <span>{t.home.notMade}</span>)}
    </p>
  );
}

function Progress({ name, lines }: { name: string; lines: string[] }) {
  const log = useRef<HTMLOListElement>(null);
  useEffect(() => { if (log.current) log.current.scrollTop = log.current.scrollHeight; }, [lines.length]);
  return (
    <div class="progress">
      <div class="bar" role="progressbar" aria-label={t.home.progress(name)} />
      <ol ref={log} aria-live="polite" aria-label={t.home.progress(name)}>{lines.map((line, index) => <li key={index}>{line}</li>)}</ol>
    </div>
  );
}
