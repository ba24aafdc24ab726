// What is open with the user's keys, one's own or everybody's; each can be ended here.
import { useState } from 'preact/hooks';
import { api, type Me, type Session } from '../api';
import { bytes } from '../format';
import { useLive, useTraffic } from '../live';
import type { Traffic } from '../stream';
import { Badge, Button, Loading, Page, When } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { Table, type Column } from '../parts/table';
import { Link } from '../router';
import { watchAddress } from './watch';
import { t } from '../strings';

const what = (session: Session) => session.detail || session.kind;

const WATCHED = ['shell', 'terminal', 'attach'];  // kinds of sessions that have a terminal

export function sessionColumns(everybody: boolean, ended: boolean, traffic: Traffic, end: ((session: Session) => void) | null, watcher = ''): Column<Session>[] {
  const columns: (Column<Session> | false)[] = [
    everybody && { title: t.sessions.user, cell: (s) => <Link to={`/admin/users/${encodeURIComponent(s.user)}`}>{s.user}</Link> },
    { title: t.sessions.kind, cell: (s) => everybody ? s.kind : <strong>{s.kind}</strong> },
    { title: t.sessions.workspace, cell: (s) => s.workspace || t.none },
    { title: t.sessions.what, class: 'grow', cell: (s) => <div class="two"><code class="break" title={s.detail}>{s.detail || t.none}</code>
      {s.certificate && <span class="soft">{t.sessions.certificate(s.certificate)}</span>}</div> },
    { title: t.sessions.from, cell: (s) => <span class="nowrap">{s.client_address || t.none}</span> },
    { title: t.sessions.since, cell: (s) => <When at={s.opened_at} /> },
    { title: t.sessions.traffic, class: 'number', cell: (s) => {
      const [read, written] = (!s.closed_at && traffic[s.id]) || [s.bytes_in, s.bytes_out];
      return <span class="nowrap">{bytes(read)} / {bytes(written)}</span>;
    } },
    ended && { title: t.sessions.outcome, cell: (s) => s.closed_at ? <span class="soft">{s.outcome || t.none}</span> : <Badge tone="good">{t.sessions.open}</Badge> },
    watcher !== '' && { title: t.watch.watch, hideTitle: true, class: 'act', cell: (s) => s.closed_at || s.user === watcher || !WATCHED.includes(s.kind) ? null
      : <a class="button quiet" href={watchAddress(s.user, s.workspace)} aria-label={t.watch.watchLabel(s.user)}>{t.watch.watch}</a> },
    end !== null && { title: t.sessions.end, hideTitle: true, class: 'act', cell: (s) =>
      s.closed_at ? null : <Button kind="quiet" label={t.sessions.endLabel(what(s))} onClick={() => end(s)}>{t.sessions.end}</Button> },
  ];
  return columns.filter((column) => column !== false);
}

export function SessionsPage({ me }: { me: Me }) {
  return (
    <Page title={t.sessions.title} lead={t.sessions.liveLead}>
      <MySessions me={me} />
    </Page>
  );
}

function MySessions({ me }: { me: Me }) {
  const { data, error, reload } = useLive(api.sessions, ['sessions']);
  const confirm = useConfirm();
  const traffic = useTraffic();
  const end = (s: Session) => confirm.ask({ title: t.sessions.endAsk, text: t.sessions.endText(what(s)), verb: t.sessions.end,
    act: async () => { await api.endSession(s.id); await reload(); } });
  const mine = data?.filter((s) => s.user === me.user.name && !s.closed_at);
  return (
    <>
      <Loading data={data} error={error} retry={reload} />
      {mine && <Table label={t.sessions.live} rows={mine} columns={sessionColumns(false, false, traffic, end)} rowKey={(s) => s.id} empty={t.sessions.empty} />}
      {confirm.dialog}
    </>
  );
}

export function AllSessionsPage({ me }: { me: Me }) {
  const [history, setHistory] = useState(false);
  const { data, error, reload } = useLive(() => api.allSessions(history), ['sessions'], [history]);
  const confirm = useConfirm();
  const traffic = useTraffic();
  const end = (s: Session) => confirm.ask({ title: t.sessions.endAsk, text: t.sessions.endText(`${s.user}: ${what(s)}`), verb: t.sessions.end,
    act: async () => { await api.endSession(s.id); await reload(); } });
  const choice = <label class="check"><input type="checkbox" checked={history} onChange={(event) => setHistory(event.currentTarget.checked)} /> {t.sessions.history}</label>;
  const columns = sessionColumns(true, history, traffic, me.user.role === 'admin' ? end : null, me.watching ? me.user.name : '');
  return (
    <Page title={t.sessions.allTitle} lead={t.sessions.allLead} aside={choice}>
      <Loading data={data} error={error} retry={reload} />
      {data && <Table label={t.sessions.allTitle} rows={data} columns={columns} rowKey={(s) => s.id} empty={t.sessions.empty} />}
      {confirm.dialog}
    </Page>
  );
}
