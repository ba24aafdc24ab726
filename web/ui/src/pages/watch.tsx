// An administrator looks at a user's terminal, where web.watch_terminals allows it: as large as the user has it, and nothing typed here reaches it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, getCsrf, type Terminal } from '../api';
import { useLive } from '../live';
import { Loading, Notice, Page, When } from '../parts/basics';
import { Table, type Column } from '../parts/table';
import { Link, useSearch } from '../router';
import { t } from '../strings';
import { TerminalLink, type LinkState } from '../term/link';
import type { Screen } from '../term/screen';

export const watchAddress = (user: string, workspace: string, id?: string) =>
  `/admin/watch/${encodeURIComponent(user)}/${encodeURIComponent(workspace)}${id ? `?id=${encodeURIComponent(id)}` : ''}`;

const nameOf = (one: Terminal) => one.title || one.command || t.terminal.shell;

export function WatchPage({ user, workspace }: { user: string; workspace: string }) {
  const id = useSearch().get('id');
  return (
    <Page title={t.watch.title(user, workspace)} lead={t.watch.lead}>
      {id ? <View key={id} user={user} workspace={workspace} id={id} /> : <Choice user={user} workspace={workspace} />}
    </Page>
  );
}

function Choice({ user, workspace }: { user: string; workspace: string }) {
  const { data, error, reload } = useLive(() => api.terminals(user, workspace), ['sessions', 'workspaces'], [user, workspace]);
  const columns: Column<Terminal>[] = [
    { title: t.watch.program, class: 'grow', cell: (one) => nameOf(one) },
    { title: t.sessions.since, cell: (one) => <When at={one.started_at} /> },
    { title: t.watch.size, cell: (one) => `${one.columns} × ${one.rows}` },
    { title: t.watch.viewers, class: 'number', cell: (one) => one.attached },
    { title: t.watch.watch, hideTitle: true, class: 'act', cell: (one) => <a class="button quiet" href={watchAddress(user, workspace, one.id)} aria-label={`${t.watch.watch}: ${nameOf(one)}`}>{t.watch.watch}</a> },
  ];
  return (
    <>
      <Loading data={data} error={error} retry={reload} />
      {data && <Table label={t.watch.title(user, workspace)} rows={data.filter((one) => !one.ended)} columns={columns} rowKey={(one) => one.id} empty={t.watch.none} />}
    </>
  );
}

function View({ user, workspace, id }: { user: string; workspace: string; id: string }) {
  const box = useRef<HTMLDivElement>(null);
  const [state, setState] = useState<LinkState>({ is: 'connecting', lines: [] });
  const [title, setTitle] = useState('');
  useEffect(() => {
    let gone = false, screen: Screen | null = null, link: TerminalLink | null = null;
    void import('../term/screen').then(({ Screen: Drawn }) => {
      if (gone) return;
      screen = new Drawn(box.current!, t.watch.title(user, workspace), () => {}, () => {}, true);
      const { terminal } = screen;
      terminal.options.disableStdin = true;
      link = new TerminalLink({ user, workspace, id, watch: true }, getCsrf(), screen.size, {
        state: setState, title: setTitle,
        opened: (_, restore, size) => {
          terminal.resize(size.columns, size.rows);
          if (restore !== null) { terminal.reset(); terminal.write(restore); }
        },
        output: (bytes, shown) => terminal.write(bytes, shown),
        size: (columns, rows) => terminal.resize(columns, rows),
      });
      link.start();
    }, () => setState({ is: 'failed', kind: 'internal', message: t.terminal.notLoaded }));
    return () => { gone = true; link?.stop(); screen?.dispose(); };
  }, []);
  return (
    <div class="terminal">
      <div class="terminal-bar"><span class="terminal-title" title={title}>{title || t.terminal.shell}</span><span class="grow" /><Link to={watchAddress(user, workspace)}>{t.watch.others}</Link></div>
      {state.is === 'connecting' && <p class="soft loading" role="status"><span class="spinner" aria-hidden="true" />{t.terminal.connecting}</p>}
      {state.is === 'lost' && <Notice kind="warn"><span class="loading grow"><span class="spinner" aria-hidden="true" />{t.terminal.lost}</span></Notice>}
      {state.is === 'failed' && <Notice kind="error">{state.message || t.errors[state.kind] || t.errors.internal}</Notice>}
      {(state.is === 'ended' || state.is === 'logged_out') && <Notice>{t.watch.ended}</Notice>}
      <div class="terminal-box watched" ref={box} />
    </div>
  );
}
