// For administrators: the box at a glance, who is on it, and every workspace.
import type { ComponentChildren } from 'preact';
import { api, type Me, type Session, type Status, type Workspace } from '../api';
import { bytes, duration, hostOf } from '../format';
import { useLive, useNow } from '../live';
import { Badge, Button, Loading, Meter, Page, When } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { Table, type Column } from '../parts/table';
import { STATE_TONE } from '../parts/workspace';
import { Link } from '../router';
import { t } from '../strings';

function Tile({ name, children }: { name: string; children: ComponentChildren }) { return <div><dt>{name}</dt><dd>{children}</dd></div>; }

const level = (part: number) => part > 0.9 ? 'bad' : part > 0.7 ? 'busy' : 'good';

function Tiles({ s, at }: { s: Status; at: number }) {
  const now = useNow(5000);
  const used = s.memory_total && s.memory_available != null ? s.memory_total - s.memory_available : null;
  return (
    <dl class="tiles">
      <Tile name={t.overview.sessions}>{s.live_sessions}</Tile>
      <Tile name={t.overview.workspaces}>{s.workspaces_running ?? t.none}</Tile>
      {s.load && s.cpus && <Tile name={t.overview.load(s.cpus)}>{s.load[0].toFixed(2)}<Meter label={t.overview.load(s.cpus)} value={s.load[0]} max={s.cpus} tone={level(s.load[0] / s.cpus)} /></Tile>}
      {used !== null && s.memory_total && <Tile name={t.overview.memory}>{bytes(used)}<span class="soft small"> / {bytes(s.memory_total)}</span><Meter label={t.overview.memory} value={used} max={s.memory_total} tone={level(used / s.memory_total)} /></Tile>}
      <Tile name={t.overview.users}>{s.users}</Tile>
      <Tile name={t.overview.keys}>{s.keys}</Tile>
      <Tile name={t.overview.uptime}>{duration(s.uptime_s + (now - at) / 1000)}</Tile>
      <Tile name={t.overview.version}>{s.version}</Tile>
      <Tile name={t.overview.ssh}><code>{s.ssh_address}</code></Tile>
      <Tile name={t.overview.web}><code>{s.web_address}</code></Tile>
    </dl>
  );
}

export function OverviewPage({ me }: { me: Me }) {
  const status = useLive(async () => ({ s: await api.status(), at: Date.now() }), ['sessions', 'workspaces', 'users', 'keys']);
  return (
    <Page title={t.overview.title}>
      <Loading data={status.data} error={status.error} retry={status.reload} />
      {status.data && <Tiles s={status.data.s} at={status.data.at} />}
      <WhoIsOn />
      <AllWorkspaces may={me.user.role === 'admin'} />
    </Page>
  );
}

interface Present { user: string; open: number; kinds: string[]; from: string[]; since: string | null; workspaces: string[] }

// One row for each user with something open, from their sessions.
export function present(sessions: Session[]): Present[] {
  const users = new Map<string, Present>();
  for (const s of sessions) {
    if (s.closed_at) continue;
    const row = users.get(s.user) ?? { user: s.user, open: 0, kinds: [], from: [], since: s.opened_at, workspaces: [] };
    const add = (list: string[], value: string) => { if (value && !list.includes(value)) list.push(value); };
    if (s.kind !== 'connection') { row.open++; add(row.kinds, s.kind); }
    add(row.from, hostOf(s.client_address));
    add(row.workspaces, s.workspace);
    if ((s.opened_at ?? '') < (row.since ?? '')) row.since = s.opened_at;
    users.set(s.user, row);
  }
  return [...users.values()].sort((a, b) => a.user.localeCompare(b.user));
}

function WhoIsOn() {
  const { data, error, reload } = useLive(() => api.allSessions(false), ['sessions']);
  const columns: Column<Present>[] = [
    { title: t.overview.user, cell: (row) => <Link to={`/admin/users/${encodeURIComponent(row.user)}`}>{row.user}</Link> },
    { title: t.overview.open, class: 'number', cell: (row) => row.open },
    { title: t.overview.doing, class: 'grow', cell: (row) => row.kinds.join(', ') || t.none },
    { title: t.overview.name, cell: (row) => row.workspaces.join(', ') || t.none },
    { title: t.sessions.from, cell: (row) => row.from.join(', ') || t.none },
    { title: t.sessions.since, cell: (row) => <When at={row.since} /> },
  ];
  return (
    <section aria-labelledby="on-title">
      <h2 id="on-title">{t.overview.onTitle}</h2>
      <Loading data={data} error={error} retry={reload} />
      {data && <Table label={t.overview.onTitle} rows={present(data)} columns={columns} rowKey={(row) => row.user} empty={t.overview.nobody} />}
    </section>
  );
}

function AllWorkspaces({ may }: { may: boolean }) {
  const { data, error, reload } = useLive(api.allWorkspaces, ['workspaces']);
  const now = useNow(5000);
  const confirm = useConfirm();
  const stop = (w: Workspace) => confirm.ask({ title: t.home.stopAsk(`${w.user} / ${w.name}`), text: t.home.stopText, verb: t.home.stop,
    act: async () => { await api.stop(w); await reload(); } });
  const columns: Column<Workspace>[] = [
    { title: t.overview.user, cell: (w) => <Link to={`/admin/users/${encodeURIComponent(w.user)}`}>{w.user}</Link> },
    { title: t.overview.name, cell: (w) => <strong>{w.name}</strong> },
    { title: t.overview.state, cell: (w) => <div class="two"><Badge tone={STATE_TONE[w.state]}>{t.state[w.state]}</Badge>{w.state === 'failed' && <span class="soft small">{w.detail}</span>}</div> },
    { title: t.overview.image, class: 'grow', cell: (w) => <code class="break">{w.image || t.none}</code> },
    { title: t.overview.since, cell: (w) => w.started_at ? duration((now - Date.parse(w.started_at)) / 1000) : t.none },
    { title: t.home.stop, hideTitle: true, class: 'act', cell: (w) =>
      may && w.state === 'running' && <Button kind="quiet" label={`${t.home.stop} ${w.user} / ${w.name}`} onClick={() => stop(w)}>{t.home.stop}</Button> },
  ];
  return (
    <section aria-labelledby="workspaces-title">
      <h2 id="workspaces-title">{t.overview.workspacesTitle}</h2>
      <Loading data={data} error={error} retry={reload} />
      {data && <Table label={t.overview.workspacesTitle} rows={data} columns={columns} rowKey={(w) => `${w.user}/${w.name}`} empty={t.overview.noWorkspaces} />}
      {confirm.dialog}
    </section>
  );
}
