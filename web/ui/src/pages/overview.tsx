// For administrators: the box at a glance, who is on it, and every workspace.
import type { ComponentChildren } from 'preact';
import { api, type Me, type Session, type Status, type Workspace } from '../api';
import { bytes, duration, hostOf } from '../format';
import { useLive, useNow } from '../live';
import { Badge, Button, Loading, Meter, Page, When } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { cores, Gauge, Spark } from '../parts/spark';
import { Table, type Column } from '../parts/table';
import { STATE_TONE } from '../parts/workspace';
import { Link } from '../router';
import { t } from '../strings';
import { useUsage, workspaceUsage, type Box, type Usage } from '../usage';

function Tile({ name, children }: { name: string; children: ComponentChildren }) { return <div><dt>{name}</dt><dd>{children}</dd></div>; }

const level = (part: number) => part > 0.9 ? 'bad' : part > 0.7 ? 'busy' : 'good';

// The newest figures come with the event stream; the status has them at once, where berthd itself may read them.
function Tiles({ s, at, box }: { s: Status; at: number; box: Box | undefined }) {
  const now = useNow(5000);
  const cpus = box?.cpus || s.cpus || 1, load = box?.load.at(-1) ?? s.load?.[0];
  const total = box?.memory_limit || s.memory_total, used = box?.memory.at(-1) ?? (s.memory_total && s.memory_available != null ? s.memory_total - s.memory_available : undefined);
  return (
    <dl class="tiles">
      <Tile name={t.overview.sessions}>{s.live_sessions}</Tile>
      <Tile name={t.overview.workspaces}>{s.workspaces_running ?? t.none}</Tile>
      {load !== undefined && (
        <Tile name={t.overview.load(cpus)}>{load.toFixed(2)}<Meter label={t.overview.load(cpus)} value={load} max={cpus} tone={level(load / cpus)} />
          {box && <Spark values={box.load} max={cpus} label={t.usage.history(t.overview.load(cpus), Math.max(0, ...box.load).toFixed(2))} />}</Tile>
      )}
      {box && box.cpu.length > 0 && (
        <Tile name={t.usage.cpu}>{cores(box.cpu.at(-1)!)}<span class="soft small"> / {t.usage.cores(cpus)}</span>
          <Meter label={t.usage.cpu} value={box.cpu.at(-1)!} max={cpus} tone={level(box.cpu.at(-1)! / cpus)} />
          <Spark values={box.cpu} max={cpus} label={t.usage.history(t.usage.cpu, cores(Math.max(...box.cpu)))} /></Tile>
      )}
      {used !== undefined && total && (
        <Tile name={t.overview.memory}>{bytes(used)}<span class="soft small"> / {bytes(total)}</span><Meter label={t.overview.memory} value={used} max={total} tone={level(used / total)} />
          {box && box.memory.length > 0 && <Spark values={box.memory} max={total} label={t.usage.history(t.overview.memory, bytes(Math.max(...box.memory)))} />}</Tile>
      )}
      {box && <Tile name={t.usage.gpus}>{box.gpus.length === 0 ? t.usage.noGpu : <Gpus box={box} />}</Tile>}
      <Tile name={t.overview.users}>{s.users}</Tile>
      <Tile name={t.overview.keys}>{s.keys}</Tile>
      <Tile name={t.overview.uptime}>{duration(s.uptime_s + (now - at) / 1000)}</Tile>
      <Tile name={t.overview.version}>{s.version}</Tile>
      <Tile name={t.overview.ssh}><code>{s.ssh_address}</code></Tile>
      <Tile name={t.overview.web}><code>{s.web_address}</code></Tile>
    </dl>
  );
}

// What the driver tells of each: AMD's tells how busy it is, NVIDIA's only which one it is.
function Gpus({ box }: { box: Box }) {
  return (
    <ul class="gpus">
      {box.gpus.map((gpu, i) => (
        <li key={i}>
          <span class="gpu-name">{gpu.name}</span>
          {gpu.tells && <Gauge title={t.usage.busy} values={gpu.busy} max={1} text={(part) => `${Math.round(part * 100)} %`} />}
          {gpu.tells && gpu.memory_total > 0 && <Gauge title={t.usage.memory} values={gpu.memory} max={gpu.memory_total} text={bytes} limit={bytes(gpu.memory_total)} />}
        </li>
      ))}
    </ul>
  );
}

export function OverviewPage({ me }: { me: Me }) {
  const status = useLive(async () => ({ s: await api.status(), at: Date.now() }), ['sessions', 'workspaces', 'users', 'keys']);
  const usage = useUsage();
  return (
    <Page title={t.overview.title}>
      <Loading data={status.data} error={status.error} retry={status.reload} />
      {status.data && <Tiles s={status.data.s} at={status.data.at} box={usage?.box} />}
      <WhoIsOn />
      <AllWorkspaces may={me.user.role === 'admin'} usage={usage} />
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

function AllWorkspaces({ may, usage }: { may: boolean; usage: Usage | undefined }) {
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
    { title: t.usage.cpu, class: 'figure', cell: (w) => {
      const series = workspaceUsage(usage, w.user, w.name);
      return series?.cpu.length ? <Gauge title="" values={series.cpu} max={series.cpus || 1} text={cores} /> : t.none;
    } },
    { title: t.usage.memory, class: 'figure', cell: (w) => {
      const series = workspaceUsage(usage, w.user, w.name);
      return series?.memory.length ? <Gauge title="" values={series.memory} max={series.memory_limit} text={bytes} /> : t.none;
    } },
    { title: t.overview.since, class: 'number', cell: (w) => w.started_at ? duration((now - Date.parse(w.started_at)) / 1000) : t.none },
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
