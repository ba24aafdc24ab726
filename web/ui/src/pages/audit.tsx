// The audit trail, newest first, and whether its chain of hashes holds.
import { useState } from 'preact/hooks';
import { api, type AuditRow } from '../api';
import { absoluteTime } from '../format';
import { useLive } from '../live';
import { Badge, Button, Loading, Notice, Page, useAction } from '../parts/basics';
import { Table, type Column } from '../parts/table';
import { t } from '../strings';

const STEP = 100;
const MOST = 1000;

const COLUMNS: Column<AuditRow>[] = [
  { title: t.audit.number, class: 'number', cell: (row) => <span title={row.hash}>{row.number}</span> },
  { title: t.audit.at, cell: (row) => <time class="nowrap" dateTime={row.at ?? undefined}>{absoluteTime(row.at)}</time> },
  { title: t.audit.actor, cell: (row) => <div class="two"><strong>{row.actor}</strong><span class="soft">{row.source}</span></div> },
  { title: t.audit.action, cell: (row) => <code>{row.action}</code> },
  { title: t.audit.object, class: 'grow', cell: (row) => <span class="break">{row.object || t.none}</span> },
  { title: t.audit.outcome, cell: (row) => <Badge tone={row.outcome === 'ok' ? 'good' : 'bad'}>{row.outcome}</Badge> },
];

export function AuditPage() {
  const [limit, setLimit] = useState(STEP);
  const [filter, setFilter] = useState('');
  const [verdict, setVerdict] = useState<{ ok: boolean; first_broken?: number }>();
  const { data, error, reload } = useLive(() => api.audit(limit), ['audit'], [limit]);
  const action = useAction();
  const verify = () => action.run(async () => { setVerdict(undefined); setVerdict(await api.verifyAudit()); });
  const wanted = filter.toLowerCase();
  const rows = data && [...data].reverse().filter((row) =>
    [row.actor, row.source, row.action, row.object, row.outcome, row.key_fingerprint].some((text) => text.toLowerCase().includes(wanted)));
  return (
    <Page title={t.audit.title} lead={t.audit.lead} aside={<Button onClick={verify}>{t.audit.verify}</Button>}>
      {action.error && <Notice kind="error">{action.error}</Notice>}
      {verdict && <Notice kind={verdict.ok ? 'good' : 'error'}>{verdict.ok ? t.audit.ok : t.audit.broken(verdict.first_broken ?? 0)}</Notice>}
      <label class="field short"><span>{t.audit.find}</span><input type="search" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} /></label>
      <Loading data={data} error={error} retry={reload} />
      {rows && <Table label={t.audit.title} rows={rows} columns={COLUMNS} rowKey={(row) => String(row.number)} empty={t.audit.empty} />}
      {data && data.length >= limit && limit < MOST && <div class="actions"><Button onClick={() => setLimit(Math.min(MOST, limit * 3))}>{t.audit.more}</Button></div>}
    </Page>
  );
}
