// What pages about keys share: their columns, adding, rotating, and revoking with what would end.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api, type Key, type KeyImpact, type KeyPolicy, type KeyState } from '../api';
import { duration, hostOf, keyProblem } from '../format';
import { errorText } from '../live';
import { t } from '../strings';
import { Badge, Button, Field, Fingerprint, Notice, useAction, When } from './basics';
import { Dialog, type Question } from './confirm';
import type { Column } from './table';

export const KEY_TONE: Record<KeyState, 'good' | 'bad' | 'busy' | 'calm'> = { active: 'good', superseded: 'busy', expired: 'calm', revoked: 'bad' };

// What a person calls a key: its comment, else its type.
export const keyName = (key: { comment: string; type?: string; fingerprint: string }) => key.comment || key.type || key.fingerprint;
export const works = (key: Key) => (key.state === 'active' || key.state === 'superseded') && !key.refusal;
// When it stops working by the clock.
export const endOf = (key: Key) => key.ends_at !== undefined ? key.ends_at : key.expires_at;

function State({ it }: { it: Key }) {
  const soon = it.state === 'active' && (it.notice === 'expires_soon' || it.notice === 'campaign');
  return (
    <div class="two">
      <Badge tone={it.refusal && it.state === 'active' ? 'bad' : soon ? 'busy' : KEY_TONE[it.state]}>{it.refusal && it.state === 'active' ? t.keys.refused : t.keyState[it.state]}</Badge>
      {it.refusal && it.state === 'active' && <span class="soft small">{it.refusal}</span>}
      {!it.refusal && it.notice === 'expires_soon' && <span class="soft small">{t.keys.expiresSoon}</span>}
      {!it.refusal && it.notice === 'campaign' && <span class="soft small">{t.keys.inCampaign}</span>}
      {it.state === 'superseded' && it.retire_on_first_use && <span class="soft small">{t.keys.retires}</span>}
    </div>
  );
}

export const KEY_COLUMNS: Column<Key>[] = [
  { title: t.keys.fingerprint, class: 'grow', cell: (key) => <div class="two"><strong>{keyName(key)}</strong><span class="soft small">{key.type} <Fingerprint value={key.fingerprint} /></span></div> },
  { title: t.keys.state, cell: (key) => <State it={key} /> },
  { title: t.keys.lastUse, cell: (key) => <div class="two"><When at={key.last_used_at} />{key.last_used_from && <span class="soft small nowrap">{t.keys.from(hostOf(key.last_used_from))}</span>}</div> },
  { title: t.keys.expires, cell: (key) => key.state === 'revoked' ? <span class="soft">{t.none}</span> : <When at={endOf(key)} /> },
  { title: t.keys.added, cell: (key) => <When at={key.added_at} /> },
];

// Keys that work come first, then by their last use.
export const byUse = (a: Key, b: Key) =>
  Number(works(b)) - Number(works(a)) || (b.last_used_at ?? '').localeCompare(a.last_used_at ?? '');

function Count({ n, children }: { n: number; children: ComponentChildren }) { return <li class={n ? '' : 'soft'}><strong>{n}</strong> {children}</li>; }

// What ends with a key, asked for while the question stands.
function Impact({ fingerprint }: { fingerprint: string }) {
  const [impact, setImpact] = useState<KeyImpact>();
  const [error, setError] = useState('');
  useEffect(() => { api.impact(fingerprint).then(setImpact, (failure) => setError(errorText(failure))); }, [fingerprint]);
  if (error) return <Notice kind="warn">{t.impact.unknown} {error}</Notice>;
  if (!impact) return <p class="soft loading" role="status"><span class="spinner" aria-hidden="true" />{t.impact.asking}</p>;
  return (
    <div class="impact">
      <ul>
        <Count n={impact.sessions.length}>{t.impact.sessions}</Count>
        <Count n={impact.web_sessions.length}>{t.impact.browsers}</Count>
        <Count n={impact.uses_30d}>{t.impact.uses}</Count>
      </ul>
      {impact.key.last_used_at && <p class="soft">{t.impact.lastUse} <When at={impact.key.last_used_at} />{impact.key.last_used_from && ` ${t.keys.from(hostOf(impact.key.last_used_from))}`}</p>}
      {impact.keeps_access
        ? <p>{t.impact.keeps(impact.other_keys.map(keyName).join(', '))}</p>
        : <Notice kind="warn">{t.impact.losesAccess(impact.key.user)}</Notice>}
    </div>
  );
}

