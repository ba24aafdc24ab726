// Ports of the user's workspaces: open one in the browser, or open it to others for a time.
import { useState } from 'preact/hooks';
import { api, type Me, type Share, type Workspace } from '../api';
import { useLive } from '../live';
import { Button, Field, Notice, Snippet, useAction, When } from './basics';
import { useConfirm } from './confirm';
import { Table, type Column } from './table';
import { t } from '../strings';

const HOUR = 3600, DAY = 86400;
const TIMES = [HOUR, 8 * HOUR, DAY, 7 * DAY, 31 * DAY];
const portOf = (text: string) => /^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= 65535 ? Number(text) : 0;

export function Ports({ me, workspaces }: { me: Me; workspaces: Workspace[] }) {
  return <><OpenPort me={me} workspaces={workspaces} />{me.sharing && <Shares me={me} />}</>;
}

function OpenPort({ me, workspaces }: { me: Me; workspaces: Workspace[] }) {
  const [workspace, setWorkspace] = useState('main');
  const [port, setPort] = useState('');
  const [visitor, setVisitor] = useState('');
  const [everybody, setEverybody] = useState(false);
  const [time, setTime] = useState(DAY);
  const [wrong, setWrong] = useState('');
  const [made, setMade] = useState<Share | null>(null);
  const action = useAction();
  const check = (problem: string) => { setWrong(problem); return !problem; };
  const open = (event: Event) => {
    event.preventDefault();
    if (!check(portOf(port) ? '' : t.ports.badPort)) return;
    window.open(`/w/${me.user.name}/${workspace}/port/${portOf(port)}/`, '_blank', 'noopener');
  };
  const share = async () => {
    if (!check(!portOf(port) ? t.ports.badPort : !everybody && !visitor.trim() ? t.ports.whoNeeded : '')) return;
    await action.run(async () => { setMade(await api.share(workspace, portOf(port), everybody ? '*' : visitor.trim(), time)); });
  };
  return (
    <section class="panel" aria-labelledby="ports-title">
      <h2 id="ports-title">{t.ports.title}</h2>
      <p class="soft">{t.ports.lead}</p>
      <form class="stack" onSubmit={open} noValidate>
        <div class="row">
          {workspaces.length > 1 && (
            <Field label={t.ports.workspace}>
              <select value={workspace} onChange={(event) => setWorkspace(event.currentTarget.value)}>{workspaces.map((w) => <option key={w.name} value={w.name}>{w.name}</option>)}</select>
            </Field>
          )}
          <Field label={t.ports.port}><input value={port} inputMode="numeric" maxLength={5} autocomplete="off" placeholder="8501" aria-invalid={wrong !== ''} onInput={(event) => setPort(event.currentTarget.value.trim())} /></Field>
          {me.sharing && (
            <>
              <Field label={t.ports.who}><input value={visitor} maxLength={32} autocomplete="off" autocapitalize="none" disabled={everybody} onInput={(event) => setVisitor(event.currentTarget.value)} /></Field>
              <Field label={t.ports.time}><select value={time} onChange={(event) => setTime(Number(event.currentTarget.value))}>{TIMES.map((n) => <option key={n} value={n}>{n < DAY ? `${n / HOUR} ${t.unit.hour}` : `${n / DAY} ${t.unit.day}`}</option>)}</select></Field>
            </>
          )}
        </div>
        {me.sharing && <label class="check"><input type="checkbox" checked={everybody} onChange={() => setEverybody(!everybody)} /> {t.ports.everybody}</label>}
        {wrong && <p class="hint wrong" role="alert">{wrong}</p>}
        {action.error && <Notice kind="error">{action.error}</Notice>}
        {made?.url && <Notice kind="good"><div class="grow stack"><strong>{t.ports.made(String(made.port))}</strong><Snippet text={made.url} label={t.ports.address} /></div></Notice>}
        <div class="actions">
          <Button type="submit">{t.ports.open}</Button>
          {me.sharing && <Button kind="primary" busy={action.busy} onClick={share}>{t.ports.share}</Button>}
        </div>
      </form>
    </section>
  );
}

function Shares({ me }: { me: Me }) {
  const { data, reload } = useLive(api.shares, ['shares', 'keys', 'users']);
  const confirm = useConfirm();
  if (!data || data.length === 0) return null;
  const end = (share: Share) => confirm.ask({ title: t.ports.endAsk(String(share.port)), text: t.ports.endText, verb: t.ports.end, act: async () => { await api.endShare(share.id); await reload(); } });
  const columns: Column<Share>[] = [
    { title: t.ports.port, class: 'grow', cell: (share) => (
      <div class="two"><strong>{share.url ? <a href={share.url} target="_blank" rel="noopener">{share.port}<span class="hidden"> {t.home.newTab}</span></a> : share.port}</strong>
        <span class="soft small">{share.owner === me.user.name ? share.workspace : `${share.owner} · ${share.workspace}`}</span></div>) },
    { title: t.ports.who, cell: (share) => share.with ?? t.ports.everybody },
    { title: t.keys.expires, cell: (share) => <When at={share.expires_at} /> },
    { title: t.ports.end, hideTitle: true, class: 'act', cell: (share) => share.owner === me.user.name && <Button kind="quiet" label={t.ports.endAsk(String(share.port))} onClick={() => end(share)}>{t.ports.end}</Button> },
  ];
  return (
    <section aria-labelledby="shares-title">
      <h2 id="shares-title">{t.ports.shared}</h2>
      <Table label={t.ports.shared} rows={data} columns={columns} rowKey={(share) => share.id} empty="" />
      {confirm.dialog}
    </section>
  );
}
