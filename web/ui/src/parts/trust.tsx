// How clients recognize this server, and whose certificates it accepts: to look at; `berth hostkey …` and `berth ca …` change them.
import { api, type Authority, type HostKey } from '../api';
import { useLive } from '../live';
import { Badge, When } from './basics';
import { Table, type Column } from './table';
import { t } from '../strings';

const HOST_KEYS: Column<HostKey>[] = [
  { title: t.trust.key, class: 'grow', cell: (key) => <div class="two"><strong>{key.type}</strong><code class="break small">{key.fingerprint}</code></div> },
  { title: t.trust.state, cell: (key) => <Badge tone={key.state === 'next' ? 'calm' : 'good'}>{key.state === 'next' ? t.trust.next : t.trust.active}</Badge> },
  { title: t.trust.since, cell: (key) => <When at={key.created_at ?? null} /> },
  { title: t.trust.retires, cell: (key) => <When at={key.retires_at ?? null} /> },
];

const AUTHORITIES: Column<Authority>[] = [
  { title: t.trust.name, class: 'grow', cell: (a) => <div class="two"><span><strong>{a.name}</strong>{a.issues && <> <Badge tone="calm">{t.trust.issues}</Badge></>}</span><code class="break small">{a.fingerprint}</code></div> },
  { title: t.trust.principals, cell: (a) => <code class="break">{a.principals.join(', ')}</code> },
  { title: t.trust.revoked, cell: (a) => a.revoked },
  { title: t.trust.since, cell: (a) => <When at={a.added_at} /> },
];

export function Trust() {
  const hosts = useLive(api.hostKeys, ['certificates']);
  const authorities = useLive(api.authorities, ['certificates']);
  return (
    <>
      {hosts.data && (
        <section aria-labelledby="host-keys-title">
          <h2 id="host-keys-title">{t.trust.hostKeys}</h2>
          <p class="soft">{t.trust.hostKeysLead} <code>berth hostkey rotate</code></p>
          <Table label={t.trust.hostKeys} rows={hosts.data.items} columns={HOST_KEYS} rowKey={(key) => key.fingerprint} empty={t.none} />
        </section>
      )}
      {authorities.data && (
        <section aria-labelledby="authorities-title">
          <h2 id="authorities-title">{t.trust.authorities}</h2>
          <p class="soft">{t.trust.authoritiesLead} <code>berth ca add</code></p>
          <Table label={t.trust.authorities} rows={authorities.data} columns={AUTHORITIES} rowKey={(a) => a.name} empty={t.trust.noAuthorities} />
        </section>
      )}
    </>
  );
}
