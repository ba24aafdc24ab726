// What acts for the user without their key: browsers and API tokens.
import { api, type WebSession } from '../api';
import { browserName } from '../format';
import { useLive } from '../live';
import { Button, Fingerprint, Loading, Page, When } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { Table, type Column } from '../parts/table';
import { Tokens } from '../parts/tokens';
import { t } from '../strings';

// This browser, then by when they were seen last.
const thisFirst = (a: WebSession, b: WebSession) =>
  Number(b.current ?? false) - Number(a.current ?? false) || (b.last_seen_at ?? '').localeCompare(a.last_seen_at ?? '');

export function LoginsPage() {
  return (
    <Page title={t.logins.title} lead={t.logins.lead}>
      <Browsers />
      <Tokens />
    </Page>
  );
}

function Browsers() {
  const { data, error, reload } = useLive(api.webSessions, ['web_sessions']);
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
