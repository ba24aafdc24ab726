// For administrators: the box at a glance, and every workspace on it.
import type { ComponentChildren } from 'preact';
import { api, type Workspace } from '../api';
import { duration } from '../format';
import { useLive, useNow } from '../live';
import { Badge, Button, Loading, Page } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { Table, type Column } from '../parts/table';
import { STATE_TONE } from '../parts/workspace';
import { Link } from '../router';
import { t } from '../strings';

export function OverviewPage() {
  const status = useLive(api.status, 5000);
  const s = status.data;
  const facts: [string, ComponentChildren][] = s ? [
    [t.overview.users, s.users], [t.overview.keys, s.keys], [t.overview.sessions, s.live_sessions], [t.overview.workspaces, s.workspaces_running],
    [t.overview.uptime, duration(s.uptime_s)], [t.overview.version, s.version], [t.overview.ssh, <code>{s.ssh_address}</code>], [t.overview.web, <code>{s.web_address}</code>],
  ] : [];
  return (
    <Page title={t.overview.title}>
      <Loading data={s} error={status.error} retry={status.reload} />
      {s && <dl class="tiles">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>}
      <AllWorkspaces />
    </Page>
  );
}

function AllWorkspaces() {
  const { data, error, reload } = useLive(api.allWorkspaces, 5000);
  const now = useNow(5000);
  const confirm = useConfirm();
  const stop = (w: Workspace) => confirm.ask({ title: t.home.stopAsk(`${w.user} / ${w.name}`), text: t.home.stopText, verb: t.home.stop,
    act: async () => { await api.stop(w); await reload(); } });
  const columns: Column<Workspace>[] = [
    { title: t.overview.user, cell: (w) => <Link to={`/admin/users/${encodeURIComponent(w.user)}`}>{w.user}</Link> },
    { title: t.overview.name, cell: (w) => <strong>{w.name}</strong> },
    { title: t.overview.state, cell: (w) => <Badge tone={STATE_TONE[w.state]}>{t.state[w.state]}</Badge> },
    { title: t.overview.image, class: 'grow', cell: (w) => <code class="break">{w.image || t.none}</code> },
    { title: t.overview.since, cell: (w) => w.started_at ? duration((now - Date.parse(w.started_at)) / 1000) : t.none },
    { title: t.home.stop, hideTitle: true, class: 'act', cell: (w) =>
      w.state === 'running' && <Button kind="quiet" label={`${t.home.stop} ${w.user} / ${w.name}`} onClick={() => stop(w)}>{t.home.stop}</Button> },
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
