// For administrators: who may come in.
import { useState } from 'preact/hooks';
import { api, type Me, type Role, type User } from '../api';
import { validName } from '../format';
import { useSettled } from '../live';
import { Badge, Button, Field, Loading, Notice, Page, useAction, When } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { usePaged } from '../parts/paged';
import { Table, type Column } from '../parts/table';
import { Link, navigate, setSearch, useSearch } from '../router';
import { t } from '../strings';

const ROLES: Role[] = ['user', 'auditor', 'admin'];
export const stateOf = (user: User) => user.disabled
  ? <Badge tone="bad">{t.users.disabledState}</Badge> : <Badge tone="good">{t.users.enabled}</Badge>;

export function UsersPage({ me }: { me: Me }) {
  const wanted = useSearch().get('q') ?? '';
  const q = useSettled(wanted);
  const { items, error, reload, showMore } = usePaged((after) => api.users(q, after), ['users', 'keys'], [q]);
  const confirm = useConfirm();
  const action = useAction();
  const may = me.user.role === 'admin';
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
    { title: t.users.keys, class: 'number', cell: (user) => user.keys || <span class="wrong">{t.users.noKey}</span> },
    { title: t.users.exceptions, cell: (user) => user.key_exceptions ? <span title={user.key_exceptions.reason}>{t.users.hasExceptions}</span> : <span class="soft">{t.none}</span> },
    { title: t.users.created, cell: (user) => <When at={user.created_at} /> },
    { title: t.users.disable, hideTitle: true, class: 'act', cell: (user) => may && user.name !== me.user.name && (
      <Button kind="quiet" label={`${user.disabled ? t.users.enable : t.users.disable} ${user.name}`} onClick={() => toggle(user)}>
        {user.disabled ? t.users.enable : t.users.disable}
      </Button>) },
  ];
  return (
    <Page title={t.users.title} lead={t.users.lead}>
      <div class="filters">
        <Field label={t.search}><input type="search" value={wanted} placeholder={t.users.searchHint} onInput={(event) => setSearch({ q: event.currentTarget.value })} /></Field>
      </div>
      {action.error && <Notice kind="error">{action.error}</Notice>}
      <Loading data={items} error={error} retry={reload} />
      {items && <Table label={t.users.title} rows={items} columns={columns} rowKey={(user) => user.name} empty={q ? t.nothingFound : t.users.empty} />}
      {showMore && <div class="actions"><Button onClick={showMore}>{t.more}</Button></div>}
      {may && <AddUser />}
      {confirm.dialog}
    </Page>
  );
}

export function RoleChoice({ value, label, change }: { value: Role; label: string; change: (role: Role) => void }) {
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
        <Field label={t.users.name} wrong={wrong}>
          <input value={name} onInput={(event) => setName(event.currentTarget.value.trim())} maxLength={32} autocomplete="off" autocapitalize="none" spellcheck={false} aria-invalid={wrong !== ''} />
        </Field>
        <div class="field"><span aria-hidden="true">{t.users.role}</span><RoleChoice value={role} label={t.users.role} change={setRole} /></div>
        <Button type="submit" kind="primary" busy={action.busy}>{t.users.add}</Button>
      </form>
      {action.error && <Notice kind="error">{action.error}</Notice>}
    </section>
  );
}
