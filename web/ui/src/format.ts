// Values to words, and what a user pastes into their terminal. Pure functions.
import type { AuditRow } from './model';
import { language, t } from './strings';

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31557600], ['month', 2629800], ['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1],
];

// "5 minutes ago", "in 3 days"; what is closer than 10 seconds is "now".
export function relativeTime(at: string | null, now: number): string {
  if (!at) return t.never;
  const seconds = (Date.parse(at) - now) / 1000;
  if (Math.abs(seconds) < 10) return t.now;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS[UNITS.length - 1]!;
  return new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(Math.trunc(seconds / size), unit);
}

export function absoluteTime(at: string | null): string {
  return at ? new Date(at).toLocaleString(language, { dateStyle: 'medium', timeStyle: 'medium' }) : t.never;
}

export function day(at: string | null): string {
  return at ? new Date(at).toLocaleDateString(language, { dateStyle: 'medium' }) : t.never;
}

// "3 d 4 h", "12 min", "45 s": the two largest parts at most.
export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(s / 86400), t.unit.day], [Math.floor(s / 3600) % 24, t.unit.hour],
    [Math.floor(s / 60) % 60, t.unit.minute], [s % 60, t.unit.second],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return `0 ${t.unit.second}`;
  const shown = first >= 2 ? parts.slice(first, first + 1) : parts.slice(first, first + 2);
  return shown.filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(' ');
}

// "4:05" for a countdown.
export function clock(seconds: number): string {
  const s = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}

export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let power = 0;
  for (let rest = n; rest >= 1024 && power < units.length - 1; rest /= 1024) power++;
  const value = n / 1024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

export interface Target { user: string; host: string; port: number; workspace: string }

export function loginName({ user, workspace }: Target): string {
  return workspace === 'main' ? user : `${user}+${workspace}`;
}

export function sshCommand(target: Target): string {
  return `ssh ${target.port === 22 ? '' : `-p ${target.port} `}${loginName(target)}@${target.host}`;
}

export function hostAlias(workspace: string): string {
  return workspace === 'main' ? 'berth' : `berth-${workspace}`;
}

// An entry for ~/.ssh/config: after that `ssh berth`, scp, rsync, VS Code and JetBrains know the workspace by one name.
export function sshConfig(target: Target): string {
  return [
    `Host ${hostAlias(target.workspace)}`, `    HostName ${target.host}`, `    Port ${target.port}`,
    `    User ${loginName(target)}`, '    ServerAliveInterval 30', '',
  ].join('\n');
}

// Opens the home of a workspace in VS Code by the name that sshConfig() gives it.
export function codeLink(target: Target): string {
  return `vscode://vscode-remote/ssh-remote+${encodeURIComponent(hostAlias(target.workspace))}/home/${encodeURIComponent(target.user)}`;
}

// "Firefox on Linux" from a User-Agent; the header itself where nothing is known.
export function browserName(userAgent: string): string {
  const find = (table: [RegExp, string][]) => table.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = find([[/Edg\//, 'Edge'], [/OPR\//, 'Opera'], [/Firefox\//, 'Firefox'], [/Chrom(e|ium)\//, 'Chrome'], [/Safari\//, 'Safari'], [/curl\//, 'curl']]);
  const system = find([[/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Windows/, 'Windows'], [/Mac OS X/, 'macOS'], [/Linux|X11/, 'Linux']]);
  if (!browser) return userAgent || '–';
  return system ? t.browserOn(browser, system) : browser;
}

// The rule for user and workspace names (docs/api.md): the server decides, this only answers sooner.
export function validName(name: string): boolean {
  return /^[a-z][a-z0-9_-]{0,31}$/.test(name);
}

// Where to go after logging in: a path of this site, never another host ("//evil", "/\evil", "https:…").
export function safeReturnPath(path: string | null, origin: string): string {
  if (!path || !path.startsWith('/') || path.startsWith('/login')) return '/';
  try {
    const url = new URL(path, origin);
    return url.origin === origin ? url.pathname + url.search + url.hash : '/';
  } catch {
    return '/';
  }
}

// What is wrong with a pasted public key, as far as one can see; empty: nothing. The server decides.
export function keyProblem(line: string): string {
  const text = line.trim();
  if (!text) return t.keyProblem.empty;
  if (text.includes('PRIVATE KEY')) return t.keyProblem.secret;
  if (text.split(/\r?\n/).length > 1) return t.keyProblem.lines;
  return /^(\S+ )?(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ +[A-Za-z0-9+/]+=*( |$)/.test(text) ? '' : t.keyProblem.form;
}

// The address without its port: "203.0.113.7:51514", "[2001:db8::7]:40122".
export function hostOf(address: string): string {
  const parts = address.match(/^\[(.+)\](?::\d+)?$/) ?? address.match(/^([^:]+):\d+$/);
  return parts ? parts[1]! : address;
}

// Was it at least `days` days ago? 0 days: anything was.
export function olderThan(at: string | null, days: number, now: number): boolean {
  return days === 0 || (at !== null && now - Date.parse(at) >= days * 86_400_000);
}

export interface AuditFilter { text: string; action: string; outcome: string }

// Is this a row that is looked for? The text may stand in any of its fields.
export function auditMatches(row: AuditRow, { text, action, outcome }: AuditFilter): boolean {
  const needle = text.trim().toLowerCase();
  return (action === '' || row.action === action) && (outcome === '' || (row.outcome === 'ok') === (outcome === 'ok')) &&
    [row.actor, row.source, row.action, row.object, row.outcome, row.key_fingerprint].some((field) => field.toLowerCase().includes(needle));
}

export const jsonLines = (rows: object[]): string => rows.map((row) => JSON.stringify(row) + '\n').join('');
