// The audit trail, newest first: filtered, exported, and whether its chain of hashes holds.
import { useState } from 'preact/hooks';
import { api, type AuditRow } from '../api';
import { absoluteTime, auditMatches, jsonLines } from '../format';
import { useLive } from '../live';
import { Badge, Button, Field, Fingerprint, Loading, Notice, Page, useAction } from '../parts/basics';
import { Table, type Column } from '../parts/table';
import { setSearch, useSearch } from '../router';
import { t } from '../strings';

const STEP = 100;
const MOST = 10_000;  // that the server answers at once

const COLUMNS: Column<AuditRow>[] = [
  { title: t.audit.number, class: 'number', cell: (row) => <span title={row.hash}>{row.number}</span> },
  { title: t.audit.at, cell: (row) => <time class="nowrap" dateTime={row.at ?? undefined}>{absoluteTime(row.at)}</time> },
  { title: t.audit.actor, cell: (row) => <div class="two"><strong>{row.actor}</strong><span class="soft small">{row.source}</span></div> },
  { title: t.audit.action, cell: (row) => <code>{row.action}</code> },
  { title: t.audit.object, class: 'grow', cell: (row) => <div class="two"><span class="break">{row.object || t.none}</span>{row.key_fingerprint && !row.object.includes(row.key_fingerprint) && <span class="soft small">{t.audit.withKey} <Fingerprint value={row.key_fingerprint} /></span>}</div> },
  { title: t.audit.outcome, cell: (row) => <Badge tone={row.outcome === 'ok' ? 'good' : 'bad'}>{row.outcome}</Badge> },
];

// Saves text as a file of the user's.
function save(name: string, text: string) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/jsonl' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export function AuditPage() {
  const search = useSearch();
  const wanted = { text: search.get('q') ?? '', action: search.get('action') ?? '', outcome: search.get('outcome') ?? '' };
  const [limit, setLimit] = useState(STEP);
  const [verdict, setVerdict] = useState<{ ok: boolean; first_broken?: number }>();
  // Where only some rows are wanted, more are looked through.
  const filtered = Object.values(wanted).some(Boolean);
  const asked = filtered ? Math.max(limit, 2000) : limit;
  const { data, error, reload } = useLive(() => api.audit(asked), ['audit'], [asked]);
  const action = useAction();
  const verify = () => action.run(async () => { setVerdict(undefined); setVerdict(await api.verifyAudit()); });
  const exportAll = () => action.run(async () => save('audit.jsonl', jsonLines((await api.audit(MOST)).filter((row) => auditMatches(row, wanted)))));
  const rows = data && [...data].reverse().filter((row) => auditMatches(row, wanted));
  const actions = [...new Set(data?.map((row) => row.action))].sort();
  if (wanted.action && !actions.includes(wanted.action)) actions.unshift(wanted.action);
  return (
    <Page title={t.audit.title} lead={t.audit.lead} aside={<><Button onClick={verify}>{t.audit.verify}</Button><Button onClick={exportAll}>{t.audit.export}</Button></>}>
      {action.error && <Notice kind="error">{action.error}</Notice>}
      {verdict && <Notice kind={verdict.ok ? 'good' : 'error'}>{verdict.ok ? t.audit.ok : t.audit.broken(verdict.first_broken ?? 0)}</Notice>}
      <div class="filters">
        <Field label={t.audit.find}><input type="search" value={wanted.text} placeholder={t.audit.findHint} onInput={(event) => setSearch({ q: event.currentTarget.value })} /></Field>
        <Field label={t.audit.action}>
          <select value={wanted.action} onChange={(event) => setSearch({ action: event.currentTarget.value })}>
            <option value="">{t.any}</option>{actions.map((name) => <option key={name} value={name}>{name}</option>)}
          </select>
        </Field>
        <Field label={t.audit.outcome}>
          <select value={wanted.outcome} onChange={(event) => setSearch({ outcome: event.currentTarget.value })}>
            <option value="">{t.any}</option><option value="ok">{t.audit.good}</option><option value="refused">{t.audit.refused}</option>
          </select>
        </Field>
      </div>
      <Loading data={data} error={error} retry={reload} />
      {rows && <Table label={t.audit.title} rows={rows.slice(0, filtered ? limit * 3 : limit)} columns={COLUMNS} rowKey={(row) => String(row.number)} empty={filtered ? t.nothingFound : t.audit.empty} />}
      {data && (data.length >= asked || (rows && rows.length > limit * 3)) && limit < MOST && <div class="actions"><Button onClick={() => setLimit(Math.min(MOST, limit * 3))}>{t.audit.more}</Button></div>}
    </Page>
  );
}
