// A terminal in the browser: the shell runs in the workspace and outlives this page, which attaches to it again after a reload or a loss.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, getCsrf, type Me, type Terminal } from '../api';
import { useLive } from '../live';
import { Button, Loading, Notice, Page } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { Icon } from '../parts/icons';
import { navigate, useSearch } from '../router';
import { t } from '../strings';
import { TerminalLink, type LinkState } from '../term/link';
import type { Screen } from '../term/screen';

const address = (workspace: string, id?: string | null) => `/terminal/${encodeURIComponent(workspace)}${id ? `?id=${encodeURIComponent(id)}` : ''}`;

export function TerminalPage({ me, workspace }: { me: Me; workspace: string }) {
  const id = useSearch().get('id');
  const [round, setRound] = useState(0);  // a new terminal on the same address
  const known = useLive(() => api.terminals(me.user.name, workspace), ['sessions', 'workspaces'], [workspace]);
  const workspaces = useLive(api.workspaces, ['workspaces']);
  const names = (workspaces.data ?? []).filter((w) => w.user === me.user.name).map((w) => w.name);
  if (!names.includes(workspace)) names.unshift(workspace);
  const fresh = () => { navigate(address(workspace), true); setRound(round + 1); };
  return (
    <Page title={t.terminal.title} aside={
      <label class="inline-field"><span class="soft">{t.connect.workspace}</span>
        <select value={workspace} onChange={(event) => navigate(address(event.currentTarget.value))}>{names.map((name) => <option key={name} value={name}>{name}</option>)}</select>
      </label>}>
      <Loading data={known.data} error={known.error} retry={known.reload} />
      {known.data && <View key={`${workspace} ${round}`} me={me} workspace={workspace} first={id} others={known.data.filter((one) => !one.ended)} fresh={fresh} />}
    </Page>
  );
}

interface ViewProps { me: Me; workspace: string; first: string | null; others: Terminal[]; fresh: () => void }

function View({ me, workspace, first, others, fresh }: ViewProps) {
  const box = useRef<HTMLDivElement>(null), bar = useRef<HTMLDivElement>(null), finder = useRef<HTMLInputElement>(null);
  const screen = useRef<Screen | null>(null), link = useRef<TerminalLink | null>(null);
  const [state, setState] = useState<LinkState>({ is: 'connecting', lines: [] });
  const [id, setId] = useState(first);
  const [title, setTitle] = useState('');
  const [finding, setFinding] = useState(false);
  const confirm = useConfirm();

  useEffect(() => {
    let gone = false;
    void begin({
      box: box.current!, me, workspace, first, gone: () => gone, setState, setTitle,
      opened: (made) => { setId(made); if (location.pathname === address(workspace)) history.replaceState(null, '', address(workspace, made)); },
      leave: () => bar.current?.querySelector<HTMLElement>('button')?.focus(),
      find: () => { setFinding(true); setTimeout(() => finder.current?.focus()); },
    }).then((made) => { if (made) { screen.current = made.screen; link.current = made.link; } },
            () => setState({ is: 'failed', kind: 'internal', message: t.terminal.notLoaded }));
    return () => { gone = true; link.current?.stop(); screen.current?.dispose(); };
  }, []);

  const end = () => confirm.ask({ title: t.terminal.endAsk, text: t.terminal.endText, verb: t.terminal.end, act: async () => { link.current?.end(); } });
  const rest = others.filter((one) => one.id !== id);
  return (
    <div class="terminal">
      <div class="terminal-bar" ref={bar} role="toolbar" aria-label={t.terminal.tools}>
        <span class="terminal-title" title={title}>{title || t.terminal.shell}</span>
        {rest.map((one) => <a class="button quiet small" key={one.id} href={address(workspace, one.id)}>{one.title || one.command || t.terminal.shell}{one.attached === 0 && ` · ${t.terminal.detached}`}</a>)}
        <span class="grow" />
        <Button kind="quiet" onClick={fresh}>{t.terminal.new}</Button>
        <Button kind="quiet" onClick={() => screen.current?.copy()}>{t.copy}</Button>
        <Button kind="quiet" onClick={() => { setFinding(!finding); setTimeout(() => finder.current?.focus()); }}>{t.search}</Button>
        <Button kind="quiet" label={t.terminal.smaller} onClick={() => screen.current?.fontSize(-1)}>A−</Button>
        <Button kind="quiet" label={t.terminal.larger} onClick={() => screen.current?.fontSize(1)}>A+</Button>
        <Button kind="quiet" onClick={end}>{t.terminal.end}</Button>
      </div>
      {finding && (
        <form class="terminal-bar" role="search" onSubmit={(event) => { event.preventDefault(); screen.current?.findNext(finder.current!.value); }}>
          <input ref={finder} type="search" aria-label={t.search} placeholder={t.search}
            onKeyDown={(event) => { if (event.key === 'Escape') { setFinding(false); screen.current?.terminal.focus(); } }} />
          <Button onClick={() => { screen.current?.findPrevious(finder.current!.value); }}>{t.terminal.previous}</Button>
          <Button type="submit">{t.terminal.next}</Button>
        </form>
      )}
      <StateLine state={state} retry={() => link.current?.retry()} fresh={fresh} />
      <div class="terminal-box" ref={box} />
      <p class="soft small">{t.terminal.hint}</p>
      {confirm.dialog}
    </div>
  );
}

