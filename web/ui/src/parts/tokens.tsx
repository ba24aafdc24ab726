// API tokens: for scripts that act in the user's name. A secret is shown once, when it is made.
import { useState } from 'preact/hooks';
import { api, type ApiToken } from '../api';
import { hostOf } from '../format';
import { useLive } from '../live';
import { Badge, Button, Field, Notice, Snippet, useAction, When } from './basics';
import { useConfirm } from './confirm';
import { Table, type Column } from './table';
import { t } from '../strings';

const AREAS = ['keys', 'users', 'sessions', 'workspaces', 'environments', 'certificates', 'audit'];
const DAY = 86400;
const LIFETIMES = [1, 7, 30, 90, 365];

export function Tokens() {
  const { data, reload } = useLive(api.tokens, ['tokens', 'keys']);
  const confirm = useConfirm();
  const [made, setMade] = useState<{ secret: string; token: ApiToken } | null>(null);
  if (!data) return null;
  const revoke = (token: ApiToken) => confirm.ask({ title: t.tokens.revokeAsk(token.name), text: t.tokens.revokeText, verb: t.users.revoke,
    act: async () => { await api.revokeToken(token.id); await reload(); } });
  const columns: Column<ApiToken>[] = [
    { title: t.tokens.name, class: 'grow', cell: (token) => <div class="two"><strong>{token.name}</strong><span class="soft small">{token.scopes.join(', ')}</span></div> },
    { title: t.tokens.state, cell: (token) => <Badge tone={token.state === 'active' ? 'good' : token.state === 'revoked' ? 'bad' : 'calm'}>{t.tokenState[token.state] ?? token.state}</Badge> },
    { title: t.keys.lastUse, cell: (token) => <div class="two"><When at={token.last_used_at} />{token.last_used_from && <span class="soft small nowrap">{t.keys.from(hostOf(token.last_used_from))}</span>}</div> },
    { title: t.keys.expires, cell: (token) => <When at={token.expires_at} /> },
    { title: t.users.revoke, hideTitle: true, class: 'act', cell: (token) => token.state === 'active' && <Button kind="quiet" label={t.users.revokeLabel(token.name)} onClick={() => revoke(token)}>{t.users.revoke}</Button> },
  ];
  return (
    <>
      <section aria-labelledby="tokens-title">
        <h2 id="tokens-title">{t.tokens.title}</h2>
        <p class="soft">{t.tokens.lead}</p>
        {made && (
          <Notice kind="good">
            <div class="grow stack"><strong>{t.tokens.made(made.token.name)}</strong><Snippet text={made.secret} label={t.tokens.secret} />
              <Snippet text={`curl -H "Authorization: Bearer $TOKEN" ${location.origin}/api/v1/me`} label="curl" /></div>
            <Button onClick={() => setMade(null)}>{t.close}</Button>
          </Notice>
        )}
        <Table label={t.tokens.title} rows={data} columns={columns} rowKey={(token) => token.id} empty={t.tokens.empty} />
      </section>
      <MakeToken made={async (fresh) => { setMade(fresh); await reload(); }} />
      {confirm.dialog}
    </>
  );
}

function MakeToken({ made }: { made: (fresh: { secret: string; token: ApiToken }) => Promise<void> }) {
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState('read');
  const [areas, setAreas] = useState<string[]>([]);
  const [days, setDays] = useState(30);
  const [wrong, setWrong] = useState('');
  const action = useAction();
  const submit = async (event: Event) => {
    event.preventDefault();
    const chosen = scopes === 'areas' ? areas : [scopes];
    setWrong(!name.trim() ? t.tokens.nameNeeded : chosen.length === 0 ? t.tokens.areaNeeded : '');
    if (!name.trim() || chosen.length === 0) return;
    if (await action.run(async () => made(await api.makeToken(name.trim(), chosen, days * DAY)))) setName('');
  };
  const toggle = (area: string) => setAreas(areas.includes(area) ? areas.filter((one) => one !== area) : [...areas, area]);
  return (
    <section class="panel" aria-labelledby="make-token-title">
      <h2 id="make-token-title">{t.tokens.makeTitle}</h2>
      <form class="stack" onSubmit={submit} noValidate>
        <div class="row">
          <Field label={t.tokens.name}><input value={name} maxLength={64} autocomplete="off" placeholder="nightly-report" aria-invalid={wrong !== ''} onInput={(event) => setName(event.currentTarget.value)} /></Field>
          <Field label={t.tokens.may}>
            <select value={scopes} onChange={(event) => setScopes(event.currentTarget.value)}>
              <option value="read">{t.tokens.read}</option><option value="areas">{t.tokens.areas}</option><option value="all">{t.tokens.all}</option>
            </select>
          </Field>
          <Field label={t.tokens.lifetime}>
            <select value={days} onChange={(event) => setDays(Number(event.currentTarget.value))}>{LIFETIMES.map((n) => <option key={n} value={n}>{`${n} ${t.unit.day}`}</option>)}</select>
          </Field>
        </div>
        {scopes === 'areas' && (
          <fieldset class="checks"><legend class="hidden">{t.tokens.areas}</legend>
            {AREAS.map((area) => <label class="check" key={area}><input type="checkbox" checked={areas.includes(area)} onChange={() => toggle(area)} /> {area}</label>)}
          </fieldset>
        )}
        {wrong && <p class="hint wrong" role="alert">{wrong}</p>}
        {action.error && <Notice kind="error">{action.error}</Notice>}
        <div class="actions"><Button type="submit" kind="primary" busy={action.busy}>{t.tokens.make}</Button></div>
      </form>
    </section>
  );
}
