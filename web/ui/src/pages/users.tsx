// For administrators: users and their keys.
import { useState } from 'preact/hooks';
import { api, type Key, type Me, type Role, type User } from '../api';
import { validName } from '../format';
import { useLive } from '../live';
import { Badge, Button, Loading, Notice, Page, useAction, When } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { Table, type Column } from '../parts/table';
import { Link, navigate } from '../router';
import { t } from '../strings';
import { byUse, KEY_COLUMNS, keyName } from './keys';

const ROLES: Role[] = ['user', 'auditor', 'admin'];
const stateOf = (user: User) => user.disabled
  ? <Badge tone="bad">{t.users.disabledState}</Badge> : <Badge tone="good">{t.users.enabled}</Badge>;

export function UsersPage({ me }: { me: Me }) {
  const { data, error, reload } = useLive(api.users, 10000);
  const confirm = useConfirm();
  const action = useAction();
  const toggle = (user: User) => {
    const change = async () => { await api.setDisabled(user.name, !user.disabled); await reload(); };
    if (user.disabled) return action.run(change);
    confirm.ask({ title: t.users.disableAsk(user.name), text: t.users.disableText, verb: t.users.disable, act: change });
    return undefined;
  };
  const columns: Column<User>[] = [
    { title: t.users.name, class: 'grow', cell: (user) => <Link to={`/admin/users/${encodeURIComponent(user.name)}`}>{user.name}</Link> },
    { title: t.users.state, cell: stateOf },
    { title: t.users.role, cell: (user) => t.role[user.role] },
    { title: t.users.keys, class: 'number', cell: (user) => user.keys },
    { title: t.users.created, cell: (user) => <When at={user.created_at} /> },
    { title: t.users.disable, hideTitle: true, class: 'act', cell: (user) => user.name !== me.user.name && (
      <Button kind="quiet" label={`${user.disabled ? t.users.enable : t.users.disable} ${user.name}`} onClick={() => toggle(user)}>
        {user.disabled ? t.users.enable : t.users.disable}
      </Button>) },
  ];
  return (
    <Page title={t.users.title}>
      {action.error && <Notice kind="error">{action.error}</Notice>}
      <Loading data={data} error={error} retry={reload} />
      {data && <Table label={t.users.title} rows={data} columns={columns} rowKey={(user) => user.name} empty={t.users.empty} />}
      <AddUser />
      {confirm.dialog}
    </Page>
  );
}

function RoleChoice({ value, label, change }: { value: Role; label: string; change: (role: Role) => void }) {
  return (
    <select value={value} aria-label={label} onChange={(event) => change(event.currentTarget.value as Role)}>
      {ROLES.map((role) => <option key={role} value={role}>{t.role[role]}</option>)}
    </select>
  );
}

function AddUser() {
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('user');
  const [wrong, setWrong] = useState('');
  const action = useAction();
  const submit = async (event: Event) => {
    event.preventDefault();
    setWrong(validName(name) ? '' : t.users.badName);
    if (!validName(name)) return;
    if (await action.run(() => api.addUser(name, role))) navigate(`/admin/users/${encodeURIComponent(name)}`);  // their key comes next
  };
  return (
    <section class="panel" aria-labelledby="add-user-title">
      <h2 id="add-user-title">{t.users.addTitle}</h2>
      <form class="row" onSubmit={submit} noValidate>
        <label class="field"><span>{t.users.name}</span>
          <input value={name} onInput={(event) => setName(event.currentTarget.value.trim())} maxLength={32} autocomplete="off" autocapitalize="none"
            spellcheck={false} aria-invalid={wrong !== ''} aria-describedby="add-user-hint" />
        </label>
        <div class="field"><span>{t.users.role}</span><RoleChoice value={role} label={t.users.role} change={setRole} /></div>
        <Button type="submit" kind="primary">{t.users.add}</Button>
      </form>
      {wrong && <p id="add-user-hint" class="hint wrong" role="alert">{wrong}</p>}
      {action.error && <Notice kind="error">{action.error}</Notice>}
    </section>
  );
}

export function UserPage({ me, name }: { me: Me; name: string }) {
  const { data, error, reload } = useLive(() => api.user(name), 10000, [name]);
  const confirm = useConfirm();
  const action = useAction();
  const [done, setDone] = useState('');
  const revoke = (key: Key) => confirm.ask({
    title: t.users.revokeAsk, text: t.users.revokeText(`${keyName(key)} (${key.fingerprint})`), verb: t.users.revoke,
    act: async () => { const { ended_sessions } = await api.revokeKey(key.fingerprint); setDone(t.users.revoked(ended_sessions ?? 0)); await reload(); },
  });
  const columns: Column<Key>[] = [...KEY_COLUMNS, { title: t.users.revoke, hideTitle: true, class: 'act', cell: (key) =>
    key.state !== 'revoked' && <Button kind="quiet" label={t.users.revokeLabel(keyName(key))} onClick={() => revoke(key)}>{t.users.revoke}</Button> }];
  return (
    <Page title={name} aside={<Link to="/admin/users">{t.users.back}</Link>}>
      {action.error && <Notice kind="error">{action.error}</Notice>}
      <Loading data={data} error={error} retry={reload} />
      {data && (
        <>
          <div class="facts user-facts">
            {stateOf(data)}<span class="soft">{t.users.since('')}<When at={data.created_at} /></span>
            {data.name === me.user.name ? <span>{t.role[data.role]}</span> : <UserActions user={data} changed={reload} ask={confirm.ask} run={action.run} />}
          </div>
          <section aria-labelledby="keys-title">
            <h2 id="keys-title">{t.users.keysOf(name)}</h2>
            {done && <Notice kind="good">{done}</Notice>}
            <Table label={t.users.keysOf(name)} rows={[...data.key_list].sort(byUse)} columns={columns} rowKey={(key) => key.fingerprint} empty={t.users.noKeys} />
          </section>
          <AddKey user={name} added={reload} />
        </>
      )}
      {confirm.dialog}
    </Page>
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

function AddKey({ user, added }: { user: string; added: () => Promise<void> }) {
  const [line, setLine] = useState('');
  const [expires, setExpires] = useState('');
  const action = useAction();
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!line.trim()) return;
    const until = expires ? new Date(`${expires}T23:59:59`).toISOString() : null;  // the whole of that day, as the user counts days
    if (await action.run(() => api.addKey(user, line.trim(), until))) { setLine(''); setExpires(''); await added(); }
  };
  return (
    <section class="panel" aria-labelledby="add-key-title">
      <h2 id="add-key-title">{t.users.addKey}</h2>
      <form class="stack" onSubmit={submit} noValidate>
        <label class="field"><span>{t.users.publicKey}</span>
          <textarea rows={3} value={line} onInput={(event) => setLine(event.currentTarget.value)} spellcheck={false} autocomplete="off"
            placeholder="ssh-ed25519 AAAA… ada@laptop" aria-describedby="key-hint" />
        </label>
        <p id="key-hint" class="hint">{t.users.publicKeyHint}</p>
        <label class="field short"><span>{t.users.expires}</span>
          <input type="date" value={expires} onInput={(event) => setExpires(event.currentTarget.value)} /></label>
        {action.error && <Notice kind="error">{action.error}</Notice>}
        <div class="actions"><Button type="submit" kind="primary">{t.users.addKey}</Button></div>
      </form>
    </section>
  );
}
