// A campaign asks everybody with old keys to rotate by a deadline: start one (after seeing whom it would ask), follow it, end it.
import { useState } from 'preact/hooks';
import { api, type Campaign, type Me, type StartCampaign } from '../api';
import { duration } from '../format';
import { useLive } from '../live';
import { Badge, Button, Field, Fingerprint, Loading, Meter, Notice, Page, useAction, When } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { Table, type Column } from '../parts/table';
import { Link } from '../router';
import { t } from '../strings';

const DAY = 86400;

export function CampaignPage({ me }: { me: Me }) {
  const { data, error, reload } = useLive(async () => ({ campaign: await api.campaign() }), ['campaign', 'keys', 'users']);
  const confirm = useConfirm();
  const campaign = data?.campaign;
  const running = campaign?.state === 'running';
  const may = me.user.role === 'admin';
  const end = () => confirm.ask({ title: t.campaign.endAsk, text: t.campaign.endText, verb: t.campaign.end, act: async () => { await api.endCampaign(); await reload(); } });
  return (
    <Page title={t.campaign.title} lead={t.campaign.lead} aside={running && may && <Button onClick={end}>{t.campaign.end}</Button>}>
      <Loading data={data} error={error} retry={reload} />
      {campaign && <Progress campaign={campaign} />}
      {data && !running && may && <Start started={reload} />}
      {data && !campaign && !may && <p class="empty soft">{t.campaign.none}</p>}
      {confirm.dialog}
    </Page>
  );
}

function Progress({ campaign: c }: { campaign: Campaign }) {
  const [all, setAll] = useState(false);
  const tone = c.state === 'running' ? 'busy' : c.state === 'done' ? 'good' : 'calm';
  const share = c.total ? Math.round(100 * c.done / c.total) : 100;
  return (
    <>
      <section class="panel" aria-labelledby="progress-title">
        <div class="panel-head"><h2 id="progress-title">{t.campaign.progress(c.done, c.total)}</h2><Badge tone={tone}>{t.campaignState[c.state]}</Badge></div>
        <Meter label={t.campaign.progress(c.done, c.total)} value={c.done} max={c.total} />
        <p class="facts soft">
          <span>{t.campaign.share(share)}</span>
          <span>{t.campaign.older(duration(c.older_than_s))}</span>
          <span>{t.campaign.deadline} <When at={c.deadline_at} /></span>
          <span>{t.campaign.then[c.action]}</span>
          <span>{t.campaign.startedBy(c.started_by)} <When at={c.started_at} /></span>
        </p>
        {c.message && <blockquote>{c.message}</blockquote>}
      </section>
      <section aria-labelledby="who-title">
        <div class="panel-head"><h2 id="who-title">{t.campaign.who}</h2>
          <label class="check"><input type="checkbox" checked={all} onChange={(event) => setAll(event.currentTarget.checked)} /> {t.campaign.showDone}</label></div>
        <Items campaign={c} all={all} />
      </section>
    </>
  );
}

function Items({ campaign, all }: { campaign: Campaign; all: boolean }) {
  type Item = Campaign['items'][number];
  const columns: Column<Item>[] = [
    { title: t.overview.user, cell: (item) => <Link to={`/admin/users/${encodeURIComponent(item.user)}`}>{item.user}</Link> },
    { title: t.campaign.state, cell: (item) => <Badge tone={item.done ? 'good' : 'busy'}>{item.done ? t.campaign.hasRotated : t.campaign.open}</Badge> },
    { title: t.users.keys, class: 'grow', cell: (item) => <ul class="plain">{item.keys.map((key) => <li key={key.fingerprint}>{key.comment || <Fingerprint value={key.fingerprint} />} <span class="soft small">{t.keyState[key.state]}, {t.users.since('')}<When at={key.added_at} /></span></li>)}</ul> },
    { title: t.campaign.doneAt, cell: (item) => item.done ? <When at={item.done_at} /> : <span class="soft">{t.none}</span> },
  ];
  return <Table label={t.campaign.who} rows={campaign.items.filter((item) => all || !item.done)} columns={columns} rowKey={(item) => item.user} empty={campaign.total ? t.campaign.allDone : t.campaign.nobody} />;
}

function Days({ label, value, change }: { label: string; value: number; change: (days: number) => void }) {
  return <Field label={label}><input type="number" min={0} max={3650} value={value} onInput={(event) => change(Number(event.currentTarget.value))} /></Field>;
}

function Start({ started }: { started: () => Promise<void> }) {
  const [older, setOlder] = useState(90);
  const [deadline, setDeadline] = useState(30);
  const [act, setAct] = useState<'supersede' | 'expire'>('supersede');
  const [message, setMessage] = useState('');
  const [plan, setPlan] = useState<Campaign | null>(null);
  const action = useAction();
  const confirm = useConfirm();
  const asked: StartCampaign = { older_than_s: older * DAY, deadline_s: deadline * DAY, action: act, ...(message.trim() && { message: message.trim() }) };
  const change = <T,>(set: (value: T) => void) => (value: T) => { set(value); setPlan(null); };
  const dryRun = async (event: Event) => {
    event.preventDefault();
    await action.run(async () => setPlan(await api.startCampaign({ ...asked, dry_run: true })));
  };
  const start = () => confirm.ask({ title: t.campaign.startAsk(plan!.total), text: t.campaign.startText, verb: t.campaign.start, calm: true,
    act: async () => { await api.startCampaign(asked); setPlan(null); await started(); } });
  return (
    <section class="panel" aria-labelledby="start-title">
      <h2 id="start-title">{t.campaign.startTitle}</h2>
      <form class="stack" onSubmit={dryRun} noValidate>
        <div class="row">
          <Days label={t.campaign.olderField} value={older} change={change(setOlder)} />
          <Days label={t.campaign.deadlineField} value={deadline} change={change(setDeadline)} />
          <Field label={t.campaign.actionField}>
            <select value={act} onChange={(event) => change(setAct)(event.currentTarget.value as 'supersede' | 'expire')}>
              <option value="supersede">{t.campaign.then.supersede}</option><option value="expire">{t.campaign.then.expire}</option>
            </select>
          </Field>
        </div>
        <Field label={t.campaign.messageField} hint={t.campaign.messageHint}><input value={message} maxLength={500} onInput={(event) => setMessage(event.currentTarget.value)} /></Field>
        {action.error && <Notice kind="error">{action.error}</Notice>}
        <div class="actions"><Button type="submit" busy={action.busy}>{t.campaign.dryRun}</Button></div>
      </form>
      {plan && (
        <>
          <Notice>{t.campaign.would(plan.total, plan.items.reduce((sum, item) => sum + item.keys.length, 0))}</Notice>
          {plan.total > 0 && <><Items campaign={plan} all /><div class="actions"><Button kind="primary" onClick={start}>{t.campaign.start}</Button></div></>}
        </>
      )}
      {confirm.dialog}
    </section>
  );
}
