// Conda environments: what there is, its revisions; plan from an environment.yml, see what would change, install, go back.
import { useState } from 'preact/hooks';
import { api, type Environment, type EnvironmentDetail, type Me, type Plan, type Revision } from '../api';
import { bytes, validName } from '../format';
import { useLive } from '../live';
import { Badge, Button, Field, Loading, Notice, Page, useAction, When } from '../parts/basics';
import { BuildView, useBuild } from '../parts/build';
import { useConfirm } from '../parts/confirm';
import { Difference, Packages, Sharing } from '../parts/environment';
import { Table, type Column } from '../parts/table';
import { Link } from '../router';
import { t } from '../strings';

const address = (e: Environment) => `/environments/${e.scope === 'team' ? 'team/' : ''}${encodeURIComponent(e.name)}`;
const nameOf = (e: Environment) => (e.scope === 'team' ? 'team/' : '') + e.name;

function columnsOf(link: (e: Environment) => preact.JSX.Element): Column<Environment>[] {
  return [
    { title: t.environments.name, class: 'grow', cell: (e) => <div class="two">{link(e)}<Marks of={e} /></div> },
    { title: t.environments.revision, class: 'number', cell: (e) => e.revision ?? t.none },
    { title: t.environments.packages, class: 'number', cell: (e) => e.packages },
    { title: t.environments.size, class: 'number', cell: (e) => bytes(e.size_bytes) },
    { title: t.environments.updated, cell: (e) => <When at={e.updated_at} /> },
  ];
}

export function EnvironmentsPage({ me }: { me: Me }) {
  const { data, error, reload } = useLive(api.environments, ['environments']);
  const { data: used } = useLive(api.environmentsUsed, ['environments']);
  const columns = columnsOf((e) => <Link to={address(e)}>{nameOf(e)}</Link>);
  return (
    <Page title={t.environments.title} lead={t.environments.lead}>
      <Loading data={data} error={error} retry={reload} />
      {data && <Table label={t.environments.title} rows={data.filter((e) => e.user === me.user.name || e.scope === 'team')} columns={columns} rowKey={nameOf} empty={t.environments.empty} />}
      {used && <p class="soft">{used.quota_bytes === null ? t.environments.disk(bytes(used.used_bytes)) : t.environments.diskOf(bytes(used.used_bytes), bytes(used.quota_bytes))}</p>}
      {data && <Install user={me.user.name} done={reload} />}
    </Page>
  );
}

// For administrators: everybody's, each with its own page.
export function AllEnvironmentsPage() {
  const { data, error, reload } = useLive(api.allEnvironments, ['environments']);
  const [text, setText] = useState('');
  const shown = data?.filter((e) => `${e.user}/${e.name}`.includes(text.trim().toLowerCase()));
  const columns = [
    ...columnsOf((e) => <Link to={`/admin/environments/${encodeURIComponent(e.user)}/${encodeURIComponent(e.name)}`}>{nameOf(e)}</Link>),
    { title: t.environments.owner, cell: (e: Environment) => e.scope === 'team' ? e.maintainers.join(', ') : e.user },
  ];
  return (
    <Page title={t.environments.everybodyTitle} lead={t.environments.everybodyLead}>
      <div class="filters"><Field label={t.search}><input type="search" value={text} onInput={(event) => setText(event.currentTarget.value)} /></Field></div>
      <Loading data={data} error={error} retry={reload} />
      {shown && <Table label={t.environments.everybodyTitle} rows={shown} columns={columns} rowKey={(e) => `${e.user}/${e.name}`} empty={text ? t.nothingFound : t.environments.empty} />}
    </Page>
  );
}

// What is particular about one: it is the default, and how it came out when it was built again.
function Marks({ of: e }: { of: Environment }) {
  const bad = e.verification && e.verification.result !== 'ok';
  return (
    <span class="facts">
      {e.default && <Badge tone="good">{t.environments.default}</Badge>}
      {e.verification && <span title={e.verification.detail}><Badge tone={bad ? 'bad' : 'calm'}>{t.environments.verified[e.verification.result]}</Badge></span>}
    </span>
  );
}

