// For administrators: everybody's keys, by text, state and age.
import { useState } from 'preact/hooks';
import { api, type Key, type Me } from '../api';
import { olderThan } from '../format';
import { useLive, useSettled } from '../live';
import { Button, Field, Loading, Notice, Page } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { KEY_COLUMNS, keyName, revokeQuestion, RotateKey } from '../parts/keys';
import { usePaged } from '../parts/paged';
import { Table, type Column } from '../parts/table';
import { Link, setSearch, useSearch } from '../router';
import { t } from '../strings';

const STATES = ['active', 'superseded', 'expired', 'revoked'] as const;
const AGES = [30, 90, 180, 365];

export function AllKeysPage({ me }: { me: Me }) {
  const search = useSearch();
  const text = search.get('q') ?? '', state = search.get('state') ?? '', age = Number(search.get('age') ?? 0);
  const q = useSettled(text);
  const { items, error, reload, showMore } = usePaged((after) => api.searchKeys(q, state, after), ['keys', 'campaign'], [q, state]);
  const policy = useLive(api.keyPolicy, ['users']);
  const confirm = useConfirm();
  const [rotating, setRotating] = useState<Key | null>(null);
  const [done, setDone] = useState('');
  const may = me.user.role === 'admin';
  const rows = items?.filter((key) => olderThan(key.added_at, age, Date.now()));
  const revoke = (key: Key) => confirm.ask(revokeQuestion(key, async (ended) => { setDone(t.users.revoked(ended)); await reload(); }));
  const columns: Column<Key>[] = [
    { title: t.overview.user, cell: (key) => <Link to={`/admin/users/${encodeURIComponent(key.user)}`}>{key.user}</Link> }, ...KEY_COLUMNS,
    { title: t.actions, hideTitle: true, class: 'act', cell: (key) => may && (
      <>
        {key.state === 'active' && <Button kind="quiet" label={`${t.rotate.verb} ${keyName(key)}`} onClick={() => setRotating(key)}>{t.rotate.verb}</Button>}
        {key.state !== 'revoked' && <Button kind="quiet" label={t.users.revokeLabel(keyName(key))} onClick={() => revoke(key)}>{t.users.revoke}</Button>}
      </>) },
  ];
  return (
    <Page title={t.allKeys.title} lead={t.allKeys.lead}>
      <div class="filters">
        <Field label={t.search}><input type="search" value={text} placeholder={t.allKeys.searchHint} onInput={(event) => setSearch({ q: event.currentTarget.value })} /></Field>
        <Field label={t.keys.state}>
          <select value={state} onChange={(event) => setSearch({ state: event.currentTarget.value })}>
            <option value="">{t.any}</option>
            {STATES.map((name) => <option key={name} value={name}>{t.keyState[name]}</option>)}
          </select>
        </Field>
        <Field label={t.allKeys.age}>
          <select value={age} onChange={(event) => setSearch({ age: event.currentTarget.value === '0' ? '' : event.currentTarget.value })}>
            <option value={0}>{t.any}</option>
            {AGES.map((days) => <option key={days} value={days}>{t.allKeys.olderThan(days)}</option>)}
          </select>
        </Field>
      </div>
      {done && <Notice kind="good">{done}</Notice>}
      <Loading data={items} error={error} retry={reload} />
      {rows && <Table label={t.allKeys.title} rows={rows} columns={columns} rowKey={(key) => `${key.fingerprint} ${key.added_at}`} empty={t.nothingFound} />}
      {showMore && <div class="actions"><Button onClick={showMore}>{t.more}</Button></div>}
      {rotating && policy.data && <RotateKey of={rotating} policy={policy.data} unlimited={may} close={() => setRotating(null)} done={async (said) => { setDone(said); await reload(); }} />}
      {confirm.dialog}
    </Page>
  );
}