export function revokeQuestion(key: Key, done: (ended: number) => unknown): Question {
  return {
    title: t.users.revokeAsk, text: t.users.revokeText(`${keyName(key)} (${key.fingerprint})`), verb: t.users.revoke,
    details: <Impact fingerprint={key.fingerprint} />,
    act: async () => { const { ended_sessions } = await api.revokeKey(key.fingerprint); await done(ended_sessions ?? 0); },
  };
}

// The public key that somebody pastes; what is obviously none is said before the server is asked.
function KeyField({ value, change, wrong }: { value: string; change: (value: string) => void; wrong: string }) {
  return (
    <Field label={t.users.publicKey} hint={t.users.publicKeyHint} wrong={wrong}>
      <textarea rows={3} value={value} onInput={(event) => change(event.currentTarget.value)} spellcheck={false} autocomplete="off" autocapitalize="none"
        placeholder="ssh-ed25519 AAAA… you@laptop" aria-invalid={wrong !== ''} />
    </Field>
  );
}

export function AddKey({ user, added, title }: { user: string; added: (key: Key) => unknown; title?: string }) {
  const [line, setLine] = useState('');
  const [until, setUntil] = useState('');
  const [wrong, setWrong] = useState('');
  const action = useAction();
  const submit = async (event: Event) => {
    event.preventDefault();
    const problem = keyProblem(line);
    setWrong(problem);
    if (problem) return;
    const expires = until ? new Date(`${until}T23:59:59`).toISOString() : null;
    const done = await action.run(async () => { const key = await api.addKey(user, line.trim(), expires); await added(key); });
    if (done) { setLine(''); setUntil(''); }
  };
  return (
    <section class="panel" aria-labelledby="add-key-title">
      <h2 id="add-key-title">{title ?? t.users.addKey}</h2>
      <form class="stack" onSubmit={submit} noValidate>
        <KeyField value={line} change={setLine} wrong={wrong} />
        <div class="row">
          <Field label={t.users.expires}><input type="date" value={until} onInput={(event) => setUntil(event.currentTarget.value)} /></Field>
          <Button type="submit" kind="primary" busy={action.busy}>{t.users.addKey}</Button>
        </div>
        {action.error && <Notice kind="error">{action.error}</Notice>}
      </form>
    </section>
  );
}

const DAY = 86400;
// How long the old key may go on: what the policy gives at most, and shorter ones.
export function graceChoices(most: number): number[] {
  return [...new Set([0, DAY, 7 * DAY, 30 * DAY, most].filter((s) => s <= most))].sort((a, b) => a - b);
}

export function RotateKey({ of, policy, unlimited, done, close }: { of: Key; policy: KeyPolicy; unlimited: boolean; done: (text: string) => unknown; close: () => void }) {
  const most = unlimited ? Math.max(policy.grace_s, 30 * DAY) : policy.grace_s;
  const [line, setLine] = useState('');
  const [grace, setGrace] = useState(policy.grace_s);
  const [retire, setRetire] = useState(false);
  const [wrong, setWrong] = useState('');
  const action = useAction();
  const submit = async (event: Event) => {
    event.preventDefault();
    const problem = keyProblem(line);
    setWrong(problem);
    if (problem) return;
    await action.run(async () => {
      const { superseded } = await api.rotateKey(of.user, { public_key: line.trim(), replaces: of.fingerprint, grace_s: grace, retire_on_first_use: retire });
      await done(t.rotate.done(keyName(of), endOf(superseded[0] ?? of)));
      close();
    });
  };
  return (
    <Dialog title={t.rotate.title(keyName(of))} close={close}>
      <p class="soft">{t.rotate.lead}</p>
      <form class="stack" onSubmit={submit} noValidate>
        <KeyField value={line} change={setLine} wrong={wrong} />
        <Field label={t.rotate.grace}>
          <select value={grace} onChange={(event) => setGrace(Number(event.currentTarget.value))}>
            {graceChoices(most).map((s) => <option key={s} value={s}>{s === 0 ? t.rotate.atOnce : t.rotate.graceOf(duration(s))}</option>)}
          </select>
        </Field>
        <label class="check"><input type="checkbox" checked={retire} onChange={(event) => setRetire(event.currentTarget.checked)} /> {t.rotate.retire}</label>
        {action.error && <Notice kind="error">{action.error}</Notice>}
        <div class="actions end"><Button onClick={close}>{t.cancel}</Button><Button type="submit" kind="primary" busy={action.busy}>{t.rotate.verb}</Button></div>
      </form>
    </Dialog>
  );
}