// `own`: it may be the viewer's default.
export function EnvironmentPage({ owner, name, back, own = false }: { owner: string; name: string; back: string; own?: boolean }) {
  const { data, error, reload } = useLive(() => api.environment(owner, name), ['environments'], [owner, name]);
  const confirm = useConfirm();
  const action = useAction();
  const roll = (revision: Revision) => confirm.ask({ title: t.environments.rollAsk(revision.number), text: t.environments.rollText, verb: t.environments.roll, calm: true,
    act: async () => { await api.rollback(data!, revision.number); await reload(); } });
  const remove = () => confirm.ask({ title: t.environments.removeAsk(name), text: t.environments.removeText, verb: t.home.remove,
    act: async () => { await api.removeEnvironment(data!); history.back(); } });
  const columns: Column<Revision>[] = [
    { title: t.environments.revision, class: 'number', cell: (r) => <strong>{r.number}</strong> },
    { title: t.environments.state, cell: (r) => r.current ? <Badge tone="good">{t.environments.current}</Badge> : <Badge tone="calm">{t.environments.kept}</Badge> },
    { title: t.environments.packages, class: 'number', cell: (r) => r.packages },
    { title: t.environments.size, class: 'number', cell: (r) => bytes(r.size_bytes) },
    { title: t.environments.made, class: 'grow', cell: (r) => <><When at={r.created_at} /> <span class="soft">{r.created_by}</span></> },
    { title: t.environments.roll, hideTitle: true, class: 'act', cell: (r) => !r.current && data?.may_change && <Button kind="quiet" label={`${t.environments.roll} ${r.number}`} onClick={() => roll(r)}>{t.environments.roll}</Button> },
  ];
  const setDefault = () => action.run(async () => { await api.setDefaultEnvironment(data!, !data!.default); await reload(); });
  return (
    <Page title={owner === 'team' ? `team/${name}` : name} lead={own || owner === 'team' ? undefined : owner} aside={<><Link to={back}>{t.environments.all}</Link>{data && own && <Button onClick={setDefault}>{data.default ? t.environments.notDefault : t.environments.makeDefault}</Button>}{data?.may_change && <Button kind="quiet" onClick={remove}>{t.home.remove}</Button>}</>}>
      {action.error && <Notice kind="error">{action.error}</Notice>}
      <Loading data={data} error={error} retry={reload} />
      {data && (
        <>
          {data.verification && data.verification.result !== 'ok' && <Notice kind="warn">{t.environments.verified[data.verification.result]}: {data.verification.detail}</Notice>}
          <Table label={t.environments.revisions} rows={data.revision_list} columns={columns} rowKey={(r) => String(r.number)} empty={t.none} />
          <Sharing of={data} changed={reload} />
          <Packages of={data} key={`packages-${data.revision}`} />
          {data.may_change && <Install user={owner} of={data} done={reload} key={data.revision ?? 0} />}
        </>
      )}
      {confirm.dialog}
    </Page>
  );
}

const SAMPLE = 'dependencies:\n  - python=3.12\n  - numpy\n';

function Install({ user, of, done }: { user: string; of?: EnvironmentDetail; done: () => Promise<void> }) {
  const [name, setName] = useState(of?.name ?? '');
  const [yaml, setYaml] = useState(of?.yaml ?? SAMPLE);
  const [plan, setPlan] = useState<Plan | null>(null);
  const [wrong, setWrong] = useState('');
  const action = useAction(), build = useBuild();
  const look = (event: Event) => {
    event.preventDefault();
    setWrong(validName(name) ? '' : t.users.badName);
    if (validName(name)) void action.run(async () => { setPlan(null); setPlan(await build.run(() => api.planEnvironment(user, name, yaml, build.told))); });
  };
  const install = () => action.run(async () => { await build.run(() => api.installEnvironment(user, name, plan!.plan, build.told)); setPlan(null); await done(); });
  return (
    <section class="panel" aria-labelledby="install-title">
      <h2 id="install-title">{of ? t.environments.change : t.environments.add}</h2>
      <form class="stack" onSubmit={look} noValidate>
        {!of && <Field label={t.environments.name} wrong={wrong} class="short"><input value={name} maxLength={32} autocomplete="off" autocapitalize="none" spellcheck={false} onInput={(event) => { setName(event.currentTarget.value.trim()); setPlan(null); }} /></Field>}
        <Field label="environment.yml"><textarea rows={8} value={yaml} spellcheck={false} onInput={(event) => { setYaml(event.currentTarget.value); setPlan(null); }} /></Field>
        <div class="actions"><Button type="submit" busy={action.busy && !plan}>{t.environments.plan}</Button></div>
      </form>
      <BuildView of={build} />
      {action.error && <Notice kind="error"><span class="lines">{action.error}</span></Notice>}
      {plan && (
        <>
          {plan.warnings.map((warning) => <Notice kind="warn" key={warning}>{warning}</Notice>)}
          <Difference diff={plan.diff} unchanged={plan.unchanged} />
          {!plan.unchanged && <div class="actions"><Button kind="primary" onClick={install}>{t.environments.install(plan.packages, bytes(plan.download_bytes))}</Button></div>}
        </>
      )}
    </section>
  );
}