function StateLine({ state, retry, fresh }: { state: LinkState; retry: () => void; fresh: () => void }) {
  if (state.is === 'open') return null;
  if (state.is === 'connecting') return <p class="soft loading" role="status"><span class="spinner" aria-hidden="true" />{state.lines[state.lines.length - 1] ?? t.terminal.connecting}</p>;
  if (state.is === 'lost') return <Notice kind="warn"><span class="loading grow"><span class="spinner" aria-hidden="true" />{t.terminal.lost}</span><Button onClick={retry}>{t.retry}</Button></Notice>;
  if (state.is === 'ended') return <Notice><span class="grow">{t.terminal.ended(state.how)}</span><Button kind="primary" onClick={fresh}>{t.terminal.new}</Button></Notice>;
  if (state.is === 'logged_out') return <Notice kind="error"><Icon name="warning" />{t.terminal.loggedOut}</Notice>;
  return <Notice kind="error"><span class="grow">{state.message || t.errors[state.kind] || t.errors.internal}</span><Button onClick={fresh}>{t.terminal.new}</Button></Notice>;
}

interface Beginning {
  box: HTMLElement; me: Me; workspace: string; first: string | null; gone: () => boolean;
  setState: (state: LinkState) => void; setTitle: (title: string) => void; opened: (id: string) => void; leave: () => void; find: () => void;
}

async function begin(b: Beginning): Promise<{ screen: Screen; link: TerminalLink } | null> {
  const { Screen: Drawn } = await import('../term/screen');
  if (b.gone()) return null;
  const screen = new Drawn(b.box, t.terminal.label(b.workspace), b.leave, b.find);
  const { terminal } = screen;
  const link = new TerminalLink({ user: b.me.user.name, workspace: b.workspace, id: b.first }, getCsrf(), screen.size, {
    state: (state) => {
      b.setState(state);
      terminal.options.disableStdin = state.is !== 'open';
      if (state.is === 'open') terminal.focus();
      if (state.is === 'logged_out') void api.me().catch(() => {});
    },
    opened: (id, restore) => { if (restore !== null) { terminal.reset(); terminal.write(restore); } b.opened(id); },
    output: (bytes, shown) => terminal.write(bytes, shown),
    size: (columns, rows) => terminal.resize(columns, rows),
    title: b.setTitle,
  });
  const encoder = new TextEncoder();
  terminal.onData((text) => link.type(encoder.encode(text)));
  terminal.onBinary((text) => link.type(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  terminal.onResize(({ cols, rows }) => link.resize(cols, rows));
  link.start();
  return { screen, link };
}
