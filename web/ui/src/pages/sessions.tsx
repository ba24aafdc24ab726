// What is open by SSH and by browser, one's own or everybody's; each can be ended here.
import { useState } from 'preact/hooks';
import { api, type Me, type Session, type WebSession } from '../api';
import { browserName, bytes } from '../format';
import { useLive } from '../live';
import { Button, Fingerprint, Loading, Page, When } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { Table, type Column } from '../parts/table';
import { t } from '../strings';

const what = (session: Session) => session.detail || session.kind;

function sessionColumns(everybody: boolean, ended: boolean, end: ((session: Session) => void) | null): Column<Session>[] {
  const columns: (Column<Session> | false)[] = [
    everybody && { title: t.sessions.user, cell: (s) => <strong>{s.user}</strong> },
    { title: t.sessions.kind, cell: (s) => everybody ? s.kind : <strong>{s.kind}</strong> },
    { title: t.sessions.workspace, cell: (s) => s.workspace || t.none },
    { title: t.sessions.what, class: 'grow', cell: (s) => <code class="break">{s.detail || t.none}</code> },
    { title: t.sessions.from, cell: (s) => <span class="nowrap">{s.client_address || t.none}</span> },
    { title: t.sessions.since, cell: (s) => <When at={s.opened_at} /> },
    { title: t.sessions.traffic, cell: (s) => <span class="nowrap number">{bytes(s.bytes_in)} / {bytes(s.bytes_out)}</span> },
    ended && { title: t.sessions.outcome, cell: (s) => s.outcome || t.none },
    end !== null && { title: t.sessions.end, hideTitle: true, class: 'act', cell: (s) =>
      s.closed_at ? null : <Button kind="quiet" label={t.sessions.endLabel(what(s))} onClick={() => end(s)}>{t.sessions.end}</Button> },
  ];
  return columns.filter((column) => column !== false);
}

export function SessionsPage({ me }: { me: Me }) {
  return (
    <Page title={t.sessions.title}>
      <MySessions me={me} />
      <Browsers />
    </Page>
  );
}

function MySessions({ me }: { me: Me }) {
  const { data, error, reload } = useLive(api.sessions, 4000);
  const confirm = useConfirm();
  const end = (s: Session) => confirm.ask({ title: t.sessions.endAsk, text: t.sessions.endText(what(s)), verb: t.sessions.end,
    act: async () => { await api.endSession(s.id); await reload(); } });
  const mine = data?.filter((s) => s.user === me.user.name && !s.closed_at);
  return (
    <section aria-labelledby="live-title">
      <h2 id="live-title">{t.sessions.live}</h2>
      <p class="soft">{t.sessions.liveLead}</p>
      <Loading data={data} error={error} retry={reload} />
      {mine && <Table label={t.sessions.live} rows={mine} columns={sessionColumns(false, false, end)} rowKey={(s) => s.id} empty={t.sessions.empty} />}
      {confirm.dialog}
    </section>
  );
}

// This browser, then by when they were seen last.
const thisFirst = (a: WebSession, b: WebSession) =>
  Number(b.current ?? false) - Number(a.current ?? false) || (b.last_seen_at ?? '').localeCompare(a.last_seen_at ?? '');

function Browsers() {
  const { data, error, reload } = useLive(api.webSessions, 10000);
  const confirm = useConfirm();
  const end = (s: WebSession) => confirm.ask({ title: t.sessions.endBrowserAsk, text: t.sessions.endBrowserText, verb: t.logOut,
    act: async () => { await api.endWebSession(s.id); await reload(); } });
  const columns: Column<WebSession>[] = [
    { title: t.sessions.browser, class: 'grow', cell: (s) => <div class="two"><strong>{browserName(s.user_agent)}</strong>{s.current && <span class="soft">{t.sessions.thisOne}</span>}</div> },
    { title: t.sessions.from, cell: (s) => s.address },
    { title: t.sessions.key, cell: (s) => <Fingerprint value={s.key_fingerprint} /> },
    { title: t.sessions.started, cell: (s) => <When at={s.created_at} /> },
    { title: t.sessions.seen, cell: (s) => <When at={s.last_seen_at} /> },
    { title: t.sessions.expires, cell: (s) => <When at={s.expires_at} /> },
    { title: t.logOut, hideTitle: true, class: 'act', cell: (s) => <Button kind="quiet" label={`${t.logOut}: ${browserName(s.user_agent)}`} onClick={() => end(s)}>{t.logOut}</Button> },
  ];
  return (
    <section aria-labelledby="browsers-title">
      <h2 id="browsers-title">{t.sessions.browsers}</h2>
      <p class="soft">{t.sessions.browsersLead}</p>
      <Loading data={data} error={error} retry={reload} />
      {data && <Table label={t.sessions.browsers} rows={[...data].sort(thisFirst)} columns={columns} rowKey={(s) => s.id} empty={t.sessions.noBrowsers} />}
      {confirm.dialog}
    </section>
  );
}

export function AllSessionsPage({ me }: { me: Me }) {
  const [history, setHistory] = useState(false);
  const { data, error, reload } = useLive(() => api.allSessions(history), 4000, [history]);
  const confirm = useConfirm();
  const end = (s: Session) => confirm.ask({ title: t.sessions.endAsk, text: t.sessions.endText(`${s.user}: ${what(s)}`), verb: t.sessions.end,
    act: async () => { await api.endSession(s.id); await reload(); } });
  const choice = <label class="check"><input type="checkbox" checked={history} onChange={(event) => setHistory(event.currentTarget.checked)} /> {t.sessions.history}</label>;
  const columns = sessionColumns(true, history, me.user.role === 'admin' ? end : null);
  return (
    <Page title={t.sessions.allTitle} lead={t.sessions.allLead} aside={choice}>
      <Loading data={data} error={error} retry={reload} />
      {data && <Table label={t.sessions.allTitle} rows={data} columns={columns} rowKey={(s) => s.id} empty={t.sessions.empty} />}
      {confirm.dialog}
    </Page>
  );
}
