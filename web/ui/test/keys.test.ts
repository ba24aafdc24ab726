import { expect, it } from 'vitest';
import { auditMatches, codeLink, hostOf, jsonLines, keyProblem, olderThan } from '../src/format';
import type { Session } from '../src/model';
import { graceChoices } from '../src/parts/keys';
import { present } from '../src/pages/overview';
import { t } from '../src/strings';

it('sees what is no public key', () => {
  for (const good of ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 ada@laptop', 'sk-ssh-ed25519@openssh.com AAAA+/==', 'from="10.0.0.0/8" ssh-rsa AAAAB3 x\n']) expect(keyProblem(good)).toBe('');
  expect(keyProblem('  ')).toBe(t.keyProblem.empty);
  expect(keyProblem('-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl')).toBe(t.keyProblem.secret);
  expect(keyProblem('ssh-ed25519 AAAA a\nssh-ed25519 AAAA b')).toBe(t.keyProblem.lines);
  expect(keyProblem('hello')).toBe(t.keyProblem.form);
});

it('offers no longer grace than the policy gives', () => {
  expect(graceChoices(0)).toEqual([0]);
  expect(graceChoices(7 * 86400)).toEqual([0, 86400, 7 * 86400]);
  expect(graceChoices(3 * 86400)).toEqual([0, 86400, 3 * 86400]);
});

it('tells age by whole days', () => {
  const now = Date.parse('2026-11-22T00:00:00Z');
  expect(olderThan('2026-10-01T00:00:00Z', 30, now)).toBe(true);
  expect(olderThan('2026-11-01T00:00:00Z', 30, now)).toBe(false);
  expect(olderThan(null, 30, now)).toBe(false);
  expect(olderThan(null, 0, now)).toBe(true);
});

it('takes the port off an address', () => {
  expect(['203.0.113.7:51514', '[2001:db8::7]:40122', '2001:db8::7', 'unix', ''].map(hostOf)).toEqual(['203.0.113.7', '2001:db8::7', '2001:db8::7', 'unix', '']);
});

it('links to the home of a workspace in VS Code', () => {
  expect(codeLink({ user: 'ada', host: 'box', port: 2222, workspace: 'nlp' })).toBe('vscode://vscode-remote/ssh-remote+berth-nlp/home/ada');
});

it('makes one row of each user who is on', () => {
  const session = (over: Partial<Session>): Session => ({ id: 's', user: 'ada', workspace: 'main', kind: 'shell', detail: '', key_fingerprint: '', client_address: '203.0.113.7:1',
    opened_at: '2026-11-22T10:00:00Z', closed_at: null, bytes_in: 0, bytes_out: 0, outcome: '', ...over });
  const rows = present([session({ kind: 'connection', opened_at: '2026-11-22T09:00:00Z' }), session({}), session({ kind: 'tunnel', client_address: '198.51.100.2:9' }),
    session({ user: 'zoe', closed_at: '2026-11-22T10:00:01Z' }), session({ user: 'bob', workspace: 'nlp' })]);
  expect(rows.map((row) => [row.user, row.open])).toEqual([['ada', 2], ['bob', 1]]);
  expect(rows[0]).toMatchObject({ from: ['203.0.113.7', '198.51.100.2'], kinds: ['shell', 'tunnel'], since: '2026-11-22T09:00:00Z' });
});

it('filters and exports audit rows', () => {
  const row = { number: 1, at: null, actor: 'ada', source: '203.0.113.7', key_fingerprint: 'SHA256:abc', action: 'key.revoke', object: 'grace', outcome: 'ok', hash: 'h' };
  const all = { text: '', action: '', outcome: '' };
  expect(auditMatches(row, all)).toBe(true);
  expect(auditMatches(row, { ...all, text: ' GRACE ' })).toBe(true);
  expect(auditMatches(row, { ...all, text: 'linus' })).toBe(false);
  expect(auditMatches(row, { ...all, action: 'key.add' })).toBe(false);
  expect(auditMatches(row, { ...all, outcome: 'refused' })).toBe(false);
  expect(auditMatches({ ...row, outcome: 'unknown key' }, { ...all, outcome: 'refused' })).toBe(true);
  expect(jsonLines([{ a: 1 }, { b: '\n' }])).toBe('{"a":1}\n{"b":"\\n"}\n');
});
