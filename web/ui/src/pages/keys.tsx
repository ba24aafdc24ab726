// The user's own keys: which are good and until when, where each was last used; add, rotate, remove as far as the site's policy lets them.
import { useState } from 'preact/hooks';
import { api, type Key, type KeyPolicy, type Me } from '../api';
import { duration } from '../format';
import { useLive } from '../live';
import { Button, Loading, Notice, Page, Snippet } from '../parts/basics';
import { useConfirm } from '../parts/confirm';
import { AddKey, byUse, KEY_COLUMNS, keyName, revokeQuestion, RotateKey, works } from '../parts/keys';
import { Table, type Column } from '../parts/table';
import { t } from '../strings';

// The site's policy in words; what is not limited is not mentioned.
function policyText(policy: KeyPolicy): string {
  return [
    policy.allowed_types.length > 0 && t.policy.types(policy.allowed_types.join(', ')),
    policy.require_hardware && t.policy.hardware, policy.require_touch && t.policy.touch,
    policy.max_age_s > 0 && t.policy.age(duration(policy.max_age_s)),
    policy.max_per_user > 0 && t.policy.most(policy.max_per_user),
  ].filter(Boolean).join(' ');
}

export function KeysPage({ me }: { me: Me }) {
  const { data, error, reload } = useLive(api.keys, ['keys', 'campaign']);
  const policy = useLive(api.keyPolicy, ['users']);
  const confirm = useConfirm();
  const [rotating, setRotating] = useState<Key | null>(null);
  const [done, setDone] = useState('');
  const mine = data?.filter((key) => key.user === me.user.name);
  const may = (what: 'add' | 'rotate' | 'remove') => policy.data?.self_service.includes(what) ?? false;
  const remove = (key: Key) => confirm.ask(revokeQuestion(key, async (ended) => { setDone(t.users.revoked(ended)); await reload(); }));
  const columns: Column<Key>[] = [...KEY_COLUMNS, { title: t.actions, hideTitle: true, class: 'act', cell: (key) => works(key) && (
    <>
      {may('rotate') && key.state === 'active' && <Button kind="quiet" label={`${t.rotate.verb} ${keyName(key)}`} onClick={() => setRotating(key)}>{t.rotate.verb}</Button>}
      {may('remove') && <Button kind="quiet" label={t.users.revokeLabel(keyName(key))} onClick={() => remove(key)}>{t.users.revoke}</Button>}
    </>) }];
  return (
    <Page title={t.keys.title} lead={t.keys.lead}>
      {done && <Notice kind="good">{done}</Notice>}
      <Loading data={data} error={error} retry={reload} />
      {mine && <Table label={t.keys.title} rows={[...mine].sort(byUse)} columns={columns} rowKey={(key) => `${key.fingerprint} ${key.added_at}`} empty={t.keys.empty} />}
      {policy.data && policyText(policy.data) && <p class="soft small">{t.policy.title} {policyText(policy.data)}</p>}
      <div class="columns">
        {may('add') && <AddKey user={me.user.name} title={t.keys.addOwn} added={async (key) => { setDone(t.keys.addedDone(keyName(key))); await reload(); }} />}
        <section class="panel" aria-labelledby="make-title">
          <h2 id="make-title">{t.keys.makeTitle}</h2>
          <p class="soft">{may('add') ? t.keys.makeText : t.keys.addText}</p>
          <Snippet text={'ssh-keygen -t ed25519\ncat ~/.ssh/id_ed25519.pub'} label="ssh-keygen" />
          <p class="soft small">{t.keys.lost}</p>
        </section>
      </div>
      {rotating && policy.data && <RotateKey of={rotating} policy={policy.data} unlimited={me.user.role === 'admin'} close={() => setRotating(null)}
        done={async (text) => { setDone(text); await reload(); }} />}
      {confirm.dialog}
    </Page>
  );
}
