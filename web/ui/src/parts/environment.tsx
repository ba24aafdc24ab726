// Parts of an environment's page: who else may use and change it, what is in a revision, and what differs between two.
import { useState } from 'preact/hooks';
import { api, type EnvironmentDetail, type ListedPackage, type PlanDiff } from '../api';
import { bytes } from '../format';
import { useLive } from '../live';
import { t } from '../strings';
import { Button, Field, Loading, Notice, useAction } from './basics';
import { useConfirm } from './confirm';
import { Table, type Column } from './table';
import { navigate } from '../router';

export function Sharing({ of, changed }: { of: EnvironmentDetail; changed: () => Promise<void> }) {
  const [line, setLine] = useState(''), [user, setUser] = useState('');
  const confirm = useConfirm();
  const action = useAction();
  const share = () => confirm.ask({ title: t.environments.shareAsk(of.name), text: t.environments.shareText, verb: t.environments.share, calm: true,
    act: async () => { await api.shareEnvironment(of, setLine); navigate(`/environments/team/${encodeURIComponent(of.name)}`); } });
  const add = (event: Event) => {
    event.preventDefault();
    void action.run(async () => { await api.addMaintainer(of, user); setUser(''); await changed(); });
  };
  if (of.scope === 'personal') {
    if (!of.may_change) return null;
    return <div class="actions"><Button onClick={share}>{t.environments.share}</Button>{line && <span class="soft" role="status">{line}</span>}{confirm.dialog}</div>;
  }
  return (
    <section class="panel" aria-labelledby="sharing-title">
      <h2 id="sharing-title">{t.environments.maintainers}</h2>
      <p class="soft">{t.environments.teamText}</p>
      {action.error && <Notice kind="error">{action.error}</Notice>}
      <ul class="plain">
        {of.maintainers.map((name) => (
          <li class="facts" key={name}>{name}{of.may_change && <Button kind="quiet" label={`${t.home.remove} ${name}`} onClick={() => action.run(async () => { await api.removeMaintainer(of, name); await changed(); })}>{t.home.remove}</Button>}</li>
        ))}
      </ul>
      {of.may_change && (
        <form class="filters" onSubmit={add} noValidate>
          <Field label={t.environments.newMaintainer} class="short"><input value={user} maxLength={32} autocomplete="off" autocapitalize="none" spellcheck={false} onInput={(event) => setUser(event.currentTarget.value.trim())} /></Field>
          <Button type="submit" busy={action.busy} disabled={user === ''}>{t.environments.add_}</Button>
        </form>
      )}
    </section>
  );
}

export function Packages({ of }: { of: EnvironmentDetail }) {
  const [text, setText] = useState(''), [number, setNumber] = useState(of.revision ?? 0), [from, setFrom] = useState(0);
  const { data, error, reload } = useLive(() => api.packages(of, number), [], [number]);
  const { data: diff } = useLive(() => from ? api.environmentDiff(of, from, number) : Promise.resolve(null), [], [from, number]);
  const columns: Column<ListedPackage>[] = [
    { title: t.environments.package, class: 'grow', cell: (p) => <strong>{p.name}</strong> },
    { title: t.environments.versionOf, cell: (p) => <code>{p.version}</code> },
    { title: t.environments.build, cell: (p) => <code class="break">{p.build || p.kind}</code> },
    { title: t.environments.size, class: 'number', cell: (p) => bytes(p.size_bytes) },
  ];
  const choices = of.revision_list.map((r) => <option value={r.number} key={r.number}>{r.number}</option>);
  return (
    <section class="panel" aria-labelledby="packages-title">
      <h2 id="packages-title">{t.environments.packages}</h2>
      <div class="filters">
        <Field label={t.environments.search}><input type="search" value={text} onInput={(event) => setText(event.currentTarget.value)} /></Field>
        <Field label={t.environments.revision}><select value={number} onChange={(event) => setNumber(Number(event.currentTarget.value))}>{choices}</select></Field>
        <Field label={t.environments.compare}><select value={from} onChange={(event) => setFrom(Number(event.currentTarget.value))}><option value={0}>{t.none}</option>{choices}</select></Field>
      </div>
      {diff && <Difference diff={diff} unchanged={diff.added.length + diff.removed.length + diff.changed.length === 0} />}
      <Loading data={data} error={error} retry={reload} />
      {data && <Table label={t.environments.packages} rows={data.filter((p) => p.name.includes(text.trim().toLowerCase()))} columns={columns} rowKey={(p) => `${p.kind}/${p.name}`} empty={t.none} />}
    </section>
  );
}

export function Difference({ diff, unchanged }: { diff: PlanDiff; unchanged: boolean }) {
  if (unchanged) return <Notice>{t.environments.unchanged}</Notice>;
  return (
    <ul class="plain diff" aria-label={t.environments.difference}>
      {diff.added.map((p) => <li key={`+${p.name}`}><code>+ {p.name} {p.version}</code></li>)}
      {diff.removed.map((p) => <li key={`-${p.name}`}><code>− {p.name} {p.version}</code></li>)}
      {diff.changed.map((p) => <li key={`~${p.name}`}><code>~ {p.name} {p.from.version} → {p.to.version}</code></li>)}
    </ul>
  );
}
