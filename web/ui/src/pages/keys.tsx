// The user's own keys: which are good, when each was last used, and how to get another.
import { api, type Key, type KeyState } from '../api';
import { useLive } from '../live';
import { Badge, Fingerprint, Loading, Page, Snippet, When } from '../parts/basics';
import { Table, type Column } from '../parts/table';
import { t } from '../strings';

export const KEY_TONE: Record<KeyState, 'good' | 'bad' | 'busy' | 'calm'> = { active: 'good', superseded: 'busy', expired: 'calm', revoked: 'bad' };

// What a person calls a key: its comment, else its type.
export const keyName = (key: Key) => key.comment || key.type;

export const KEY_COLUMNS: Column<Key>[] = [
  { title: t.keys.fingerprint, cell: (key) => <div class="two"><strong>{keyName(key)}</strong><span class="soft">{key.type} <Fingerprint value={key.fingerprint} /></span></div> },
  { title: t.keys.state, cell: (key) => <Badge tone={KEY_TONE[key.state]}>{t.keyState[key.state]}</Badge> },
  { title: t.keys.lastUse, cell: (key) => <div class="two"><When at={key.last_used_at} />{key.last_used_from && <span class="soft">{t.keys.from(key.last_used_from)}</span>}</div> },
  { title: t.keys.expires, cell: (key) => <When at={key.expires_at} /> },
  { title: t.keys.added, cell: (key) => <When at={key.added_at} /> },
];

// Keys that work come first, then by their last use.
export const byUse = (a: Key, b: Key) =>
  Number(b.state === 'active') - Number(a.state === 'active') || (b.last_used_at ?? '').localeCompare(a.last_used_at ?? '');

export function KeysPage() {
  const { data, error, reload } = useLive(api.keys, 15000);
  return (
    <Page title={t.keys.title} lead={t.keys.lead}>
      <Loading data={data} error={error} retry={reload} />
      {data && <Table label={t.keys.title} rows={[...data].sort(byUse)} columns={KEY_COLUMNS} rowKey={(key) => key.fingerprint} empty={t.keys.empty} />}
      <section class="panel" aria-labelledby="add-title">
        <h2 id="add-title">{t.keys.addTitle}</h2>
        <p>{t.keys.addText}</p>
        <Snippet text={'ssh-keygen -t ed25519\ncat ~/.ssh/id_ed25519.pub'} label="ssh-keygen" />
        <p class="soft">{t.keys.lost}</p>
      </section>
    </Page>
  );
}
