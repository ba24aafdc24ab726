// One user for administrators: role, keys, what they have open.
import { useState } from 'preact/hooks';
import { api, type Key, type KeyExceptions, type Me, type Session, type User } from '../api';
import { day } from '../format';
import { useLive, useTraffic } from '../live';
import { Button, Loading, Notice, Page, useAction, When } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { AddKey, byUse, KEY_COLUMNS, keyName, revokeQuestion, RotateKey } from '../parts/keys';
import { Table, type Column } from '../parts/table';
import { Link, navigate } from '../router';
import { t } from '../strings';
import { sessionColumns } from './sessions';
import { RoleChoice, stateOf } from './users';

export function UserPage({ me, name }: { me: Me; name: string }) {
  const { data, error, reload } = useLive(() => api.user(name), ['users', 'keys', 'campaign'], [name]);
  const policy = useLive(api.keyPolicy, ['users']);
  const confirm = useConfirm();
  const action = useAction();
  const [done, setDone] = useState('');
  const [rotating, setRotating] = useState<Key | null>(null);
  const may = me.user.role === 'admin';
  const revoke = (key: Key) => confirm.ask(revokeQuestion(key, async (ended) => { setDone(t.users.revoked(ended)); await reload(); }));
  const columns: Column<Key>[] = [...KEY_COLUMNS, { title: t.actions, hideTitle: true, class: 'act', cell: (key) => may && (
    <>
      {key.state === 'active' && <Button kind="quiet" label={`${t.rotate.verb} ${keyName(key)}`} onClick={() => setRotating(key)}>{t.rotate.verb}</Button>}
      {key.state !== 'revoked' && <Button kind="quiet" label={t.users.revokeLabel(keyName(key))} onClick={() => revoke(key)}>{t.users.revoke}</Button>}
    </>) }];
  return (
    <Page title={name} aside={<Link to="/admin/users">{t.users.back}</Link>}>
      {action.error && <Notice kind="error">{action.error}</Notice>}
      <Loading data={data} error={error} retry={reload} />
      {data && (
        <>
          <div class="facts user-facts">
            {stateOf(data)}<span class="soft">{t.users.since('')}<When at={data.created_at} /></span>
            {!may || data.name === me.user.name ? <span>{t.role[data.role]}</span> : <UserActions user={data} changed={reload} ask={confirm.ask} run={action.run} />}
          </div>
          {data.key_exceptions && <Exceptions of={data.key_exceptions} />}
          {data.forwards && <Notice><span class="grow"><strong>{t.users.forwards}.</strong> {Object.entries(data.forwards).map(([name, list]) => `${name} = ${list.join(' ') || t.none}`).join('; ')}</span></Notice>}
          <section aria-labelledby="keys-title">
            <h2 id="keys-title">{t.users.keysOf(name)}</h2>
            {done && <Notice kind="good">{done}</Notice>}
            <Table label={t.users.keysOf(name)} rows={[...data.key_list].sort(byUse)} columns={columns} rowKey={(key) => `${key.fingerprint} ${key.added_at}`} empty={t.users.noKeys} />
          </section>
          <OpenNow name={name} may={may} ask={confirm.ask} />
          {may && <AddKey user={name} added={reload} />}
        </>
      )}
      {rotating && policy.data && <RotateKey of={rotating} policy={policy.data} unlimited={may} close={() => setRotating(null)} done={async (text) => { setDone(text); await reload(); }} />}
      {confirm.dialog}
    </Page>
  );
}

function Exceptions({ of }: { of: KeyExceptions }) {
  const { reason, until, set_by, set_at, ...limits } = of;
  return (
    <Notice>
      <span class="grow"><strong>{t.users.exceptions}.</strong> {Object.entries(limits).map(([name, value]) => `${name} = ${Array.isArray(value) ? value.join(' ') : String(value)}`).join('; ')}
        {reason && <> · {reason}</>}{set_by && <span class="soft"> · {t.users.setBy(set_by)} <When at={set_at ?? null} /></span>}{until && <span class="soft"> · {t.notice.until} {day(until)}</span>}</span>
    </Notice>
  );
}

function OpenNow({ name, may, ask }: { name: string; may: boolean; ask: ReturnType<typeof useConfirm>['ask'] }) {
  const { data, error, reload } = useLive(() => api.sessionsOf(name), ['sessions'], [name]);
  const traffic = useTraffic();
  const end = (s: Session) => ask({ title: t.sessions.endAsk, text: t.sessions.endText(`${s.user}: ${s.detail || s.kind}`), verb: t.sessions.end,
    act: async () => { await api.endSession(s.id); await reload(); } });
  return (
    <section aria-labelledby="open-title">
      <h2 id="open-title">{t.users.openNow}</h2>
      <Loading data={data} error={error} retry={reload} />
      {data && <Table label={t.users.openNow} rows={data} columns={sessionColumns(false, false, traffic, may ? end : null)} rowKey={(s) => s.id} empty={t.sessions.empty} />}
    </section>
  );
}

interface UserActionsProps {
  user: User;
  changed: () => Promise<void>;
  ask: ReturnType<typeof useConfirm>['ask'];
  run: ReturnType<typeof useAction>['run'];
}

function UserActions({ user, changed, ask, run }: UserActionsProps) {
  const set = (change: () => Promise<unknown>) => async () => { await change(); await changed(); };
  const enable = set(() => api.setDisabled(user.name, false));
  const disable = () => ask({ title: t.users.disableAsk(user.name), text: t.users.disableText, verb: t.users.disable, act: set(() => api.setDisabled(user.name, true)) });
  const remove = () => ask({ title: t.users.removeAsk(user.name), text: t.users.removeText, verb: t.users.remove,
    act: async () => { await api.removeUser(user.name); navigate('/admin/users'); } });
  return (
    <div class="actions">
      <RoleChoice value={user.role} label={t.users.roleOf(user.name)} change={(role) => void run(set(() => api.setRole(user.name, role)))} />
      {user.disabled ? <Button onClick={() => run(enable)}>{t.users.enable}</Button> : <Button onClick={disable}>{t.users.disable}</Button>}
      <Button kind="quiet" onClick={remove}>{t.users.remove}</Button>
    </div>
  );
}
