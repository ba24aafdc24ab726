// The settings that berthd runs with, for who must know; they are changed in its file.
import { useState } from 'preact/hooks';
import { api, type SettingRow } from '../api';
import { useLive } from '../live';
import { Badge, Field, Loading, Page } from '../parts/basics';
import { Table, type Column } from '../parts/table';
import { Trust } from '../parts/trust';
import { t } from '../strings';

const changed = (row: SettingRow) => row.given && row.value !== row.default;

const COLUMNS: Column<SettingRow>[] = [
  { title: t.settings.name, cell: (row) => <code class="break">{row.key}</code> },
  { title: t.settings.value, cell: (row) => <div class="two"><code class="break">{row.value}</code>{changed(row) && <span><Badge tone="calm">{t.settings.changed}</Badge></span>}</div> },
  { title: t.settings.meaning, class: 'grow', cell: (row) => <span class="soft">{row.comment}</span> },
];

export function SettingsPage() {
  const { data, error, reload } = useLive(api.settings, []);
  const [text, setText] = useState('');
  const [only, setOnly] = useState(false);
  const wanted = text.toLowerCase();
  const rows = data?.filter((row) => (!only || changed(row)) && [row.key, row.value, row.comment].some((part) => part.toLowerCase().includes(wanted)));
  return (
    <Page title={t.settings.title} lead={t.settings.lead}>
      <div class="filters">
        <Field label={t.search}><input type="search" value={text} onInput={(event) => setText(event.currentTarget.value)} /></Field>
        <label class="check"><input type="checkbox" checked={only} onChange={(event) => setOnly(event.currentTarget.checked)} /> {t.settings.onlyChanged}</label>
      </div>
      <Loading data={data} error={error} retry={reload} />
      {rows && <Table label={t.settings.title} rows={rows} columns={COLUMNS} rowKey={(row) => row.key} empty={t.nothingFound} />}
      <Trust />
    </Page>
  );
}
