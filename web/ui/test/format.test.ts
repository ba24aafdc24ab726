import { describe, expect, it } from 'vitest';
import { browserName, bytes, clock, duration, relativeTime, safeReturnPath, sshCommand, sshConfig, validName } from '../src/format';

const NOW = Date.parse('2026-11-22T12:00:00Z');

describe('times', () => {
  it('says how long ago or how soon in the largest unit', () => {
    expect(relativeTime(null, NOW)).toBe('never');
    expect(relativeTime('2026-11-22T11:59:55Z', NOW)).toBe('now');
    expect(relativeTime('2026-11-22T11:59:15.000123Z', NOW)).toBe('45 seconds ago');
    expect(relativeTime('2026-11-22T11:00:01Z', NOW)).toBe('59 minutes ago');
    expect(relativeTime('2026-11-25T12:00:00Z', NOW)).toBe('in 3 days');
  });
  it('shows durations with two parts at most', () => {
    expect(duration(0)).toBe('0 s');
    expect(duration(59.9)).toBe('59 s');
    expect(duration(3600)).toBe('1 h');
    expect(duration(3 * 86400 + 4 * 3600 + 59)).toBe('3 d 4 h');
    expect(duration(754)).toBe('12 min');
    expect(duration(-5)).toBe('0 s');
  });
  it('counts down', () => {
    expect(clock(300)).toBe('5:00');
    expect(clock(60.2)).toBe('1:01');
    expect(clock(-1)).toBe('0:00');
  });
});

it('shows sizes in binary units', () => {
  expect([0, 1023, 1024, 1536, 10 * 1024, 5 * 2 ** 30, 2 ** 70].map(bytes)).toEqual(['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '10 KiB', '5.0 GiB', '1048576 PiB']);
});

describe('ssh', () => {
  const target = { user: 'ada', host: 'box.example.org', port: 2222, workspace: 'main' };
  it('names the workspace in the login name only when it is not main', () => {
    expect(sshCommand(target)).toBe('ssh -p 2222 ada@box.example.org');
    expect(sshCommand({ ...target, workspace: 'nlp', port: 22 })).toBe('ssh ada+nlp@box.example.org');
  });
  it('makes an entry for ~/.ssh/config', () => {
    expect(sshConfig({ ...target, workspace: 'nlp' })).toBe(
      'Host berth-nlp\n    HostName box.example.org\n    Port 2222\n    User ada+nlp\n    ServerAliveInterval 30\n');
  });
});

it('recognises browsers', () => {
  expect(browserName('Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0')).toBe('Firefox on Linux');
  expect(browserName('Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36 Edg/131.0')).toBe('Edge on Windows');
  expect(browserName('')).toBe('–');
  expect(browserName('something else')).toBe('something else');
});

it('checks names as the server does', () => {
  expect(['ada', 'a-b_9', 'a'.repeat(32)].every(validName)).toBe(true);
  expect(['', 'Ada', '9a', 'a+b', 'a b', 'a'.repeat(33), 'ada\n'].some(validName)).toBe(false);
});

it('returns after login only to this site', () => {
  const origin = 'https://box:8443';
  expect(safeReturnPath('/admin/audit?x=1', origin)).toBe('/admin/audit?x=1');
  expect(safeReturnPath('/w/ada/main/jupyter/lab', origin)).toBe('/w/ada/main/jupyter/lab');
  for (const bad of [null, '', '//evil.example', '/\\evil.example', '/\t/evil.example', 'https://evil.example', 'javascript:alert(1)', '/login'])
    expect(safeReturnPath(bad, origin)).toBe('/');
});
